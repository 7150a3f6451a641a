"""Converts a masking to the values of a form's controls and back, for the page and the notebooks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from dream.config import MaskingConfig, ObjectiveConfig
from workbench.masking.settings import COUNTING, idle_reset

SCHEDULES = {"warmup": "Warm-up", "constant": "Constant", "uniform": "Uniform", "never": "None"}
SHAPES = {"linear": "Linear", "cosine": "Cosine"}
GROUPS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of groups offered."""
GENERATION_SHARE = 0.375
"""Initial share of the groups for generation: that of the small presets."""


class Settings(NamedTuple):
    """Settings of the masking form."""

    masking: MaskingConfig
    objective: ObjectiveConfig
    grid: int
    """Tokens per side."""

    @property
    def num_tokens(self) -> int:
        """N, tokens per picture."""
        return self.grid**2


def masking_settings_of(values: Mapping[str, Any], objective: ObjectiveConfig) -> Settings:
    """Returns the settings for the values of all controls; fields of `objective` without a control are kept."""
    groups = values["groups"]
    shared = min(values["for_generation"], groups) / groups if values["shared"] else None
    masking = MaskingConfig(
        schedule=values["schedule"],
        center_start=values["center_start"],
        center_end=values["center_end"],
        hold=round(values["times"][0] / 100, 6),
        warmup_end=round(values["times"][1] / 100, 6),
        shape=values["shape"],
        std=values["std"],
        std_end=values["std_end"] if values["widens"] else None,
        low=values["interval"][0],
        high=values["interval"][1],
        moving_interval=values["moving"],
        groups=groups,
        stratified=values["stratified"],
        generation_share=shared,
    )
    counting = {name: values[name] for name in COUNTING}
    return Settings(idle_reset(masking), replace(objective, **counting), int(values["grid"]))


def values_of(masking: MaskingConfig, objective: ObjectiveConfig, grid: int | None = None) -> dict[str, Any]:
    """Returns the control values for these settings; without `grid`, its control is left out."""
    masking = idle_reset(masking)
    share = GENERATION_SHARE if masking.generation_share is None else masking.generation_share
    kept = ("schedule", "center_start", "center_end", "shape", "std", "groups", "stratified")
    return {
        **{name: getattr(masking, name) for name in kept},
        **{name: getattr(objective, name) for name in COUNTING},
        "moving": masking.moving_interval,
        "interval": (masking.low, masking.high),
        "times": (100 * masking.hold, 100 * masking.warmup_end),
        "widens": masking.std_end is not None,
        "std_end": masking.std if masking.std_end is None else masking.std_end,
        "shared": masking.generation_share is not None,
        "for_generation": round(share * masking.groups),
        **({} if grid is None else {"grid": grid}),
    }
