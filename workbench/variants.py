"""The variants of training that a comparison sets side by side, and the plan of one comparison."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """What a run is trained for, as settings on top of the preset."""

    objective: str
    """Of `dream.presets`."""
    assignments: tuple[str, ...] = ()
    """`section.key=value`, as `dream train --set` takes them."""


VARIANTS = {
    "dream": Variant("dream"),
    "clip": Variant("clip"),
    "fluid": Variant("fluid"),
    "mar": Variant("mar"),
    # both losses under the masking of MAR and FLUID; drawn as it is, so that few groups count in the contrast
    "dream, constant masking": Variant(
        "dream",
        (
            "masking.schedule=constant",
            "masking.center_end=1.0",
            "masking.std=0.25",
            "masking.low=0.7",
            "masking.generation_share=none",
        ),
    ),
    "dream, uniform masking": Variant("dream", ("masking.schedule=uniform",)),
    # one ratio a batch leaves nothing to share out between the losses
    "dream, no groups": Variant("dream", ("masking.groups=1", "masking.generation_share=none")),
    # what the small presets do for the joint space, one part left out at a time
    "dream, random batches": Variant("dream", ("data.near_misses=0",)),
    "dream, mixed phrasings": Variant("dream", ("data.canonical_until=0",)),
    "dream, mean pooling": Variant("dream", ("joint.pooling_maps=0", "joint.buffer_features=false")),
    "dream, end-of-text feature": Variant("dream", ("joint.positional_text=false",)),
}
"""By the name of their column."""
MAIN = tuple(VARIANTS)[:7]
"""The objectives and maskings that the paper compares, and ratio groups."""


@dataclass(frozen=True)
class ComparisonPlan:
    """What is compared."""

    variants: tuple[str, ...] = MAIN
    seeds: tuple[int, ...] = (0, 1, 2)
    preset: str = "tiny"
    data: str = "shapes"
    minutes: float | None = 10.0
    """Minutes of training a run; None takes `steps`."""
    steps: int | None = None
    assignments: tuple[str, ...] = ()
    """Settings of every run, before the variant's own."""
    tasks: str = "all"
    task_settings: tuple[str, ...] = ()
    """TASK.FIELD=VALUE of the evaluation."""
    runs: Path = Path("runs/comparison")
    """Where the runs are, `VARIANT/seed-N`."""
    out: Path = Path("results/comparison")
    """Where results, table and figures go."""

    @property
    def budget(self) -> str:
        """In words."""
        return f"{self.minutes:g} minutes" if self.steps is None else f"{self.steps:,} steps"

    def members(self) -> list[tuple[str, int]]:
        """Every variant and seed; whole seeds first, so that a part of it is a comparison already."""
        return [(variant, seed) for seed in self.seeds for variant in self.variants]

    def folder(self, variant: str, seed: int) -> Path:
        """A run's folder."""
        return self.runs / slug(variant) / f"seed-{seed}"


def slug(variant: str) -> str:
    """A variant's name as a folder's: `dream-no-groups`."""
    return re.sub(r"[^a-z0-9]+", "-", variant.lower()).strip("-")
