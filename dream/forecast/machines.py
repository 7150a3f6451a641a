"""Accelerators that a forecast knows: peak rate of dense bfloat16 products, memory and power, as their makers state."""

import re
from dataclasses import dataclass

from dream.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Machine:
    """One accelerator."""

    name: str
    flops: float
    """FLOP/s of dense products in bfloat16 (in float16 where it has no bfloat16)."""
    flops_32: float
    """FLOP/s in float32, with TF32 where it has that."""
    memory: float
    """Bytes; infinite if it is not known."""
    watts: float
    """Power of the whole board under load; 0 if it is not known."""


MACHINES = {
    each.name: each
    for each in (
        Machine("v100", 112e12, 14e12, 32e9, 300),
        Machine("a100", 312e12, 156e12, 80e9, 400),
        Machine("a100-40", 312e12, 156e12, 40e9, 400),
        Machine("l40s", 362e12, 183e12, 48e9, 350),
        Machine("rtx4090", 165e12, 83e12, 24e9, 450),
        Machine("h100", 989e12, 495e12, 80e9, 700),
        Machine("h200", 989e12, 495e12, 141e9, 700),
        Machine("b200", 2250e12, 1100e12, 180e9, 1000),
        Machine("mi300x", 1307e12, 654e12, 192e9, 750),
    )
}


def machine_of(name: str) -> Machine:
    """The accelerator of a name, or one of so many TFLOP/s (`420tflops`); raises InputError for any other name."""
    key = name.strip().lower()
    if key in MACHINES:
        return MACHINES[key]
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*tflops", key):
        rate = 1e12 * float(match[1])
        return Machine(key, rate, rate, float("inf"), 0.0)
    raise InputError(
        f"unknown --gpu '{name}'{did_you_mean(key, MACHINES)}: known are {', '.join(MACHINES)}; "
        "of another one give its rate, e.g. --gpu 420tflops"
    )
