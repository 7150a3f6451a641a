"""A queue whose jobs are Python scripts, and whose supervisor is started by hand."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dream.training.processes import process_start
from workbench.jobs import queue as launch
from workbench.jobs.job import job_file
from workbench.jobs.queue import enqueue
from workbench.workspace import Workspace

SLEEP = "import time; print('asleep', flush=True); time.sleep(600)"


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A workspace whose jobs are Python scripts, and whose supervisor is started by hand."""
    monkeypatch.setattr(launch, "_start_supervisor", lambda workspace: None)
    monkeypatch.setattr(launch, "_command", lambda job: [sys.executable, "-c", *job.arguments])
    return Workspace(tmp_path)


def put(workspace: Workspace, script: str, name: str = "job", kind: str = "evaluate"):
    return enqueue(workspace, kind, name, (script,), Path("out") / name)


def orphan(workspace: Workspace, process: "subprocess.Popen[bytes]", kind: str = "train"):
    """A job whose supervisor is gone."""
    job = put(workspace, "pass", "orphan", kind)
    tree = json.loads(job_file(workspace, job.id).read_text())
    tree |= {
        "state": "running",
        "pid": process.pid,
        "process_start": process_start(process.pid),
        "started": time.time(),
    }
    job_file(workspace, job.id).write_text(json.dumps(tree))
    return job
