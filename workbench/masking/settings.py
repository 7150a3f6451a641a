"""Masking settings: presets, the fields each schedule reads, and export as `--set` assignments, command or Python."""

import shlex
from dataclasses import dataclass, fields, replace
from typing import Any

from dream.config import DreamConfig, MaskingConfig, ObjectiveConfig
from dream.masking import RatioDistribution
from dream.presets import SIZES, preset

COUNTING = ("min_visible", "min_masked")
"""Fields of the objective that decide which groups count in which loss."""

_WARMUP_ONLY = ("center_start", "hold", "warmup_end", "shape")
_NORMAL_ONLY = (*_WARMUP_ONLY, "center_end", "std", "std_end", "moving_interval")
IDLE = {"warmup": (), "constant": _WARMUP_ONLY, "uniform": _NORMAL_ONLY, "never": (*_NORMAL_ONLY, "low", "high")}
"""Fields that a schedule ignores."""


@dataclass(frozen=True)
class Preset:
    """A named masking."""

    name: str
    about: str
    """One line on who uses it or what it changes."""
    masking: MaskingConfig


def presets() -> list[Preset]:
    """Returns the maskings to start from: published, ours, those of the baselines, then variants by the authors."""
    paper = MaskingConfig()
    constant, tiny = preset("base", "mar").masking, preset("tiny").masking
    return [
        Preset("Paper", "location moves from 0 to 1 over 75 % of the training, one ratio per rank", paper),
        Preset("tiny", "as Paper, with 8 stratified groups, 3 of them for generation", tiny),
        Preset("Constant (MAR)", "most tokens always hidden, for generation only: MAR, FLUID", idle_reset(constant)),
        Preset("Uniform", "all ratios equally likely, all the time", MaskingConfig(schedule="uniform")),
        Preset("None (CLIP)", "nothing hidden, for contrast only: CLIP", MaskingConfig(schedule="never")),
        Preset("Cosine", "the location eases in and out", replace(paper, shape="cosine")),
        Preset("Hold", "the location rests for the first quarter of the training", replace(paper, hold=0.25)),
        Preset("To the end", "the location reaches its end at the last step", replace(paper, warmup_end=1.0)),
        Preset("Moving", "only ratios within one spread of the location", replace(paper, moving_interval=True)),
        Preset("Widening", "the spread grows over the training", replace(paper, std=0.25, std_end=0.65)),
    ]


def preset_of(masking: MaskingConfig) -> str | None:
    """Returns the name of the preset with these settings, or None."""
    return next((known.name for known in presets() if known.masking == masking), None)


def idle_reset(masking: MaskingConfig) -> MaskingConfig:
    """Resets the fields that the schedule ignores to their defaults; the distribution stays the same."""
    default = MaskingConfig()
    return replace(masking, **{name: getattr(default, name) for name in IDLE[masking.schedule]})


def check_masking(masking: MaskingConfig, objective: ObjectiveConfig) -> None:
    """Raises InputError for settings that training rejects."""
    base = DreamConfig()
    batch = replace(base.train, batch_size=masking.groups * base.train.accumulate)
    replace(base, masking=masking, objective=objective, train=batch)


def used_parts(whole: RatioDistribution, masking: MaskingConfig, objective: ObjectiveConfig) -> list[RatioDistribution]:
    """Returns what groups draw from: the whole distribution, or its parts for generation and for contrast."""
    if masking.generation_share is None:
        return [whole]
    return [whole.restricted(objective.min_masked, 1.0), whole.restricted(0.0, 1.0 - objective.min_visible)]


def assignments(masking: MaskingConfig, objective: ObjectiveConfig, base: DreamConfig) -> list[str]:
    """Returns `section.key=value` for each field that differs from `base`; `override` reads them."""
    changes = []
    for section, wanted, names in (
        ("masking", masking, [field.name for field in fields(MaskingConfig)]),
        ("objective", objective, list(COUNTING)),
    ):
        before = getattr(base, section)
        for name in names:
            if getattr(wanted, name) != getattr(before, name):
                changes.append(f"{section}.{name}={_text(getattr(wanted, name))}")
    return changes


def command(changes: list[str], size: str = "tiny", out: str = "runs/masking") -> str:
    """Returns the `dream train` command for a preset with these assignments: ten minutes on drawn shapes."""
    line = f"dream train --preset {size} --data shapes --minutes 10 --out {shlex.quote(out)}"
    return line + (" \\\n  --set " + " ".join(map(shlex.quote, changes)) if changes else "")


def python(masking: MaskingConfig, objective: ObjectiveConfig, size: str = "tiny") -> str:
    """Returns Python code for the same configuration, in the variable `config`."""
    base = SIZES[size]()
    counting = {name: getattr(objective, name) for name in COUNTING}
    changed = {name: value for name, value in counting.items() if value != getattr(base.objective, name)}
    lines = ["from dataclasses import replace", "", "from dream.config import MaskingConfig"]
    lines += ["from dream.presets import preset", "", f"config = preset({size!r})"]
    lines += ["config = replace(", "    config,", f"    masking=MaskingConfig({_own(masking)}),"]
    if changed:
        values = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        lines.append(f"    objective=replace(config.objective, {values}),")
    return "\n".join([*lines, ")"])


def preset_config(size: str) -> DreamConfig:
    """Returns the configuration of a size; raises InputError with the nearest name."""
    return preset(size)


def _own(masking: MaskingConfig) -> str:
    default = MaskingConfig()
    changed = {f.name: getattr(masking, f.name) for f in fields(masking)}
    return ", ".join(f"{k}={v!r}" for k, v in changed.items() if v != getattr(default, k))


def _text(value: Any) -> str:
    """Formats a value for `--set`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)
