"""The queue when the clock is put back, or a process dies at an unlucky moment."""

import dataclasses
import json
import subprocess
import sys
import time

import pytest

from dream.evaluation.event_log import EventLog
from dream.evaluation.events import EvaluationEnded
from dream.training.processes import own_table, process_start
from dream.training.run_log import RunLog
from tests.workbench.jobs.queue_of_scripts import SLEEP, orphan, put, workspace
from workbench.jobs import queue as launch
from workbench.jobs.job import job_file, jobs_folder, read_job, write_job
from workbench.jobs.queue import find_job, list_jobs, supervise

assert workspace  # a fixture


@pytest.fixture
def clock_put_back(monkeypatch):
    """After a call, this process is told a time hours ago."""
    told = time.time
    return lambda hours=6: monkeypatch.setattr(time, "time", lambda: told() - 3600 * hours)


def test_jobs_keep_their_order_although_the_clock_is_put_back_between_them(workspace, clock_put_back):
    put(workspace, "open('order', 'a').write('a')", "a")
    clock_put_back()
    for name in "bc":
        put(workspace, f"open('order', 'a').write('{name}')", name)
    supervise(workspace)
    assert (workspace.root / "order").read_text() == "abc"
    assert [job.name for job in list_jobs(workspace)] == ["c", "b", "a"]


def test_a_training_says_how_it_ended_although_the_clock_was_put_back_meanwhile(workspace, clock_put_back):
    process = subprocess.Popen([sys.executable, "-c", SLEEP])
    job = orphan(workspace, process)
    job.out.mkdir(parents=True)
    clock_put_back()
    RunLog(job.out).heartbeat("stopped", 5, 9)
    beat = json.loads((job.out / "heartbeat.json").read_text())
    of_job = {"pid": process.pid, "process_start": process_start(process.pid)}
    (job.out / "heartbeat.json").write_text(json.dumps({**beat, **of_job}))
    process.kill(), process.wait()
    stored = read_job(job_file(workspace, job.id))
    write_job(workspace, dataclasses.replace(stored, **own_table()._asdict()))
    assert find_job(workspace, job.id).state == "stopped"


def test_a_job_that_does_not_answer_can_be_ended_although_the_clock_was_put_back(workspace, clock_put_back):
    job = put(workspace, "pass")
    asked = dataclasses.replace(job, state="running", stop_asked=time.time())
    assert not asked.overdue
    clock_put_back()
    assert asked.overdue


def test_an_evaluation_that_nobody_watched_says_by_its_events_how_it_ended(workspace):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    job = orphan(workspace, process, "evaluate")
    process.wait()
    assert find_job(workspace, job.id).state == "killed"
    log = EventLog(job.progress)
    assert find_job(workspace, job.id).state == "killed"
    log.write(EvaluationEnded(refused=""))
    assert find_job(workspace, job.id).state == "finished"
    EventLog(job.progress).write(EvaluationEnded(refused="no labels"))
    assert find_job(workspace, job.id).state == "failed"


def test_a_job_whose_supervisor_dies_before_it_has_noted_it_has_not_begun(workspace, monkeypatch):
    job = put(workspace, "open('ran', 'a').write('x')")
    written = launch.write_job
    monkeypatch.setattr(launch, "write_job", lambda *_: (_ for _ in ()).throw(OSError("the machine dies")))
    with pytest.raises(OSError, match="dies"):
        supervise(workspace)
    time.sleep(0.5)
    assert not (workspace.root / "ran").exists() and find_job(workspace, job.id).state == "queued"
    monkeypatch.setattr(launch, "write_job", written)
    (jobs_folder(workspace) / "supervisor").unlink()
    supervise(workspace)
    assert (workspace.root / "ran").read_text() == "x" and find_job(workspace, job.id).state == "finished"
