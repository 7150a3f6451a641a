"""Fields that tasks on classes share, as bases of their settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from dream.evaluation.settings import TaskSettings, at_least

Pooling = Literal["image", "buffer", "all", "joint"]
"""Feature of a picture: mean of its `image`, `buffer` or `all` encoder tokens, or its vector in the `joint` space."""


DRAWN_LABEL, DRAWN_LABELS = "shape", ("shape", "colour", "relation", "ground")
"""Attributes of drawn shapes by default; on emoji these defaults stand for the emoji's own labels."""


@dataclass(frozen=True)
class CountSettings(TaskSettings):
    """How many pictures to learn from and to test on."""

    train_count: Annotated[int | None, at_least(2)] = None
    """Training pictures, spread evenly over the classes of a stored set; none: all (shapes: 3,000, fine_tune 1,000)."""
    test_count: Annotated[int | None, at_least(1)] = None
    """Test pictures; none: all (shapes: 2,000, fine_tune and robustness 1,000)."""


@dataclass(frozen=True)
class LabelSettings(CountSettings):
    """Pictures with one label."""

    label: str = DRAWN_LABEL
    """Attribute to classify: of the first object for shapes; style, group or subgroup for emoji (not set: subgroup)."""


@dataclass(frozen=True)
class FeatureSettings(CountSettings):
    """Frozen features of pictures with several labels."""

    pooling: Pooling = "image"
    """Feature of a picture: image (mean of its tokens), buffer, all, or joint (the joint space)."""
    labels: tuple[str, ...] = DRAWN_LABELS
    """Attributes to classify: of the first object for shapes; style, group and subgroup for emoji (not set: all)."""
