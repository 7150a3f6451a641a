"""What the search page says in words and tables: hits as CSV, and why a model cannot be searched."""

import csv
import io
from collections.abc import Sequence

from dream.config import DreamConfig
from workbench.search.index import Hit, Index


def why_no_joint_space(name: str, config: DreamConfig) -> str:
    """Why this model has no joint space, in a sentence, and what to do."""
    how = "pictures alone" if not config.objective.text else "painting alone"
    return (
        f"{name} was trained for {how}, without the contrastive loss, so it has no space in which a text "
        "and a picture can be compared: choose a model trained with the objective dream or clip."
    )


def hits_csv(index: Index, hits: Sequence[Hit]) -> bytes:
    """A row a picture found: rank, cosine, name, caption."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("rank", "cosine", "name", "caption"))
    for hit in hits:
        row = (hit.rank, f"{hit.cosine:.6f}", index.names[hit.place], index.captions[hit.place])
        writer.writerow(row)
    return text.getvalue().encode("utf-8", "replace")
