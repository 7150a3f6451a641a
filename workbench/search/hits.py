"""What was found, as a sheet of pictures: a row a search, nearest first. It searches nothing."""

from collections.abc import Mapping, Sequence

from PIL import Image

from dream.decoding.pictures import SheetPanel, SheetRow, draw_sheet
from workbench.search.index import Hit, Index, places_with_caption


def hits_sheet(
    index: Index, rows: Mapping[str, Sequence[Hit]], heading: str = "", caption: str | None = None
) -> Image.Image:
    """A sheet with a row of pictures for each title, with rank and cosine below each.

    Pictures whose caption is `caption` (in any case) are framed. Raises ValueError where nothing was found.
    """
    own = set(places_with_caption(index, caption)) if caption else set()
    return draw_sheet([_row(index, title, hits, own) for title, hits in rows.items()], heading)


def _row(index: Index, title: str, hits: Sequence[Hit], own: set[int]) -> SheetRow:
    panels = [
        SheetPanel(index.pixels[hit.place], f"{hit.rank}: {hit.cosine:.3f}", chosen=hit.place in own) for hit in hits
    ]
    return SheetRow(panels, title)
