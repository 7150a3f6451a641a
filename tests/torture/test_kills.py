"""Kills and full disks: what a reader sees is the old or the new, whole, and the next start goes on.

`DREAM_KILLS` is the number of kills of real processes, of trainings here; `make torture` sets 240.
"""

import random
import shutil
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
from tests.dream.training.training_small import small_config, start_ranks
from tests.torture.faults import Killed, full_after, jumping_clock, killed_after
from tests.torture.kills import KILLS, ended_within, kill_some, leftovers, share
from tests.torture.writers import ABSENT, WRITERS, Writer

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


@pytest.mark.parametrize(("world", "part"), [(1, 1 / 3), (2, 1 / 24)], ids=["one rank", "two ranks"])
def test_trainings_that_are_killed_at_random_moments_come_out_the_same(tmp_path, world, part):
    config = small_config(steps=8, save_every=1e-9, keep_last=2, log_every=1, rank_timeout=90.0)
    request = {"source": "shapes", "config": config, "total_steps": 8, "resume": True, "auto": True}
    began = time.monotonic()
    assert ended_well(start_ranks(world, out=tmp_path / "whole", **request))
    seconds, draws, kills, number = time.monotonic() - began, random.Random(KILLS), 0, 0
    while kills < share(part):
        run = tmp_path / f"run-{number}"
        number += 1
        for _ in range(4):  # then it is left alone: on a busy machine it would never end
            ranks = start_ranks(world, out=run, **request)
            if ended_within(ranks, seconds * draws.uniform(0, 1)):
                assert ended_well(ranks)
                break
            kills += 1
            kill_some(ranks, draws)
            whole(run)
        assert ended_well(start_ranks(world, out=run, **request))
        assert same(tmp_path / "whole", run)
        assert [row["step"] for row in run_log.read_metrics(run, "train")] == list(range(1, 9))
        assert leftovers(run) == []
        shutil.rmtree(run)


@pytest.mark.parametrize("world", [1, 2])
def test_a_training_during_which_the_clock_jumps_comes_out_the_same(tmp_path, world, monkeypatch):
    config = small_config(steps=8, save_every=1e-9, keep_last=2, log_every=1)
    request = {"source": "shapes", "config": config, "total_steps": 8, "resume": True, "auto": True}
    assert ended_well(start_ranks(world, out=tmp_path / "whole", **request))
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", time.time)  # put back afterwards
        jumping_clock(world)
        ranks = start_ranks(world, out=tmp_path / "run", **request)
    assert ended_well(ranks) and same(tmp_path / "whole", tmp_path / "run")
    assert [row["step"] for row in run_log.read_metrics(tmp_path / "run", "train")] == list(range(1, 9))


def ended_well(ranks) -> bool:
    """Whether all ranks end, and well."""
    return ended_within(ranks, 600) and all(rank.exitcode == 0 for rank in ranks)


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
