"""Preview of a data source as a training sees it: samples as the model gets them, counts, and broken samples.

It uses the survey of `dream data` and writes nothing.
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
"""Samples read by a quick preview."""
MOST_PROBLEMS = 500
"""Problems listed by name."""


class Problem(NamedTuple):
    """A broken sample, which training skips."""

    kind: str
    shard: str
    key: str
    detail: str


@dataclass(frozen=True)
class Preview:
    """Samples, counts and problems of a source."""

    source: str
    pictures: Sequence[np.ndarray] = ()
    """(H, W, 3) uint8 each, cropped and scaled as in training."""
    captions: Sequence[str] = ()
    endless: bool = False
    """Whether samples are drawn on demand, so that there is nothing to count and nothing broken."""
    looked: int = 0
    good: int = 0
    expected: int | None = None
    """Number of samples this preview will have read at its end."""
    complete: bool = False
    held_out: int | None = None
    """Good samples held out for validation; None if the source has its own split."""
    smaller: int = 0
    """Pictures smaller than the training size, which are enlarged."""
    sides: tuple[int, int] | None = None
    """Shortest and longest side of the pictures, in pixels."""
    problems: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    named: Sequence[Problem] = ()


def preview_source(work: Work[Preview] | None, source: str, config: DreamConfig, limit: int | None = LIMIT) -> Preview:
    """Previews a source; `work`, if given, receives progress and partial previews.

    Raises InputError if the source does not exist or holds no captioned picture.
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
    preview = Preview(source)
    for counts in survey(corpora["train"], limit):
        if counts.good and not samples[0]:
            samples = _samples(source, config)
        preview = _preview(source, counts, samples, config.image.size, "val" in corpora)
        if work is None:
            continue
        work.show(preview)
        work.tell(counts.rows / counts.expected if counts.expected else 0.0, f"{counts.rows:,} samples")
    if not preview.good:
        broken = f" ({preview.problems:,} problems)" if preview.problems else ""
        raise InputError(f"no captioned picture in '{source}'{broken}: {corpora['train'].hint()}")
    return preview


def _preview(source: str, counts: Any, samples: Any, size: int, own_validation: bool) -> Preview:
    named = [Problem(*problem) for problem in counts.report.problems()[:MOST_PROBLEMS]]
    sides = [*counts.widths, *counts.heights]
    return Preview(
        source,
        samples[0],
        samples[1],
        looked=counts.rows,
        good=counts.good,
        expected=counts.expected,
        complete=counts.complete,
        held_out=None if own_validation else counts.held_out,
        smaller=counts.smaller_than(size),
        sides=(min(sides), max(sides)) if sides else None,
        problems=counts.report.total,
        by_kind=counts.report.by_kind(),
        named=named,
    )


def _samples(source: str, config: DreamConfig) -> tuple[list[np.ndarray], list[str]]:
    """Some pictures with their captions, as in training."""
    from dream.data.sources import open_source

    batch = open_source(source, config).fixed(SAMPLES)
    return [picture.permute(1, 2, 0).numpy() for picture in batch.images], list(batch.captions)
