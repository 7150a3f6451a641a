"""Settings of the masking as something to pick and to take along: presets, the fields that matter, and the
same settings as `--set` assignments, as a command line and as Python.

It draws no ratios (`masking_study` does) and knows nothing of figures.
"""

import shlex
from dataclasses import dataclass, fields, replace
from typing import Any

from dream.config import DreamConfig, MaskingConfig, ObjectiveConfig
from dream.masking import RatioDistribution
from dream.presets import SIZES, preset

COUNTING = ("min_visible", "min_masked")
"""Fields of the objective that say which groups count in which loss."""

_WARMUP_ONLY = ("center_start", "hold", "warmup_end", "shape")
_NORMAL_ONLY = (*_WARMUP_ONLY, "center_end", "std", "std_end", "moving_interval")
IDLE = {"warmup": (), "constant": _WARMUP_ONLY, "uniform": _NORMAL_ONLY, "never": (*_NORMAL_ONLY, "low", "high")}
"""Fields that a schedule does not read."""


@dataclass(frozen=True)
class Preset:
    """A masking with a name."""

    name: str
    about: str
    """One line: who uses it, or what it changes."""
    masking: MaskingConfig


def presets() -> list[Preset]:
    """The maskings to start from: the published one, ours, the baselines', then the authors' variants."""
    paper = MaskingConfig()
    constant, tiny = preset("base", "mar").masking, preset("tiny").masking
    return [
        Preset("Paper", "location 0 to 1 over 75 % of the training, one ratio a rank", paper),
        Preset("tiny", "the same with 8 stratified groups, 3 of them where painting counts", tiny),
        Preset("Constant (MAR)", "always much hidden, for painting alone: MAR, FLUID", idle_reset(constant)),
        Preset("Uniform", "every ratio equally often, all the time", MaskingConfig(schedule="uniform")),
        Preset("None (CLIP)", "nothing hidden, for contrast alone: CLIP", MaskingConfig(schedule="never")),
        Preset("Cosine", "the location starts and arrives gently", replace(paper, shape="cosine")),
        Preset("Hold", "a quarter of the training before the location moves", replace(paper, hold=0.25)),
        Preset("To the end", "the location arrives with the last step", replace(paper, warmup_end=1.0)),
        Preset("Moving", "only ratios within a spread of the location", replace(paper, moving_interval=True)),
        Preset("Widening", "the spread grows over the training", replace(paper, std=0.25, std_end=0.65)),
    ]


def preset_of(masking: MaskingConfig) -> str | None:
    """Name of the preset that these settings are, if they are one."""
    return next((found.name for found in presets() if found.masking == masking), None)


def idle_reset(masking: MaskingConfig) -> MaskingConfig:
    """The same distribution at every moment, with the fields that its schedule does not read at their
    defaults.
    """
    default = MaskingConfig()
    return replace(masking, **{name: getattr(default, name) for name in IDLE[masking.schedule]})


def check_masking(masking: MaskingConfig, objective: ObjectiveConfig) -> None:
    """Raises InputError for settings that training refuses."""
    base = DreamConfig()
    batch = replace(base.train, batch_size=masking.groups * base.train.accumulate)
    replace(base, masking=masking, objective=objective, train=batch)


def used_parts(whole: RatioDistribution, masking: MaskingConfig, objective: ObjectiveConfig) -> list[RatioDistribution]:
    """What the groups draw from: the distribution itself, or its parts for generation and for contrast."""
    if masking.generation_share is None:
        return [whole]
    return [whole.restricted(objective.min_masked, 1.0), whole.restricted(0.0, 1.0 - objective.min_visible)]


def assignments(masking: MaskingConfig, objective: ObjectiveConfig, base: DreamConfig) -> list[str]:
    """`section.key=value` for each field in which the settings differ from `base`; `override` reads them."""
    found = []
    for section, wanted, names in (
        ("masking", masking, [field.name for field in fields(MaskingConfig)]),
        ("objective", objective, list(COUNTING)),
    ):
        before = getattr(base, section)
        for name in names:
            if getattr(wanted, name) != getattr(before, name):
                found.append(f"{section}.{name}={_text(getattr(wanted, name))}")
    return found


def command(changes: list[str], size: str = "tiny", out: str = "runs/masking") -> str:
    """The `dream train` line that trains a preset with these assignments, ten minutes on drawn shapes."""
    line = f"dream train --preset {size} --data shapes --minutes 10 --out {shlex.quote(out)}"
    return line + (" \\\n  --set " + " ".join(map(shlex.quote, changes)) if changes else "")


def python(masking: MaskingConfig, objective: ObjectiveConfig, size: str = "tiny") -> str:
    """Python text that makes the same configuration; it leaves it in `config`."""
    base = SIZES[size]()
    counting = {name: getattr(objective, name) for name in COUNTING}
    changed = {name: value for name, value in counting.items() if value != getattr(base.objective, name)}
    lines = ["from dataclasses import replace", "", "from dream.config import MaskingConfig"]
    lines += ["from dream.presets import preset", "", f"config = preset({size!r})"]
    lines += ["config = replace(", "    config,", f"    masking=MaskingConfig({_own(masking)}),"]
    if changed:
        parts = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        lines.append(f"    objective=replace(config.objective, {parts}),")
    return "\n".join([*lines, ")"])


def preset_config(size: str) -> DreamConfig:
    """The configuration of a size by name; raises InputError naming the nearest."""
    return preset(size)


def _own(masking: MaskingConfig) -> str:
    default = MaskingConfig()
    changed = {f.name: getattr(masking, f.name) for f in fields(masking)}
    return ", ".join(f"{k}={v!r}" for k, v in changed.items() if v != getattr(default, k))


def _text(value: Any) -> str:
    """A value as `--set` reads it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)
