"""Kills and full disks: what a reader sees is the old or the new, whole, and the next start goes on.

`DREAM_KILLS` is the number of kills of real trainings; `make torture` sets 200.
"""

import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from safetensors import SafetensorError

from dream.errors import InputError, RunError
from dream.files import WRITING
from dream.training import run_log
from dream.training.checkpoint import latest_checkpoint, list_checkpoints, read_state, read_tensors
from tests.dream.training.test_resume import same
from tests.dream.training.training_small import run_training, small_config, start_ranks
from tests.torture.faults import Killed, full_after, killed_after
from tests.torture.writers import ABSENT, WRITERS, Writer

KILLS = int(os.environ.get("DREAM_KILLS", "20"))
FULL = (OSError, InputError, RunError, SafetensorError)
"""What a writer may raise on a full disk."""
SIZES = (0, 1, 100, 600, 1500, 4000, 9000, 30_000, 200_000)

pytestmark = pytest.mark.slow


@pytest.fixture
def laid_out(request, tmp_path):
    """Copies of a folder as the writer finds it, and what is read before and after."""
    writer: Writer = request.param
    (tmp_path / "old").mkdir()
    writer.before(tmp_path / "old")

    def copy(name: str) -> Path:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return Path(shutil.copytree(tmp_path / "old", tmp_path / name))

    new = copy("new")
    with killed_after(new, None) as count:
        writer.write(new)
        operations = count()
    before = ABSENT if writer.name == "a new record" else writer.read(tmp_path / "old")
    allowed = [before, writer.read(new), *([ABSENT] if writer.may_be_absent else [])]
    return writer, copy, operations, allowed


@pytest.mark.parametrize("laid_out", WRITERS, ids=lambda writer: writer.name, indirect=True)
def test_a_kill_at_any_file_operation_leaves_the_old_or_the_new(laid_out):
    writer, copy, operations, allowed = laid_out
    assert operations > 0
    for count in range(0, operations, max(1, operations // 40)):
        folder = copy("killed")
        with suppress(Killed), killed_after(folder, count):
            writer.write(folder)
        assert writer.read(folder) in allowed, f"after {count} of {operations} operations"
        writer.write(folder)
        assert writer.read(folder) == allowed[1], f"written again after {count} of {operations} operations"


@pytest.mark.parametrize("laid_out", WRITERS, ids=lambda writer: writer.name, indirect=True)
def test_a_disk_that_is_full_after_any_size_leaves_the_old_and_no_leftovers(laid_out):
    writer, copy, _, allowed = laid_out
    for size in SIZES:
        folder = copy("full")
        try:
            with full_after(size):
                writer.write(folder)
        except FULL:
            assert writer.read(folder) in allowed[::2], size
        else:
            assert writer.read(folder) == allowed[1], size
        assert [path for path in folder.rglob("*") if path.name.endswith(WRITING)] == [], size


def test_trainings_that_are_killed_at_random_moments_come_out_the_same(tmp_path):
    config = small_config(steps=8, save_every=1e-9, keep_last=2, log_every=1)
    run_training(tmp_path / "whole", config)
    draws, kills, number = random.Random(0), 0, 0
    while kills < KILLS:
        run = tmp_path / f"run-{number}"
        number += 1
        while True:
            (process,) = start_ranks(1, out=run, source="shapes", config=config, resume=True, auto=True, total_steps=8)
            process.join(draws.uniform(0.05, 2.5))
            if process.exitcode is not None:
                assert process.exitcode == 0
                break
            kills += 1
            end = draws.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
            if end == signal.SIGSTOP:
                os.kill(process.pid, end)
                time.sleep(0.1)
                os.kill(process.pid, signal.SIGCONT)
                end = signal.SIGKILL
            os.kill(process.pid, end)
            process.join(60)
            whole(run)
        assert same(tmp_path / "whole", run)
        steps = [row["step"] for row in run_log.read_metrics(run, "train")]
        assert steps == list(range(1, 9))
        shutil.rmtree(run)


def whole(run: Path) -> None:
    """Asserts that nothing half reads as whole."""
    if not run.exists() or not run_log.holds_run(run):
        return
    run_log.read_record(run)
    for folder in list_checkpoints(run):
        assert read_state(folder).step == int(folder.name.removeprefix("step-"))
        for name in ("model", "ema", "optimizer"):
            read_tensors(folder, name)
    if list_checkpoints(run):
        assert latest_checkpoint(run).is_dir()
