"""Recognises who started this process as one of many ranks: torchrun, `fabric run` or srun. Imports no torch.

Such a launcher has decided on the number of ranks; a request that says nothing follows it, and one that says otherwise
is refused: a process that ignored its launcher would be a training of its own, in the folder of the others.
"""

import os
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from dream.errors import InputError
from dream.plain_text import whole_number
from dream.training.request import TrainRequest

Environment = MutableMapping[str, str]
_FABRIC = "LT_CLI_USED"
_PRECISIONS = {"bf16": "bf16-mixed", "32": "32-true"}
"""Other names of precisions."""


@dataclass(frozen=True)
class Launcher:
    """The program that started the ranks."""

    name: str
    ranks_here: int
    """Ranks on this machine."""
    machines: int


def find_launcher(environment: Environment = os.environ) -> Launcher | None:
    """The launcher of this process; None if it was started alone and may start ranks itself."""
    if "TORCHELASTIC_RUN_ID" in environment:
        name = "fabric run" if _FABRIC in environment else "torchrun"
        return Launcher(name, _number(environment, "LOCAL_WORLD_SIZE"), _number(environment, "GROUP_WORLD_SIZE"))
    tasks, machines = _number(environment, "SLURM_NTASKS"), _number(environment, "SLURM_NNODES")
    if tasks > 1 and environment.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        if tasks % machines:
            raise InputError(f"srun started {tasks} tasks on {machines} machines: use --ntasks-per-node=N")
        return Launcher("srun", tasks // machines, machines)
    return None


class WorkShare(NamedTuple):
    """One of several processes that share work, by its number from 0 on."""

    number: int
    workers: int


def parse_part(text: str) -> WorkShare:
    """The share that `--part I/N` names, I from 1 on; raises InputError for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--part must be I/N with 1 <= I <= N, e.g. 1/8, got '{text}'")
    return WorkShare(int(match[1]) - 1, int(match[2]))


def rank_of_world(environment: Environment = os.environ) -> tuple[int, int]:
    """The number of this process, and of all that its launcher started; (0, 1) if it was started alone."""
    launcher = find_launcher(environment)
    if launcher is None:
        return 0, 1
    name = "SLURM_PROCID" if launcher.name == "srun" else "RANK"
    return _number(environment, name, least=0), launcher.ranks_here * launcher.machines


def local_rank(environment: Environment = os.environ) -> int:
    """The number of this process on its machine."""
    return _number(environment, "SLURM_LOCALID" if "SLURM_LOCALID" in environment else "LOCAL_RANK", least=0)


def is_started_as_rank(environment: Environment = os.environ) -> bool:
    """Whether the process that started this one watches over ranks, so that this rank should end with it."""
    return find_launcher(environment) is not None or environment.get("LOCAL_RANK", "0") != "0"


def follow(request: TrainRequest, launcher: Launcher | None, environment: Environment = os.environ) -> TrainRequest:
    """The request with the devices, machines and strategy of its launcher; raises InputError if it says otherwise."""
    if launcher is None:
        return request
    if whole_number(request.devices) not in (None, launcher.ranks_here):
        raise InputError(
            f"{launcher.name} started {launcher.ranks_here} ranks on this machine and --devices says "
            f"{request.devices}: leave out --devices, or give both the same number"
        )
    if request.num_nodes not in (1, launcher.machines):
        raise InputError(
            f"{launcher.name} started ranks on {launcher.machines} machines and --num-nodes says {request.num_nodes}: "
            "leave out --num-nodes"
        )
    given = {"strategy": environment.get("LT_STRATEGY"), "accelerator": environment.get("LT_ACCELERATOR")}
    for option, value in given.items():
        if value and getattr(request, option) not in ("auto", value):
            raise InputError(
                f"{launcher.name} has --{option} {value} and dream --{option} {getattr(request, option)}: give one"
            )
    return replace(
        request,
        strategy=given["strategy"] or request.strategy,
        accelerator=given["accelerator"] or request.accelerator,
        devices=request.devices if "," in request.devices else str(launcher.ranks_here),
        num_nodes=launcher.machines,
    )


def launcher_precision(environment: Environment = os.environ) -> str | None:
    """The `--precision` that `fabric run` took, which it also takes from behind the script's name."""
    precision = environment.get("LT_PRECISION") if _FABRIC in environment else None
    return _PRECISIONS.get(precision, precision) if precision else None


def forget_fabric_run(environment: Environment = os.environ) -> None:
    """Removes what `fabric run` left for Fabric: it is torchrun then, and nothing is decided twice."""
    for name in (_FABRIC, "LT_DEVICES", "LT_NUM_NODES", "LT_STRATEGY", "LT_ACCELERATOR", "LT_PRECISION"):
        environment.pop(name, None)


def _number(environment: Environment, name: str, least: int = 1) -> int:
    try:
        return max(least, int(environment.get(name, least)))
    except ValueError:
        return least
