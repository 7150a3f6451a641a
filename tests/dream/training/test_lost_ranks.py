"""A stop on any rank stops all; a rank that dies or hangs ends the others, in bounded time and in one sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dream.errors import RunError
from dream.training import lost_ranks, run_log
from dream.training.checkpoint import latest_checkpoint, list_checkpoints, read_state, read_tensors
from dream.training.lost_ranks import RankWatch, lost_ranks_in_words
from tests.dream.training.test_distributed import ENVIRONMENT
from tests.dream.training.test_resume import wait_for
from tests.dream.training.training_small import command, settings, small_config, start, start_ranks

ENDLESS = {"steps": 100000, "batch_size": 8, "log_every": 1}


def wait_until(condition, seconds=300.0) -> float:
    """Seconds until the condition held."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.1)
    return time.monotonic() - begin


def endless(out: Path, world: int, **changes):
    """Ranks that train until they are stopped, and have begun to."""
    config = small_config(**{**ENDLESS, **changes})
    processes = start_ranks(world, out=out, source="shapes", config=config)
    wait_until(lambda: len(run_log.read_metrics(out, "train")) > 2)
    return processes


def is_whole(run: Path) -> bool:
    """Whether the last checkpoint can be read; raises InputError for a damaged file."""
    return all(read_tensors(latest_checkpoint(run), name) is not None for name in ("model", "ema", "optimizer"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "rank"), [(signal.SIGUSR1, 1), (signal.SIGUSR2, 0), (signal.SIGTERM, 2)])
def test_a_signal_to_any_rank_saves_once_and_stops_all(tmp_path, number, rank, capfd):
    run = tmp_path / "run"
    processes = endless(run, 3, batch_size=6 * 4)
    os.kill(processes[rank].pid, number)
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    beat = run_log.read_heartbeat(run)
    assert beat is not None and beat.status == "stopped"
    assert [read_state(each).step for each in list_checkpoints(run)] == [0, beat.step] and is_whole(run)
    assert not list((run / "checkpoints").glob(".*"))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_is_killed_ends_the_others_in_one_sentence(tmp_path, killed, capfd):
    run = tmp_path / "run"
    processes = endless(run, 2)
    os.kill(processes[killed].pid, signal.SIGKILL)
    other = processes[1 - killed]
    assert wait_until(lambda: not other.is_alive(), 300) < 240 and other.exitcode == 1
    said = capfd.readouterr().err
    assert "dream: another rank ended: this one stops; the last checkpoint is whole: continue with --resume" in said
    assert "gloo" not in said.lower().replace("distributed_backend=gloo", "") and "Traceback" not in said
    beat = run_log.read_heartbeat(run)
    assert beat is not None and beat.status == ("running" if killed == 0 else "failed") and is_whole(run)


@pytest.mark.slow
def test_a_rank_that_hangs_is_waited_for_as_long_as_the_settings_say(tmp_path, capfd):
    run = tmp_path / "run"
    processes = endless(run, 2, rank_timeout=30.0)
    os.kill(processes[1].pid, signal.SIGSTOP)
    try:
        assert 20 < wait_until(lambda: not processes[0].is_alive(), 300) < 280  # a busy machine takes its time
    finally:
        processes[1].kill()
    assert processes[0].exitcode == 1
    assert "another rank did not answer for 30 s (train.rank_timeout): this one stops" in capfd.readouterr().err
    beat = run_log.read_heartbeat(run)
    assert beat is not None and beat.status == "failed" and "rank_timeout" in beat.message


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_rank_that_started_the_others_says_what_happened_and_leaves_none(tmp_path, number):
    run, log = tmp_path / "run", tmp_path / "log"
    config = small_config(**ENDLESS, rank_timeout=90.0)  # on a busy machine a rank takes long to start
    arguments = ["train", "--data", "shapes", "--out", str(run), "--devices", "2", "--accelerator", "cpu"]
    process = start(command(*arguments, *settings(config)), log, **ENVIRONMENT)
    try:
        wait_for(lambda: len(run_log.read_metrics(run)) > 2, process, log, 200)
        (child,) = children(process.pid)
        os.kill(child, number)
        assert process.wait(timeout=240) == 1
        wait_until(lambda: not Path(f"/proc/{child}").exists(), 120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert log.read_text().count("this one stops; the last checkpoint is whole") == 1
    beat = run_log.read_heartbeat(run)
    assert beat is not None and beat.status == "failed" and is_whole(run)


def children(pid: int) -> list[int]:
    """Processes of Python that a process has started."""
    found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "python" in line]


def test_errors_of_backends_become_sentences_and_others_stay():
    for text, sentence in (
        ("[gloo/transport/tcp/pair.cc:544] Connection closed by peer [127.0.0.1]:1", "another rank ended"),
        ("Timed out waiting 8000ms for recv operation to complete (gloo)", "did not answer for 8 s"),
        ("Application timeout caused pair closure", "did not answer for 8 s"),
        ("NCCL communicator was aborted on rank 1", "another rank ended"),
    ):
        with pytest.raises(RunError, match=sentence) as error, lost_ranks_in_words(lambda: 2, 8.0):
            raise RuntimeError(text)
        assert "\n" not in str(error.value)
    for world, raised in ((1, RuntimeError("gloo")), (2, RuntimeError("shapes differ")), (2, RunError("the disk"))):
        with pytest.raises(type(raised), match=str(raised)), lost_ranks_in_words(lambda world=world: world, 8.0):
            raise raised


WATCHING = """
import sys, time
sys.path.insert(0, {root!r})
from dream.training import lost_ranks
lost_ranks.LOOK_SECONDS, lost_ranks.LOST_GRACE_SECONDS = 0.1, {grace}
import subprocess
codes = ("raise SystemExit(3)", "import time; time.sleep(99)")
children = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
print(children[1].pid, flush=True)
with lost_ranks.RankWatch(children, lambda sentence: print(sentence, flush=True)):
    time.sleep({busy})
    raise RuntimeError("noticed by itself")
"""


@pytest.mark.parametrize(("grace", "busy"), [(0.5, 60), (60, 3)])
def test_a_watch_ends_a_process_that_does_not_notice(tmp_path, grace, busy):
    root = str(Path(lost_ranks.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", WATCHING.format(root=root, grace=grace, busy=busy)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    pid, *said = done.stdout.split("\n")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 120)
    assert done.returncode == 1
    if busy == 60:
        assert said[0].startswith("rank 1 ended (exit code 3): this one stops")
    else:
        assert said == [""] and "noticed by itself" in done.stderr


def test_a_training_of_one_rank_is_not_watched():
    with RankWatch([], print) as watch:
        assert not watch._thread.is_alive()
