"""Two gloo ranks on the CPU: the same losses as one rank on the same pictures, by self-launch and under
`fabric run`."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dream.config import DreamConfig
from dream.presets import clip
from dream.training import run_log
from dream.training.checkpoint import latest_checkpoint, read_state
from tests.dream.training.test_resume import wait_for
from tests.dream.training.training_small import command, settings, small_config, start, weights

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SCRIPT = str(ROOT / "tests/dream/training/shared_batches.py")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def calm(config: DreamConfig) -> DreamConfig:
    """Without dropout, whose draws differ by rank."""
    parts = {name: replace(getattr(config, name), dropout=0.0) for name in ("encoder", "decoder")}
    return replace(config, **parts)


def arguments(out: Path, config: DreamConfig, *more: str) -> list[str]:
    return ["train", "--data", "shapes", "--out", str(out), *more, *settings(config)]


def finish(arguments: list[str], log: Path) -> None:
    process = start(arguments, log, **ENVIRONMENT)
    try:
        assert process.wait(timeout=240) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory) -> Path:
    """Contrast only, nothing masked: three steps on one rank."""
    folder = tmp_path_factory.mktemp("one")
    finish([sys.executable, SCRIPT, *arguments(folder / "run", contrast(), "--devices", "1")], folder / "log")
    return folder / "run"


def contrast() -> DreamConfig:
    return calm(clip(small_config(steps=3, log_every=1, evaluations=1, optimizer="adamw")))


def rows(run: Path, kind: str, name: str) -> list[float]:
    return [row[name] for row in run_log.read_metrics(run, kind)]


def agrees(two: Path, one: Path) -> None:
    """Both runs saw the same global batches: losses and gradients differ by rounding only."""
    for name in ("contrastive_loss", "contrastive_accuracy", "grad_norm"):
        assert rows(two, "train", name) == pytest.approx(rows(one, "train", name), rel=1e-3), name
    for ours, theirs in zip(*(rows(run, "validation", "contrastive_by_ratio") for run in (two, one)), strict=True):
        assert ours["0.00"] == pytest.approx(theirs["0.00"], rel=1e-3)
    ours, theirs = (flat(weights(run, "optimizer")) for run in (two, one))
    # Adam's first steps are as large where the gradient is but rounding, so runs drift apart a little
    assert (ours - theirs).norm() < 0.03 * theirs.norm()


def flat(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """The first moments, which are sums of gradients, in one row."""
    return torch.cat([tensors[key].flatten() for key in sorted(tensors) if key.endswith("/exp_avg")])


def test_self_launched_ranks_give_the_contrastive_loss_of_the_whole_batch(tmp_path, one_rank):
    more = ("--devices", "2", "--strategy", "ddp", "--accelerator", "cpu")
    finish([sys.executable, SCRIPT, *arguments(tmp_path / "run", contrast(), *more)], tmp_path / "log")
    agrees(tmp_path / "run", one_rank)
    assert len(read_state(latest_checkpoint(tmp_path / "run")).positions) == 2
    assert (tmp_path / "run/report-rank1.json").is_file()


def test_ranks_of_fabric_run_do_too(tmp_path, one_rank):
    fabric = str(Path(sys.executable).with_name("fabric"))
    launcher = [fabric, "run", "--accelerator", "cpu", "--devices", "2", "--strategy", "ddp"]
    finish([*launcher, SCRIPT, *arguments(tmp_path / "run", contrast())], tmp_path / "log")
    agrees(tmp_path / "run", one_rank)


def test_sharded_ranks_do_too(tmp_path, one_rank):
    """FSDP wants GPUs for speed only: the sharded parameters, their averages and moments come back whole."""
    more = ("--devices", "2", "--strategy", "fsdp", "--accelerator", "cpu")
    started = [sys.executable, SCRIPT, *arguments(tmp_path / "run", contrast(), *more)]
    finish(started, tmp_path / "log")
    agrees(tmp_path / "run", one_rank)
    finish([*started, "--resume", "--steps", "1"], tmp_path / "log")
    assert latest_checkpoint(tmp_path / "run").name == "step-00000004"


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_both_objectives_train_where_ranks_mask_differently(tmp_path, strategy):
    """A rank may have no picture that counts while the other has: nobody waits for ever."""
    config = calm(small_config(steps=6, log_every=1, evaluations=1, samples=1, optimizer="adamw"))
    config = replace(config, masking=replace(config.masking, groups=1, generation_share=None))
    more = ("--devices", "2", "--strategy", strategy, "--accelerator", "cpu")
    finish(
        command("train", "--data", "shapes", "--out", str(tmp_path / "run"), *more, *settings(config)), tmp_path / "log"
    )
    assert all(bool(tensor.isfinite().all()) for tensor in weights(tmp_path / "run").values())
    assert (tmp_path / "run/samples/step-00000006.png").is_file()


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_ranks_measure_together_and_agree_on_the_steps(tmp_path, strategy):
    config = small_config(steps=None, minutes=0.3, evaluations=2, samples=1, optimizer="adamw")
    more = ("--devices", "2", "--strategy", strategy, "--accelerator", "cpu")
    finish(command(*arguments(tmp_path / "run", config, *more)), tmp_path / "log")
    record, beat = run_log.read_record(tmp_path / "run"), run_log.read_heartbeat(tmp_path / "run")
    assert beat is not None and beat.status == "finished" and record["legs"] == [beat.step]


def test_a_signal_to_one_rank_stops_both(tmp_path):
    more = ("--devices", "2", "--strategy", "ddp", "--accelerator", "cpu")
    config = small_config(steps=100000, log_every=1)
    run, log = tmp_path / "run", tmp_path / "log"
    process = start(
        command("train", "--data", "shapes", "--out", str(run), *more, *settings(config)), log, **ENVIRONMENT
    )
    try:
        wait_for(lambda: len(run_log.read_metrics(run)) > 3, process, log)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert read_state(latest_checkpoint(run)).step > 3
    beat = run_log.read_heartbeat(run)
    assert beat is not None and beat.status == "stopped"
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(run).values())
