"""The variants of training that a comparison sets side by side, and the plan of one comparison."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """Objective and settings of a run, on top of the preset."""

    objective: str
    """An objective of `dream.presets`."""
    assignments: tuple[str, ...] = ()
    """`section.key=value`, as `dream train --set` takes them."""


VARIANTS = {
    "dream": Variant("dream"),
    "clip": Variant("clip"),
    "fluid": Variant("fluid"),
    "mar": Variant("mar"),
    # both losses under the masking of MAR and FLUID; ratios are not shared out, so few groups count in the contrast
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
    # with one ratio per batch there is nothing to share out between the losses
    "dream, no groups": Variant("dream", ("masking.groups=1", "masking.generation_share=none")),
    # ablations of what the small presets do for the joint space
    "dream, random batches": Variant("dream", ("data.near_misses=0",)),
    "dream, mixed phrasings": Variant("dream", ("data.canonical_until=0",)),
    "dream, mean pooling": Variant("dream", ("joint.pooling_maps=0", "joint.buffer_features=false")),
    "dream, end-of-text feature": Variant("dream", ("joint.positional_text=false",)),
}
"""Variants by the name of their column."""
MAIN = tuple(VARIANTS)[:7]
"""The objectives and maskings that the paper compares, and ratio groups."""


@dataclass(frozen=True)
class ComparisonPlan:
    """Variants, seeds, budget, evaluation and folders of a comparison."""

    variants: tuple[str, ...] = MAIN
    seeds: tuple[int, ...] = (0, 1, 2)
    preset: str = "tiny"
    data: str = "shapes"
    minutes: float | None = 10.0
    """Minutes of training per run; None takes `steps`."""
    steps: int | None = None
    assignments: tuple[str, ...] = ()
    """Settings of every run, before the variant's own."""
    tasks: str = "all"
    task_settings: tuple[str, ...] = ()
    """TASK.FIELD=VALUE of the evaluation."""
    runs: Path = Path("runs/comparison")
    """Folder of the runs, `VARIANT/seed-N`."""
    out: Path = Path("results/comparison")
    """Folder of results, table and figures."""
    beside: Path | None = None
    """`out` of another comparison, whose results stand above these in a table of both."""

    @property
    def budget(self) -> str:
        """The budget per run in words."""
        return f"{self.minutes:g} minutes" if self.steps is None else f"{self.steps:,} steps"

    def members(self) -> list[tuple[str, int]]:
        """Returns all (variant, seed); seed by seed, so that an unfinished comparison can be read."""
        return [(variant, seed) for seed in self.seeds for variant in self.variants]

    def folder(self, variant: str, seed: int) -> Path:
        """Returns the folder of a run."""
        return self.runs / slug(variant) / f"seed-{seed}"


def slug(variant: str) -> str:
    """Returns a variant's name as a folder's: `dream-no-groups`."""
    return re.sub(r"[^a-z0-9]+", "-", variant.lower()).strip("-")
