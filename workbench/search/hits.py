"""Search results as a table and as a sheet of pictures, and the explanation for a model that cannot be searched."""

from collections.abc import Mapping, Sequence

from PIL import Image

from dream.config import DreamConfig
from dream.decoding.pictures import SheetPanel, SheetRow, draw_sheet
from workbench.csv_files import csv_of
from workbench.search.index import Hit, Index, places_with_caption


def why_no_joint_space(name: str, config: DreamConfig) -> str:
    """Explains why this model has no joint space, and what to choose instead."""
    task = "on pictures only" if not config.objective.text else "for painting only"
    return (
        f"{name} was trained {task}, without the contrastive loss, so texts and pictures cannot be compared. "
        "Choose a model trained with the objective dream or clip."
    )


def hits_csv(index: Index, hits: Sequence[Hit]) -> bytes:
    """CSV with one row per hit: rank, cosine, name, caption."""
    rows = ((hit.rank, f"{hit.cosine:.6f}", index.names[hit.place], index.captions[hit.place]) for hit in hits)
    return csv_of(("rank", "cosine", "name", "caption"), rows)


def hits_sheet(
    index: Index, rows: Mapping[str, Sequence[Hit]], heading: str = "", caption: str | None = None
) -> Image.Image:
    """Sheet with one row of pictures per title, nearest first, with rank and cosine below each picture.

    Pictures whose caption is `caption` (in any case) are framed. Raises ValueError if there are no hits.
    """
    own = set(places_with_caption(index, caption)) if caption else set()
    return draw_sheet([_row(index, title, hits, own) for title, hits in rows.items()], heading)


def _row(index: Index, title: str, hits: Sequence[Hit], own: set[int]) -> SheetRow:
    panels = [
        SheetPanel(index.pixels[hit.place], f"{hit.rank}: {hit.cosine:.3f}", chosen=hit.place in own) for hit in hits
    ]
    return SheetRow(panels, title)
