"""What a training would see of a source: samples as they reach the model, counts, and everything broken.

It reuses `dream data`'s survey; it writes nothing and knows nothing of pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dream.config import DreamConfig
from dream.errors import InputError
from workbench.work import Work

SAMPLES = 12
LIMIT = 2000
"""Samples that a quick look reads."""
MOST_PROBLEMS = 500
"""Problems that are named."""


class Problem(NamedTuple):
    """One thing that is broken and is skipped in training."""

    kind: str
    shard: str
    key: str
    detail: str


@dataclass(frozen=True)
class Preview:
    """A source at a glance."""

    source: str
    pictures: Sequence[np.ndarray] = ()
    """(H, W, 3) uint8 each, cut and scaled as training does it."""
    captions: Sequence[str] = ()
    endless: bool = False
    """Drawn as it is needed: nothing to count and nothing to break."""
    looked: int = 0
    good: int = 0
    expected: int | None = None
    """Samples that there will have been at the end of this look."""
    complete: bool = False
    held_out: int | None = None
    """Good samples that are kept for validation; none if the source has a split of its own."""
    smaller: int = 0
    """Pictures that would be enlarged."""
    sides: tuple[int, int] | None = None
    """Least and greatest side of the pictures, in pixels."""
    problems: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    named: Sequence[Problem] = ()


def look_at(work: Work[Preview] | None, source: str, config: DreamConfig, limit: int | None = LIMIT) -> Preview:
    """The preview of a source; `work`, if there is one, shows parts of it as it goes.

    Raises InputError where there is nothing of that name, or not one captioned picture in it.
    """
    if work is not None:
        work.tell(0.0, "opening the source")
    if source == "shapes":
        pictures, captions = _samples(source, config)
        return Preview(source, pictures, captions, endless=True)
    from dream.data.sources import open_corpora
    from dream.data.survey import survey

    corpora = open_corpora(source, config)
    samples: tuple[Sequence[np.ndarray], Sequence[str]] = ((), ())
    found, shown = None, Preview(source)
    for found in survey(corpora["train"], limit):
        if found.good and not samples[0]:
            samples = _samples(source, config)
        shown = _preview(source, found, samples, config.image.size, "val" in corpora)
        if work is None:
            continue
        work.show(shown)
        work.tell(found.rows / found.expected if found.expected else 0.0, f"{found.rows:,} samples")
    if not shown.good:
        broken = f" ({shown.problems:,} problems)" if shown.problems else ""
        raise InputError(f"no captioned picture in '{source}'{broken}: {corpora['train'].hint()}")
    return shown


def _preview(source: str, found: Any, samples: Any, size: int, own_validation: bool) -> Preview:
    named = [Problem(*problem) for problem in found.report.problems()[:MOST_PROBLEMS]]
    sides = [*found.widths, *found.heights]
    return Preview(
        source,
        samples[0],
        samples[1],
        looked=found.rows,
        good=found.good,
        expected=found.expected,
        complete=found.complete,
        held_out=None if own_validation else found.held_out,
        smaller=found.smaller_than(size),
        sides=(min(sides), max(sides)) if sides else None,
        problems=found.report.total,
        by_kind=found.report.by_kind(),
        named=named,
    )


def _samples(source: str, config: DreamConfig) -> tuple[list[np.ndarray], list[str]]:
    """Some pictures with their captions, as training sees them."""
    from dream.data.sources import open_source

    batch = open_source(source, config).fixed(SAMPLES)
    return [picture.permute(1, 2, 0).numpy() for picture in batch.images], list(batch.captions)
