"""Pictures of candidates side by side, each in its colour, as HTML that follows the page's theme."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.figures.style import candidate_colour
from workbench.pictures import png_url
from workbench.trajectories import Race


class Tile(NamedTuple):
    """A candidate's picture with what stands below it."""

    number: int
    picture: NDArray[np.uint8]
    """(3, H, W)."""
    note: str
    out: bool = False
    """Paled: it was dropped."""
    chosen: bool = False


def gallery(tiles: Sequence[Tile], side: int = 104) -> str:
    """The tiles in lines that wrap, as HTML."""
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(_tile(t, side) for t in tiles)}</div>'


def race_tiles(race: Race) -> list[Tile]:
    """Every candidate as it is now; those that were dropped as they were last."""
    tiles = []
    for k in range(race.candidates):
        scores = race.alignment[:, k][~np.isnan(race.alignment[:, k])]
        note = f"{scores[-1]:.3f}" if len(scores) else ""
        out = not race.kept[-1, k] and not (race.redraws and not race.choices)
        alone = race.chosen == k and bool(race.choices)
        tiles.append(Tile(k, race.last_frame(k), note, out, alone))
    return tiles


def _tile(tile: Tile, side: int) -> str:
    colour, note = candidate_colour(tile.number), html.escape(tile.note)
    fate = ", dropped" if tile.out else ", chosen" if tile.chosen else ""
    alt = f"Candidate {tile.number}: {note}{fate}"
    shadow = f"box-shadow:0 0 0 3px {colour};" if tile.chosen else ""
    weight = "700" if tile.chosen else "400"
    return (
        f'<figure style="margin:3px;width:{side}px;opacity:{0.4 if tile.out else 1}">'
        f'<img src="{png_url(tile.picture)}" alt="{alt}" width="{side}" height="{side}" '
        f'style="display:block;image-rendering:pixelated;border:2px solid {colour};border-radius:4px;'
        f'{shadow}">'
        f'<figcaption style="font-size:12px;line-height:1.3;margin-top:6px;font-weight:{weight};'
        f'font-variant-numeric:tabular-nums"><span style="color:{colour}">&#9632;</span> '
        f"{tile.number}{' &middot; ' + note if note else ''}{' &middot; chosen' if tile.chosen else ''}"
        "</figcaption></figure>"
    )
