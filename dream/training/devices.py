"""Devices and ranks through Lightning Fabric: set-up, sharding, and agreement of ranks.

Besides, only `loggers.py` imports Fabric.
"""

import logging
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.errors import InputError
from dream.model.dream import Dream
from dream.plain_text import whole_number
from dream.training.launchers import find_launcher, follow, forget_fabric_run
from dream.training.request import TrainRequest

__all__ = [
    "Fabric",
    "build_fabric",
    "joined_ranks",
    "launch",
    "most_of_ranks",
    "shard",
    "started_ranks",
    "sum_over_ranks",
]

Made = TypeVar("Made")


def build_fabric(request: TrainRequest, config: DreamConfig) -> Fabric:
    """Fabric that knows its ranks, before it starts them; raises InputError for devices that cannot be had here."""
    for name in ("lightning_fabric", "lightning_utilities"):  # "Initializing distributed: ...", "Using bfloat16 ..."
        logging.getLogger(name).setLevel(logging.WARNING)
    launcher = find_launcher()
    request = follow(request, launcher)
    forget_fabric_run()
    if request.strategy == "fsdp" and config.train.optimizer == "muon":
        raise InputError("fsdp shards the matrices that Muon needs whole: use ddp, or --set train.optimizer=adamw")
    try:
        fabric = Fabric(
            accelerator=request.accelerator,
            devices=request.devices,
            num_nodes=request.num_nodes,
            strategy=_strategy(request, config.train.rank_timeout),
            precision=config.train.precision,  # type: ignore[arg-type]
            # a job of one task, started without srun: Fabric would take it for a rank of srun's
            plugins=[LightningEnvironment()] if launcher is None and "SLURM_NTASKS" in os.environ else None,
        )
    except Exception as error:  # Fabric raises errors of many kinds
        raise InputError(
            f"cannot train with --accelerator {request.accelerator} --devices {request.devices} "
            f"--strategy {request.strategy}: {str(error).splitlines()[0]}"
        ) from error
    _check_batch(config, fabric.world_size)
    return fabric


def shard(model: nn.Module, mesh: Any) -> nn.Module:
    """The model with its parameters sharded over all ranks of `mesh`, block by block (FSDP 2)."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    assert isinstance(model, Dream)
    # of keys and values, which nothing changes in place
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    ranks = init_device_mesh(mesh.device_type, (dist.get_world_size(),))
    for block in model.decoder.blocks:
        # keys and values are computed before the block, so they are a unit of their own
        fully_shard(block.cross_attn, mesh=ranks)  # type: ignore[arg-type]
        register_fsdp_forward_method(block.cross_attn, "keys_values")  # type: ignore[arg-type]
    for stack in (model.encoder, model.decoder, model.aligner, model.text_tower):
        for block in stack.blocks:
            fully_shard(block, mesh=ranks)
    # a scalar cannot be sharded; its gradient is averaged where it is used (`with_mean_gradient`)
    fully_shard(model, mesh=ranks, ignored_params={model.logit_scale})
    register_fsdp_forward_method(model, "contrast_rows")  # type: ignore[arg-type]
    return model


def most_of_ranks(fabric: Fabric, *numbers: int) -> list[int]:
    """The largest of each number (or flag) on any rank. Every rank must call it, or the others wait for it."""
    if fabric.world_size == 1:
        return list(numbers)
    tensor = torch.tensor(numbers, dtype=torch.int32, device=fabric.device)
    return fabric.all_reduce(tensor, reduce_op="max").tolist()  # type: ignore[union-attr]


def sum_over_ranks(fabric: Fabric, tensor: Tensor) -> Tensor:
    """The sum of every rank's tensor."""
    return tensor if fabric.world_size == 1 else fabric.all_reduce(tensor.clone(), reduce_op="sum")  # type: ignore[return-value]


def launch(fabric: Fabric, make: Callable[[], Made]) -> Made:
    """Starts the ranks; returns on every one what `make` returns on rank 0, which calls it before.

    An error of rank 0 is raised on every rank, or before any other rank is started, if it is this process that starts
    them: a rank that ends while others wait for it would have them killed.
    """
    made: Made | None = None
    error: Exception | None = None
    if fabric.global_rank == 0:
        try:
            made = make()
        except Exception as raised:  # whatever it is, the others must not wait for what never comes
            error = raised
    if error is not None and _starts_all_ranks(fabric):
        raise error
    fabric.launch()
    if fabric.world_size > 1:
        made, error = fabric.broadcast((made, error))
    if error is not None:
        raise error
    return made  # type: ignore[return-value]


@contextmanager
def joined_ranks(timeout: float) -> Iterator[Fabric | None]:
    """Joins, for the block, the ranks of which a launcher started this process as one; None if it was started alone.

    They agree through gloo, whatever computes: nothing of size is sent. A collective waits at most `timeout` seconds.
    Without the end of the group a thread of gloo may still run when Python ends, which aborts a rank.
    """
    launcher = find_launcher()
    if launcher is None or launcher.ranks_here * launcher.machines == 1:
        yield None
        return
    for name in ("lightning_fabric", "lightning_utilities"):
        logging.getLogger(name).setLevel(logging.WARNING)
    forget_fabric_run()
    fabric = Fabric(
        accelerator="cpu",
        devices=launcher.ranks_here,
        num_nodes=launcher.machines,
        strategy=DDPStrategy(timeout=timedelta(seconds=timeout)),
    )
    fabric.launch()
    try:
        yield fabric
    finally:
        dist.destroy_process_group()


def started_ranks(fabric: Fabric) -> "list[subprocess.Popen[bytes]]":
    """The ranks that this process has started."""
    return list(getattr(fabric.strategy.launcher, "procs", ()))


def _strategy(request: TrainRequest, timeout: float) -> Any:
    """The strategy for Fabric, whose collectives wait for `timeout` seconds at most."""
    wait = timedelta(seconds=timeout)
    if request.strategy == "fsdp":
        return ModelParallelStrategy(shard, timeout=wait)
    if request.strategy == "ddp" or _ranks_here(request) * request.num_nodes > 1:
        return DDPStrategy(timeout=wait)
    return "auto"


def _ranks_here(request: TrainRequest) -> int:
    """Ranks on this machine, as Fabric will count them."""
    if request.devices in ("auto", "-1"):
        return max(1, torch.cuda.device_count()) if request.accelerator in ("auto", "gpu", "cuda") else 1
    if "," in request.devices:
        return sum(1 for device in request.devices.split(",") if device.strip())
    return whole_number(request.devices) or 1


def _starts_all_ranks(fabric: Fabric) -> bool:
    """Whether no other rank exists until this process starts it."""
    environment = getattr(fabric.strategy, "cluster_environment", None)
    if fabric.world_size == 1 or environment is None:
        return True
    return not environment.creates_processes_externally and getattr(fabric.strategy, "num_nodes", 1) == 1


def _check_batch(config: DreamConfig, ranks: int) -> None:
    size, pieces = config.train.batch_size, ranks * config.train.accumulate
    if size % pieces:
        fitting = ", ".join(str(n) for n in range(1, ranks + 1) if size % (n * config.train.accumulate) == 0)
        raise InputError(
            f"train.batch_size = {size} cannot be shared equally by {ranks} ranks with train.accumulate = "
            f"{config.train.accumulate}: it must be a multiple of {pieces}; up to {ranks} ranks, {fitting} would do"
        )
