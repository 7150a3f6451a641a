"""A training from the queue outlives the one who asked for it, is stopped with a checkpoint, killed, and goes
on: with real processes.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dream.training.checkpoint import list_checkpoints
from dream.training.run_log import read_heartbeat, read_metrics
from workbench.jobs.job import last_message
from workbench.jobs.queue import find_job, list_jobs
from workbench.runs.trainings import TrainForm, Training, list_trainings, resume_training, stop_training
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow
SMALL = (
    "image.size=16",
    "image.patch_size=4",
    "text.vocab_size=320",
    "text.context_length=16",
    "text.width=16",
    "text.depth=1",
    "text.conditioning_width=16",
    "encoder.width=32",
    "encoder.depth=2",
    "encoder.heads=2",
    "decoder.width=32",
    "decoder.depth=2",
    "decoder.heads=2",
    "head.width=32",
    "head.depth=1",
    "head.sampling_steps=4",
    "joint.width=16",
    "joint.hidden=32",
    "masking.groups=4",
    "train.batch_size=16",
    "train.log_every=2",
    "train.samples=0",
    "train.evaluations=0",
    "decode.steps=4",
)
ASK = """
import sys
from pathlib import Path
from workbench.runs.trainings import TrainForm, start_training
from workbench.workspace import Workspace
form = TrainForm("a", budget="steps", amount=100000, accelerator="cpu", devices="1", assignments=sys.argv[1:])
start_training(Workspace(Path(".").absolute()), form)
"""


def the_one(workspace: Workspace) -> Training:
    (training,) = list_trainings(workspace)
    return training


def wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


def test_stop_kill_resume_and_extension_of_a_training_whose_asker_is_gone(tmp_path):
    workspace = Workspace(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", ASK, *SMALL], cwd=tmp_path, env=environment, check=True, timeout=120)
    run = tmp_path / "runs" / "a"
    wait_for(lambda: the_one(workspace).state == "running" and len(read_metrics(run)) > 1)

    stop_training(workspace, the_one(workspace))
    wait_for(lambda: not the_one(workspace).active)
    assert the_one(workspace).state == "stopped" and list_checkpoints(run)
    stopped_at = read_heartbeat(run).step

    resume_training(workspace, the_one(workspace))
    wait_for(lambda: the_one(workspace).state == "running")
    assert read_heartbeat(run).step >= stopped_at
    os.kill(read_heartbeat(run).pid, signal.SIGKILL)
    wait_for(lambda: the_one(workspace).state == "killed")
    assert find_job(workspace, list_jobs(workspace)[0].id).returncode == -signal.SIGKILL

    resume_training(workspace, the_one(workspace), "steps", 4)
    wait_for(lambda: not the_one(workspace).active)
    assert the_one(workspace).state == "finished", last_message(list_jobs(workspace)[0])
    steps = [row["step"] for row in read_metrics(run)]
    assert steps == sorted(set(steps)) and len(list_jobs(workspace)) == 3


def test_a_training_outlives_its_supervisor_and_the_queue_goes_on_with_the_next(tmp_path):
    import json

    from workbench.jobs.job import jobs_folder
    from workbench.jobs.queue import enqueue, wake

    workspace = Workspace(tmp_path)
    from workbench.runs.trainings import start_training

    form = TrainForm("a", budget="steps", amount=100000, accelerator="cpu", devices="1", assignments=SMALL)
    start_training(workspace, form)
    wait_for(lambda: the_one(workspace).state == "running")
    supervisor = json.loads((jobs_folder(workspace) / "supervisor").read_text())["pid"]
    os.kill(supervisor, signal.SIGKILL)
    time.sleep(0.3)
    assert the_one(workspace).state == "running"
    enqueue(workspace, "evaluate", "next", ("evaluate", "--nonsense"), Path("out"))
    wake(workspace)
    time.sleep(2)
    assert list_jobs(workspace)[0].state == "queued"
    stop_training(workspace, the_one(workspace))
    wait_for(lambda: the_one(workspace).state == "stopped")
    wait_for(lambda: list_jobs(workspace)[0].state == "failed")
