"""Texts of the Search page: hits as CSV, and why a model cannot be searched."""

import csv
import io
from collections.abc import Sequence

from dream.config import DreamConfig
from workbench.search.index import Hit, Index


def why_no_joint_space(name: str, config: DreamConfig) -> str:
    """Returns a sentence on why this model has no joint space, and what to do."""
    how = "on pictures only" if not config.objective.text else "for painting only"
    return (
        f"{name} was trained {how}, without the contrastive loss, so texts and pictures cannot be compared. "
        "Choose a model trained with the objective dream or clip."
    )


def hits_csv(index: Index, hits: Sequence[Hit]) -> bytes:
    """Returns one row per hit: rank, cosine, name, caption."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("rank", "cosine", "name", "caption"))
    for hit in hits:
        row = (hit.rank, f"{hit.cosine:.6f}", index.names[hit.place], index.captions[hit.place])
        writer.writerow(row)
    return text.getvalue().encode("utf-8", "replace")
