"""Jobs run one after another, whoever asks for them, and every way to end is told apart."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dream.errors import InputError
from dream.training.processes import is_alive, process_start
from dream.training.run_log import RunLog
from tests.workbench.jobs.queue_of_scripts import SLEEP, orphan, put, workspace
from workbench.jobs import queue as launch
from workbench.jobs.job import job_file, jobs_folder, last_message, read_job, write_job
from workbench.jobs.queue import end_job, enqueue, find_job, forget_job, list_jobs, stop_job, supervise, wake
from workbench.workspace import Workspace

assert workspace  # a fixture
PATIENT = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *a: sys.exit(1)); "
    "print('asleep', flush=True); time.sleep(600)"
)

NODE = {"host": "node7", "boot": "another", "namespace": "pid:[1]"}
"""Another machine on the same disk."""


def wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def in_background(workspace: Workspace) -> threading.Thread:
    thread = threading.Thread(target=supervise, args=(workspace,), daemon=True)
    thread.start()
    return thread


def test_jobs_run_in_the_order_they_were_asked_for_and_are_listed_newest_first(workspace):
    for name in "abc":
        put(workspace, f"open('order', 'a').write('{name}')", name)
    supervise(workspace)
    assert (workspace.root / "order").read_text() == "abc"
    assert [(job.name, job.state) for job in list_jobs(workspace)] == [
        ("c", "finished"),
        ("b", "finished"),
        ("a", "finished"),
    ]
    assert list_jobs(workspace, "train") == []


def test_exit_codes_and_signals_are_told_apart(workspace):
    put(workspace, "print('all good')", "good")
    put(workspace, "import sys; sys.exit('dream: the disk is full')", "bad")
    put(workspace, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed")
    put(workspace, "import sys; sys.exit(130)", "interrupted")
    supervise(workspace)
    states = {job.name: (job.state, job.returncode) for job in list_jobs(workspace)}
    assert states == {
        "good": ("finished", 0),
        "bad": ("failed", 1),
        "killed": ("killed", -9),
        "interrupted": ("stopped", 130),
    }
    words = {job.name: last_message(job) for job in list_jobs(workspace)}
    assert words["bad"] == "the disk is full" and words["good"] == "all good" and words["killed"] == ""


def test_what_cannot_be_started_fails_and_the_queue_goes_on(workspace, monkeypatch):
    commands = iter([["/no/such/program"], [sys.executable, "-c", "pass"]])
    monkeypatch.setattr(launch, "_command", lambda job: next(commands))
    first, second = put(workspace, "", "first"), put(workspace, "", "second")
    supervise(workspace)
    assert find_job(workspace, first.id).state == "failed" and "no/such" in last_message(first)
    assert find_job(workspace, second.id).state == "finished"


def test_a_waiting_job_can_be_taken_out_and_never_runs(workspace):
    job = put(workspace, "open('ran', 'w')")
    stop_job(workspace, job.id)
    supervise(workspace)
    assert find_job(workspace, job.id).state == "stopped" and not (workspace.root / "ran").exists()


@pytest.mark.parametrize("script", [SLEEP, PATIENT])
def test_a_running_job_is_stopped_by_sigterm_and_the_next_one_runs(workspace, script):
    first, second = put(workspace, script, "first"), put(workspace, "pass", "second")
    thread = in_background(workspace)
    wait_for(lambda: last_message(first) == "asleep")
    stop_job(workspace, first.id)
    thread.join(120)
    assert find_job(workspace, first.id).state == "stopped"
    assert find_job(workspace, second.id).state == "finished"


def test_a_job_that_does_not_answer_can_be_ended_but_only_then(workspace, monkeypatch):
    deaf = put(workspace, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP)
    thread = in_background(workspace)
    wait_for(lambda: last_message(deaf) == "asleep")
    end_job(workspace, deaf.id)
    assert find_job(workspace, deaf.id).state == "running", "nobody has asked it to stop yet"
    stop_job(workspace, deaf.id)
    end_job(workspace, deaf.id)
    assert find_job(workspace, deaf.id).state == "running", "it may still be saving"
    monkeypatch.setattr("workbench.jobs.job.PATIENCE", -1.0)
    end_job(workspace, deaf.id)
    thread.join(120)
    assert find_job(workspace, deaf.id).state == "stopped"


def test_a_job_that_ended_is_left_alone_by_stop_and_can_be_forgotten(workspace):
    job = put(workspace, "print('done')")
    with pytest.raises(InputError, match="queued: stop it first"):
        forget_job(workspace, job.id)
    supervise(workspace)
    stop_job(workspace, job.id)
    assert find_job(workspace, job.id).state == "finished"
    forget_job(workspace, job.id)
    assert list_jobs(workspace) == [] and not job.log.exists()
    with pytest.raises(InputError, match="no job"):
        stop_job(workspace, job.id)


def test_a_training_into_the_same_folder_is_refused_while_one_waits(workspace):
    enqueue(workspace, "train", "a", ("pass",), Path("runs/a"))
    with pytest.raises(InputError, match="runs/a is already in the queue"):
        enqueue(workspace, "train", "a", ("pass",), workspace.root / "runs" / "a")
    put(workspace, "pass"), put(workspace, "pass")  # evaluations may share their folder
    supervise(workspace)
    enqueue(workspace, "train", "a", ("pass",), Path("runs/a"))


def test_many_threads_lose_no_job(workspace):
    threads = [threading.Thread(target=put, args=(workspace, "pass", str(i))) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list_jobs(workspace)) == 12


def test_a_second_supervisor_leaves_at_once(workspace):
    job = put(workspace, PATIENT)
    thread = in_background(workspace)
    wait_for(lambda: last_message(job) == "asleep")
    supervise(workspace)  # returns although the job still runs
    assert find_job(workspace, job.id).state == "running"
    stop_job(workspace, job.id)
    thread.join(120)
    assert not (jobs_folder(workspace) / "supervisor").exists()


def test_a_job_outlives_its_supervisor_and_the_next_one_waits_for_it(workspace, monkeypatch):
    monkeypatch.setattr(launch, "POLL_SECONDS", 0.02)
    process = subprocess.Popen([sys.executable, "-c", SLEEP])
    job, after = orphan(workspace, process), put(workspace, "pass", "after")
    assert find_job(workspace, job.id).state == "running"
    thread = in_background(workspace)
    time.sleep(0.2)
    assert find_job(workspace, after.id).state == "queued"
    process.kill(), process.wait()
    thread.join(120)
    assert find_job(workspace, job.id).state == "killed" and find_job(workspace, after.id).state == "finished"


def test_how_an_unwatched_training_ended_is_read_from_the_run(workspace):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    job = orphan(workspace, process)
    process.wait()
    assert find_job(workspace, job.id).state == "killed"
    job.out.mkdir(parents=True)
    RunLog(job.out).heartbeat("finished", 5, 5)
    assert find_job(workspace, job.id).state == "finished"


def test_an_end_that_an_earlier_training_told_does_not_count(workspace):
    (workspace.root / "out" / "orphan").mkdir(parents=True)
    RunLog(workspace.root / "out" / "orphan").heartbeat("finished", 5, 5)
    time.sleep(0.01)
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    job = orphan(workspace, process)
    process.wait()
    assert find_job(workspace, job.id).state == "killed"


def test_stop_spares_a_stranger_that_got_the_same_process_id(workspace):
    process = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    job = orphan(workspace, process)
    stored = read_job(job_file(workspace, job.id))
    write_job(workspace, dataclasses.replace(stored, process_start="another time"))
    stop_job(workspace, job.id)
    assert process.poll() is None
    process.kill(), process.wait()


def elsewhere(workspace: Workspace, job, process: "subprocess.Popen[bytes]", **changes) -> None:
    """Lets another machine run the job, in a process that has the id and the start of one of ours."""
    about = {"pid": process.pid, "process_start": process_start(process.pid), "started": time.time(), **NODE}
    write_job(workspace, dataclasses.replace(job, state="running", **about, **changes))


def supervisor_elsewhere(workspace: Workspace, age: float = 0.0) -> None:
    file = jobs_folder(workspace) / "supervisor"
    file.write_text(json.dumps({"pid": 1, "process_start": "5", **NODE}))
    os.utime(file, (time.time() - age, time.time() - age))


def test_a_job_of_another_machine_is_listed_as_running_and_never_signalled(workspace):
    process = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    job = put(workspace, "pass", "far")
    elsewhere(workspace, job, process, stop_asked=time.time() - 60)
    supervisor_elsewhere(workspace)
    assert find_job(workspace, job.id).state == "running"
    for action in (stop_job, end_job):
        with pytest.raises(InputError, match="far runs on host 'node7', not on this one: stop it there"):
            action(workspace, job.id)
    assert process.poll() is None
    process.kill(), process.wait()


def test_a_queue_that_another_machine_works_off_is_left_to_it_until_it_goes_silent(workspace):
    job = put(workspace, "pass")
    supervisor_elsewhere(workspace)
    supervise(workspace)
    assert find_job(workspace, job.id).state == "queued"
    supervisor_elsewhere(workspace, age=100.0)
    supervise(workspace)
    assert find_job(workspace, job.id).state == "finished"


def test_a_training_of_another_machine_lasts_as_long_as_its_claim(workspace):
    process = subprocess.Popen([sys.executable, "-c", SLEEP])
    job = put(workspace, "pass", "far", "train")
    elsewhere(workspace, job, process)
    job.out.mkdir(parents=True)
    claim = job.out / ".claim-1.json"
    claim.write_text(json.dumps({"pid": 1, "process_start": "5", "token": "theirs", **NODE}))
    assert find_job(workspace, job.id).state == "running"
    os.utime(claim, (0, 0))
    assert find_job(workspace, job.id).state == "killed"
    process.kill(), process.wait()


def test_a_supervisor_shows_others_that_it_lives_while_a_job_runs(workspace, monkeypatch):
    monkeypatch.setattr(launch, "RENEW_SECONDS", 0.02)
    job = put(workspace, SLEEP)
    thread = in_background(workspace)
    wait_for(lambda: last_message(job) == "asleep")
    file = jobs_folder(workspace) / "supervisor"
    os.utime(file, (0, 0))
    wait_for(lambda: file.stat().st_mtime > 0)
    stop_job(workspace, job.id)
    thread.join(120)
    assert find_job(workspace, job.id).state == "stopped"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}', '{"state": "odd"}'])
def test_a_damaged_job_file_is_left_out(workspace, content):
    job = put(workspace, "pass")
    (jobs_folder(workspace) / "broken.json").write_text(content)
    assert [each.id for each in list_jobs(workspace)] == [job.id]


def test_last_words_are_the_last_line_even_of_a_line_that_moves(workspace):
    job = put(workspace, "pass")
    job.log.write_bytes(b"step 1\rstep 2\rstep 3 \xff\n\n")
    assert last_message(job).startswith("step 3")


def test_a_dead_process_and_none_are_not_alive():
    assert is_alive(os.getpid(), process_start(os.getpid()))
    assert not is_alive(os.getpid(), "another time") and not is_alive(None, None)
    assert not is_alive(2**22 + 1, None)


def test_a_real_supervisor_outlives_who_asked_and_leaves_when_nothing_waits(tmp_path):
    script = (
        "from pathlib import Path; from workbench.jobs.queue import enqueue\n"
        "from workbench.workspace import Workspace\n"
        "enqueue(Workspace(Path('.').absolute()), 'evaluate', 'bad', ('evaluate', '--nonsense'), Path('out'))"
    )
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, timeout=240)
    workspace = Workspace(tmp_path)
    wait_for(lambda: all(not job.active for job in list_jobs(workspace)), 240)
    (job,) = list_jobs(workspace)
    assert (job.state, job.returncode) == ("failed", 2) and "unknown option '--nonsense'" in last_message(job)
    wait_for(lambda: not (jobs_folder(workspace) / "supervisor").exists())


def test_wake_starts_a_supervisor_only_where_jobs_wait_and_none_is_there(workspace, monkeypatch):
    started = []
    monkeypatch.setattr(launch, "_start_supervisor", started.append)
    wake(workspace)
    assert started == []
    put(workspace, "pass")
    started.clear()
    wake(workspace)
    assert started == [workspace]


def test_two_real_supervisors_at_once_run_each_job_once(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "_start_supervisor", lambda workspace: None)
    workspace = Workspace(tmp_path)
    for name in "ab":
        enqueue(workspace, "evaluate", name, ("evaluate", "--nonsense"), Path("out"))
    command = [sys.executable, "-m", "workbench.jobs.queue", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    for process in both:
        assert process.wait(60) == 0
    jobs = list_jobs(workspace)
    assert all(job.state == "failed" for job in jobs)
    assert all(job.log.read_text().count("unknown option") == 1 for job in jobs)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
