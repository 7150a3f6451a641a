"""Gloo ranks on the CPU: on tar shards and folders, 1, 2, 3 and 4 ranks train alike, and go on as another number.

The first losses agree to a relative 1e-5, which is the summation order. Later ones agree to 2e-3, because Adam's first
steps are as large where the gradient is but rounding.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dream.config import DreamConfig
from dream.training import run_log
from dream.training.checkpoint import checkpoint_folder, latest_checkpoint, read_state
from tests.dream.data.test_sources import write_folder, write_shards
from tests.dream.training.test_resume import stop_after
from tests.dream.training.training_small import run_training, small_config, train_on_ranks, weights, without_dropout

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
STEPS = 6


def both(**changes: object) -> DreamConfig:
    """Both objectives, 12 pictures in 4 ratio groups, over some epochs of a small source.

    Adam's first steps are as long for a gradient of rounding errors as for any other, so they are short here.
    """
    fixed = {"steps": STEPS, "batch_size": 12, "log_every": 1, "optimizer": "adamw", "lr": 1e-4, "evaluations": 1}
    changes = {**fixed, **changes}
    config = small_config(**changes)
    return without_dropout(replace(config, data=replace(config.data, flip=True)))


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> str:
    return write_shards(tmp_path_factory.mktemp("shards"), 3, 13)


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory, shards) -> Path:
    out = tmp_path_factory.mktemp("one") / "run"
    run_training(out, both(), source=shards)
    return out


def rows(run: Path, kind: str, name: str) -> list[float]:
    return [row[name] for row in run_log.read_metrics(run, kind)]


def agrees(run: Path, one: Path) -> None:
    """Both runs saw the same global batches: losses and gradients differ by rounding only."""
    for name in ("loss", "contrastive_loss", "generative_loss", "grad_norm"):
        ours, theirs = rows(run, "train", name), rows(one, "train", name)
        assert ours[0] == pytest.approx(theirs[0], rel=1e-5), name
        assert ours == pytest.approx(theirs, rel=2e-3), name
    for name in ("mask_ratios", "contrastive_share", "generative_share", "step"):
        assert rows(run, "train", name) == rows(one, "train", name), name
    ours, theirs = (flat(weights(each, "optimizer")) for each in (run, one))
    assert (ours - theirs).norm() < 0.01 * theirs.norm()
    assert read_state(latest_checkpoint(run)).position == read_state(latest_checkpoint(one)).position


def flat(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """The first moments, which are sums of gradients, in one row."""
    return torch.cat([tensors[key].flatten() for key in sorted(tensors) if key.endswith("/exp_avg")])


@pytest.mark.parametrize(("world", "accumulate"), [(1, 3), (2, 1), (2, 3), (3, 2), (4, 1)])
def test_any_ranks_with_any_accumulation_train_alike_on_tar_shards(tmp_path, shards, one_rank, world, accumulate):
    train_on_ranks(world, out=tmp_path / "run", source=shards, config=both(accumulate=accumulate))
    agrees(tmp_path / "run", one_rank)
    (pictures, *_) = rows(one_rank, "validation", "retrieval_among")
    if pictures % world == 0:  # otherwise the ranks leave a rest out
        ours, theirs = (rows(run, "validation", "loss") for run in (tmp_path / "run", one_rank))
        assert ours == pytest.approx(theirs, rel=2e-3)
    assert len(list((tmp_path / "run").glob("report*.json"))) == world


def test_ranks_train_alike_on_a_folder_with_broken_pictures(tmp_path):
    folder = write_folder(tmp_path / "pictures", 40)
    for path in sorted(folder.glob("*.png"))[::9]:
        path.write_bytes(b"no picture")
    run_training(tmp_path / "one", both(), source=str(folder))
    train_on_ranks(2, out=tmp_path / "two", source=str(folder), config=both())
    agrees(tmp_path / "two", tmp_path / "one")


def test_with_dropout_it_is_the_size_of_a_micro_batch_that_counts(tmp_path, shards):
    config = small_config(steps=3, batch_size=12, log_every=1, optimizer="adamw")
    assert config.encoder.dropout > 0
    run_training(tmp_path / "one", replace(config, train=replace(config.train, accumulate=4)), source=shards)
    for world in (2, 4):
        train = replace(config.train, accumulate=4 // world)
        train_on_ranks(world, out=tmp_path / str(world), source=shards, config=replace(config, train=train))
        agrees(tmp_path / str(world), tmp_path / "one")


def test_a_training_of_two_ranks_goes_on_with_1_3_or_4_at_the_same_picture(tmp_path, shards, one_rank, monkeypatch):
    stop_after(monkeypatch, 2)
    train_on_ranks(2, out=tmp_path / "two", source=shards, config=both())
    monkeypatch.undo()
    beat = run_log.read_heartbeat(tmp_path / "two")
    assert beat is not None and (beat.status, beat.step) == ("stopped", 3)
    for world in (1, 3, 4):
        out = tmp_path / str(world)
        shutil.copytree(tmp_path / "two", out)
        train_on_ranks(world, out=out, resume=True)
        agrees(out, one_rank)
        events = [event["event"] for event in run_log.read_record(out)["history"]]
        assert events == ["started", "planned", "resumed", "planned"]


def test_sharded_ranks_train_alike_and_accumulate(tmp_path, shards, one_rank):
    """FSDP wants GPUs for speed only: the sharded parameters, their averages and moments come back whole."""
    config = both(accumulate=2)
    train_on_ranks(2, out=tmp_path / "run", source=shards, config=config, strategy="fsdp")
    agrees(tmp_path / "run", one_rank)
    train_on_ranks(2, out=tmp_path / "run", strategy="fsdp", resume=True, steps=1)
    assert latest_checkpoint(tmp_path / "run") == checkpoint_folder(tmp_path / "run", STEPS + 1)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_both_objectives_train_where_ranks_mask_differently(tmp_path, strategy):
    """A rank may have no picture that counts while the other has: nobody waits for ever."""
    config = without_dropout(small_config(steps=6, log_every=1, evaluations=1, samples=1, optimizer="adamw"))
    config = replace(config, masking=replace(config.masking, groups=2, generation_share=0.5))
    train_on_ranks(2, out=tmp_path / "run", source="shapes", config=config, strategy=strategy)
    assert all(bool(tensor.isfinite().all()) for tensor in weights(tmp_path / "run").values())
    assert (tmp_path / "run/samples/step-00000006.png").is_file()


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_ranks_measure_together_and_agree_on_the_steps(tmp_path, strategy):
    config = small_config(steps=None, minutes=0.3, evaluations=2, samples=1, optimizer="adamw")
    train_on_ranks(2, out=tmp_path / "run", source="shapes", config=config, strategy=strategy)
    record, beat = run_log.read_record(tmp_path / "run"), run_log.read_heartbeat(tmp_path / "run")
    assert beat is not None and beat.status == "finished" and record["legs"] == [beat.step]


def test_a_batch_that_ranks_cannot_share_is_refused_with_what_would_do(tmp_path, capfd):
    with pytest.raises(AssertionError):
        train_on_ranks(5, out=tmp_path / "run", source="shapes", config=both())
    said = capfd.readouterr().err
    assert "12 cannot be shared equally by 5 ranks" in said and "1, 2, 3, 4 would do" in said
    assert "Traceback" not in said and not (tmp_path / "run").exists()
