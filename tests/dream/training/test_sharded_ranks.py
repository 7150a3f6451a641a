"""Gloo ranks that save what each has of sharded tensors: gone on with by any number, killed while they write."""

import errno
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from dream.__main__ import main
from dream.data.text import train_tokenizer
from dream.errors import InputError
from dream.pretrained import load_pretrained
from dream.training import checkpoint as ckpt
from dream.training import run_log
from dream.training.live_tensors import copy_tensors, save_tensors
from tests.dream.data.test_sources import write_shards
from tests.dream.training.parts_small import joined
from tests.dream.training.test_distributed import STEPS, agrees, both
from tests.dream.training.test_resume import stop_after
from tests.dream.training.training_small import run_training, small_config, train_on_ranks

pytestmark = pytest.mark.slow

GROUPS = ("model", "ema", "optimizer")
SHAPES = {"a": (257, 31), "b": (1, 3), "c": (2,), "d": (64, 8)}
KILLS = 4


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> str:
    return write_shards(tmp_path_factory.mktemp("shards"), 3, 13)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, shards) -> Path:
    """A training whose two ranks, each with a part of every tensor, stopped after three steps."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        train_on_ranks(2, out=out, source=shards, config=both(), strategy="fsdp")
    return out


def test_each_rank_writes_its_own_part_and_nobody_the_whole(stopped):
    folder = ckpt.latest_checkpoint(stopped)
    for name in GROUPS:
        files = sorted((folder / name).iterdir())
        assert [path.name[:11] for path in files] == ["shard-00001", "shard-00002"]
        sizes = [path.stat().st_size for path in files]
        assert max(sizes) < 0.7 * sum(sizes)
        stored = ckpt.read_tensors(folder, name)
        assert all(torch.equal(tensor, stored[key]) for key, tensor in joined(folder, name).items())
    assert not list(folder.glob("*.safetensors"))
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json"}


@pytest.mark.parametrize(("world", "strategy"), [(1, "auto"), (4, "fsdp"), (3, "ddp")])
def test_it_goes_on_with_any_number_of_ranks(tmp_path, shards, stopped, world, strategy):
    run_training(tmp_path / "one", both(), source=shards)
    shutil.copytree(stopped, tmp_path / "run")
    train_on_ranks(world, out=tmp_path / "run", resume=True, strategy=strategy)
    agrees(tmp_path / "run", tmp_path / "one")
    beat = run_log.read_heartbeat(tmp_path / "run")
    assert beat is not None and (beat.status, beat.step) == ("finished", STEPS)


def test_a_whole_checkpoint_goes_on_sharded(tmp_path, shards, monkeypatch):
    run_training(tmp_path / "one", both(), source=shards)
    stop_after(monkeypatch, 2)
    run_training(tmp_path / "run", both(), source=shards)
    monkeypatch.undo()
    train_on_ranks(2, out=tmp_path / "run", resume=True, strategy="fsdp")
    agrees(tmp_path / "run", tmp_path / "one")
    assert ckpt.is_in_parts(ckpt.latest_checkpoint(tmp_path / "run"), "model")


def test_a_run_in_parts_is_decoded_exported_and_evaluated(tmp_path, stopped):
    sheet, model, results = tmp_path / "sheet.png", tmp_path / "model", tmp_path / "results"
    assert main(["decode", "--model", str(stopped), "--prompt", "a red circle", "--out", str(sheet)]) == 0
    assert main(["export", "--model", str(stopped), "--out", str(model), "--dtype", "float32"]) == 0
    names = sorted(path.name for path in model.glob("*.safetensors"))
    one, other = (load_pretrained(path).model.state_dict() for path in (stopped, model))
    assert names == ["model.safetensors"] and all(torch.equal(one[key], other[key]) for key in one)
    arguments = ["--tasks", "retrieval", "--set", "retrieval.pool=4", "retrieval.pools=2", "--out", str(results)]
    assert main(["evaluate", "--model", str(stopped), *arguments]) == 0


def test_damage_is_said_by_every_rank_before_anything_is_trained(tmp_path, stopped, capfd):
    shutil.copytree(stopped, tmp_path / "run")
    path = sorted((ckpt.latest_checkpoint(tmp_path / "run") / "ema").iterdir())[1]
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(AssertionError):
        train_on_ranks(2, out=tmp_path / "run", resume=True, strategy="fsdp")
    said = capfd.readouterr().err
    assert said.count("bytes are not those that were written") == 2 and "Traceback" not in said


def groups(value: float) -> Mapping[str, Mapping[str, Tensor]]:
    """Tensors sharded over the ranks, of values that follow from `value`, and a scalar that each rank has."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    whole = {name: torch.arange(float(torch.Size(shape).numel())).view(shape) for name, shape in SHAPES.items()}
    spread: dict[str, Tensor] = {name: distribute_tensor(t + value, mesh, [Shard(0)]) for name, t in whole.items()}
    return {name: {**spread, "scalar": torch.tensor(value)} for name in GROUPS}


def save(run: Path, step: int) -> None:
    state = ckpt.TrainingState(step, small_config(), "shapes", None)
    save_tensors(
        run, state, groups(float(step)), train_tokenizer(["a red circle"], 300, 16), writes=dist.get_rank() == 0
    )


def on_ranks(world: int, work: Callable[[int], None]) -> list[ForkProcess]:
    """Processes that call `work` with their rank in a world of gloo ranks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"

    def one(rank: int) -> None:
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=address, rank=rank, world_size=world)
        try:
            work(rank)
        except Exception:
            os._exit(1)
        os._exit(0)

    processes = [get_context("fork").Process(target=one, args=(rank,)) for rank in range(world)]
    for process in processes:
        process.start()
    return processes


def ended(processes: list[ForkProcess]) -> list[int | None]:
    for process in processes:
        process.join(120)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


@pytest.mark.parametrize("killed", [0, 1])
def test_ranks_killed_while_they_write_leave_whole_checkpoints_only(tmp_path, killed):
    """One rank is killed at a random moment, and the other loses it: what can be listed reads whole."""
    moments = random.Random(killed)

    def saves(rank: int) -> None:
        for step in range(1, 10_000):
            save(tmp_path, step)

    seen, torn = 0, 0
    for _ in range(KILLS):
        processes, before = on_ranks(2, saves), len(ckpt.list_checkpoints(tmp_path))
        deadline = time.monotonic() + 240
        while len(ckpt.list_checkpoints(tmp_path)) < before + 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.1)
        os.kill(processes[killed].pid or 0, signal.SIGKILL)
        ended(processes)
        for folder in ckpt.list_checkpoints(tmp_path):
            step = float(folder.name.removeprefix("step-"))
            for name in GROUPS:
                tensors = ckpt.read_tensors(folder, name)
                assert tensors.keys() == {*SHAPES, "scalar"} and float(tensors["scalar"]) == step
                assert all(float(tensors[key].flatten()[-1]) == tensors[key].numel() - 1 + step for key in SHAPES)
            seen += 1
        torn += len(list((tmp_path / "checkpoints").glob(".*.writing")))
        ckpt.remove_unfinished(tmp_path)
        assert all(path.name.startswith("step-") for path in (tmp_path / "checkpoints").iterdir())
        shutil.rmtree(tmp_path / "checkpoints")
    assert seen >= 2 * KILLS
    assert (torn > 0) == (killed == 0)  # rank 0 clears up when it loses another one


@pytest.mark.parametrize("world", [2, 4])
def test_a_full_disk_of_one_rank_is_said_by_all_and_leaves_nothing(tmp_path, monkeypatch, world):
    import torch.distributed.checkpoint.filesystem as storage

    def saves(rank: int) -> None:
        save(tmp_path, 1)
        if rank == world - 1:

            def full(*_: object, **__: object) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(storage, "_write_files_from_queue", full)
        try:
            save(tmp_path, 2)
        except Exception as error:
            (tmp_path / f"said-{rank}").write_text(f"{type(error).__name__} {error}")

    assert ended(on_ranks(world, saves)) == [0] * world
    said = [path.read_text() for path in sorted(tmp_path.glob("said-*"))]
    assert len(said) == world and all(text.startswith("RunError the disk is full") for text in said)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]


def test_a_lost_claim_keeps_the_checkpoint_from_appearing(tmp_path):
    def saves(rank: int) -> None:
        def lost() -> None:
            assert rank == 0, "rank 0 alone holds the claim"
            raise InputError("taken over")

        state = ckpt.TrainingState(1, small_config(), "shapes", None)
        tokenizer = train_tokenizer(["a red circle"], 300, 16)
        with pytest.raises(InputError, match="taken over"):
            save_tensors(tmp_path, state, groups(1.0), tokenizer, lost, writes=rank == 0)

    assert ended(on_ranks(2, saves)) == [0, 0]
    assert ckpt.list_checkpoints(tmp_path) == []


@pytest.mark.parametrize("world", [2, 4])
def test_each_rank_reads_its_rows_of_what_two_wrote(tmp_path, world):
    assert ended(on_ranks(2, lambda rank: save(tmp_path, 5))) == [0, 0]

    def reads(rank: int) -> None:
        wanted, targets = groups(5.0)["model"], dict(groups(0.0)["model"])
        copy_tensors(ckpt.latest_checkpoint(tmp_path), "model", targets)
        for name, tensor in targets.items():
            ours, theirs = (t.full_tensor() if hasattr(t, "full_tensor") else t for t in (tensor, wanted[name]))
            assert torch.equal(ours, theirs)

    assert ended(on_ranks(world, reads)) == [0] * world
