"""Search results as a sheet of pictures: one row per search, nearest first."""

from collections.abc import Mapping, Sequence

from PIL import Image

from dream.decoding.pictures import SheetPanel, SheetRow, draw_sheet
from workbench.search.index import Hit, Index, places_with_caption


def hits_sheet(
    index: Index, rows: Mapping[str, Sequence[Hit]], heading: str = "", caption: str | None = None
) -> Image.Image:
    """Draws a sheet with one row of pictures per title, with rank and cosine below each.

    Pictures whose caption is `caption` (ignoring case) are framed. Raises ValueError if there are no hits.
    """
    own = set(places_with_caption(index, caption)) if caption else set()
    return draw_sheet([_row(index, title, hits, own) for title, hits in rows.items()], heading)


def _row(index: Index, title: str, hits: Sequence[Hit], own: set[int]) -> SheetRow:
    panels = [
        SheetPanel(index.pixels[hit.place], f"{hit.rank}: {hit.cosine:.3f}", chosen=hit.place in own) for hit in hits
    ]
    return SheetRow(panels, title)
