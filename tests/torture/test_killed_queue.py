"""The queue and its supervisor, killed at random moments and at every file operation: each job runs once, and is known.

Jobs are scripts that say when they begin and end, so that a second start would show.
"""

import json
import random
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from dream.errors import InputError
from dream.evaluation.event_log import EventLog
from dream.evaluation.events import EvaluationEnded
from tests.torture.faults import Killed, full_after, jumping_clock, kill_really_after, killed_after, without_privileges
from tests.torture.kills import HOURS, KILLS, Begun, abandon, ended_within, kill_some, leftovers, move_clock, share
from workbench.jobs import queue
from workbench.jobs.job import jobs_folder
from workbench.jobs.queue import enqueue, list_jobs, supervise
from workbench.workspace import Workspace

JOB = """
import json, sys, time
name, seconds, progress = sys.argv[1], float(sys.argv[2]), sys.argv[3]
with open("ran", "a") as file:
    file.write(f"{name} begins\\n")
time.sleep(seconds)
with open(progress, "a") as file:
    for event in json.loads(sys.argv[4]):
        file.write(json.dumps(event) + "\\n")
with open("ran", "a") as file:
    file.write(f"{name} ends\\n")
"""
NAMES = ("a", "b", "c")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def scripts(tmp_path, monkeypatch):
    """Jobs are scripts, and supervisors are started by hand."""
    EventLog(log := tmp_path / "events").write(EvaluationEnded(refused=""))
    events = json.dumps([json.loads(line) for line in log.read_text().split("\n") if line])
    monkeypatch.setattr(queue, "_start_supervisor", lambda workspace: None)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.02)
    command = [sys.executable, "-S", "-c", JOB]
    monkeypatch.setattr(queue, "_command", lambda job: [*command, *job.arguments, str(job.progress), events])


def put(root: Path, seconds: float) -> Workspace:
    workspace = Workspace(root)
    root.mkdir()
    for name in NAMES:
        enqueue(workspace, "evaluate", name, (name, str(seconds)), Path("out"))
    return workspace


def begin_supervisor(workspace: Workspace, first=lambda: None) -> Begun:
    return Begun(lambda: (first(), supervise(workspace), 0)[2])


def check_done(workspace: Workspace) -> None:
    """Asserts that a last supervisor ends well and sweeps, and that each job ran once and in order, and is known to."""
    abandon(jobs_folder(workspace))
    last = begin_supervisor(workspace)
    assert ended_within([last], 60) and last.exitcode == 0, last.words()
    said = [f"{name} {what}" for name in NAMES for what in ("begins", "ends")]
    assert (workspace.root / "ran").read_text().splitlines() == said
    assert [(job.name, job.state) for job in reversed(list_jobs(workspace))] == [(n, "finished") for n in NAMES]
    assert leftovers(jobs_folder(workspace)) == []


def test_a_supervisor_that_is_killed_at_any_file_operation_runs_each_job_once(tmp_path):
    operations = 0
    while True:
        workspace = put(tmp_path / str(operations), 0.05)
        killed = begin_supervisor(workspace, partial(kill_really_after, jobs_folder(workspace), operations))
        assert ended_within([killed], 60)
        check_done(workspace)
        if killed.exitcode == 0:
            break
        assert killed.exitcode == -signal.SIGKILL
        operations += 1 if KILLS > 100 else 5
    assert operations > 20


def test_supervisors_that_are_killed_at_random_moments_run_each_job_once(tmp_path):
    draws, kills, number = random.Random(KILLS), 0, 0
    while kills < share(1 / 12):
        workspace = put(tmp_path / str(number), 0.2)
        number += 1
        for _ in range(6):
            both = [begin_supervisor(workspace) for _ in range(draws.choice([1, 2]))]
            if ended_within(both, draws.uniform(0.01, 0.5)):
                break
            kills += 1
            kill_some(both, draws)
            if draws.random() < 0.3:
                move_clock(jobs_folder(workspace), draws.choice([-HOURS, HOURS]))
        check_done(workspace)


def test_while_the_clock_jumps_each_job_runs_once(tmp_path):
    for number in range(max(2, share(1 / 24))):
        workspace = put(tmp_path / str(number), 0.1)
        both = [begin_supervisor(workspace, partial(jumping_clock, 2 * number + each)) for each in range(2)]
        assert ended_within(both, 60)
        check_done(workspace)


def test_a_job_that_is_asked_for_while_the_process_is_killed_is_there_whole_or_not_at_all(tmp_path):
    for count in range(8):
        workspace = put(tmp_path / str(count), 0.0)
        try:
            with killed_after(jobs_folder(workspace), count):
                enqueue(workspace, "evaluate", "d", ("d", "0"), Path("out"))
        except Killed:
            pass
        assert [job.name for job in reversed(list_jobs(workspace))][:3] == list(NAMES)
        enqueue(workspace, "evaluate", "e", ("e", "0"), Path("out"))
        assert list_jobs(workspace)[0].name == "e"


def test_on_a_full_disk_a_supervisor_ends_and_the_next_one_goes_on(tmp_path):
    for size in (0, 200, 600):
        workspace = put(tmp_path / str(size), 0.0)
        full = begin_supervisor(workspace, full_after(size).__enter__)
        assert ended_within([full], 60)
        assert all(job.state == "queued" for job in list_jobs(workspace)) and not (workspace.root / "ran").exists()
        check_done(workspace)


def test_in_a_workspace_that_may_not_be_written_a_job_is_refused(tmp_path):
    (tmp_path / "fixed").mkdir(mode=0o555)

    def ask() -> int:
        without_privileges()
        try:
            enqueue(Workspace(tmp_path / "fixed"), "evaluate", "a", ("a", "0"), Path("out"))
        except (InputError, OSError) as error:
            print(error)
            return 3
        return 0

    asked = Begun(ask)
    assert ended_within([asked], 30) and asked.exitcode == 3, asked.words()
    assert list((tmp_path / "fixed").iterdir()) == []
