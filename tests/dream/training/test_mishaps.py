"""Data that vanish, a full disk and a stop before the first step: said at once, with what is saved and what to do."""

import errno
import os
import shutil
import signal

import pytest

from dream.__main__ import main
from dream.errors import RunError
from dream.training import loop, run_log
from dream.training.checkpoint import latest_checkpoint, read_state
from tests.dream.training.training_small import run_training, settings, small_config, write_pictures


@pytest.fixture
def after_steps(monkeypatch):
    """Calls a function after so many steps."""

    def after(count, act):
        apply = loop.apply_step

        def step(run, number, factor):
            apply(run, number, factor)
            if run.step + 1 == count:
                act()

        monkeypatch.setattr(loop, "apply_step", step)

    return after


def test_data_that_vanish_are_said_at_once_and_the_training_ends_with_its_checkpoint(
    tmp_path, monkeypatch, capsys, after_steps
):
    pictures = write_pictures(tmp_path / "pictures", 40)
    monkeypatch.setattr("dream.data.stored.CACHE_BYTES", 0)
    beats = []
    write = run_log.RunLog.heartbeat

    def watched(log, *args, **named):
        write(log, *args, **named)
        beats.append(run_log.read_heartbeat(log.folder))

    monkeypatch.setattr(run_log.RunLog, "heartbeat", watched)
    after_steps(3, lambda: shutil.rmtree(pictures))
    with pytest.raises(RunError, match=r"nothing is left to read.*is saved in .*step-000000\d\d.*--resume"):
        run_training(tmp_path / "run", small_config(steps=50, batch_size=8), source=str(pictures))
    last = run_log.read_heartbeat(tmp_path / "run")
    assert last.status == "failed" and "nothing is left" in last.message
    assert read_state(latest_checkpoint(tmp_path / "run")).step == last.step >= 3
    said = capsys.readouterr().err
    assert "cannot be read, or no longer" in said and ".png" in said
    running = [beat.message for beat in beats if beat.status == "running"]
    assert not running[0] and (last.step < 4 or any("cannot be read" in message for message in running))
    write_pictures(pictures, 40)
    assert run_training(tmp_path / "run", source=str(pictures), resume=True, total_steps=last.step + 2).step > last.step


@pytest.mark.parametrize("where", ["row", "everything"])
def test_a_full_disk_leaves_its_reason(tmp_path, monkeypatch, after_steps, where):
    run = tmp_path / "run"

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill():
        (run / "metrics.jsonl").unlink()
        (run / "metrics.jsonl").symlink_to("/dev/full")
        if where == "everything":
            monkeypatch.setattr(run_log, "replace_text", full)

    after_steps(4, fill)
    with pytest.raises(OSError, match="No space left"):
        run_training(run, small_config(steps=8))
    beat = run_log.read_heartbeat(run)
    assert (beat.status, beat.message) == (
        "failed",
        "the disk is full at step 4: free some space and continue with --resume",
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("place", ["open_source", "build_bundle", "optim.build_optimizers"])
def test_a_stop_before_the_first_step_answers_in_a_sentence(tmp_path, monkeypatch, capsys, number, place):
    monkeypatch.setattr(f"dream.training.setup.{place}", lambda *args, **named: os.kill(os.getpid(), number))
    line = ["train", "--data", "shapes", "--out", str(tmp_path / "run"), "--accelerator", "cpu", "--devices", "1"]
    assert main([*line, *settings(small_config())]) == 128 + number
    assert capsys.readouterr().err.splitlines()[-1].startswith("dream: stopped before the first step: nothing was lost")
    beat = run_log.read_heartbeat(tmp_path / "run")
    assert (beat is None) == (place != "optim.build_optimizers")
    assert beat is None or beat.status == "stopped"
