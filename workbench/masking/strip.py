"""Masks on a picture as HTML: one small picture per mask, with hidden cells hatched."""

from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from dream.decoding.pictures import hatching
from workbench import palette
from workbench.masking.study import DrawnMask
from workbench.pictures import STRIPE, Picture, exact_url, image_url

SIDE = 192
"""Minimal pixels per side of the hatching; rounded up to a multiple of the tokens per side."""
COLOURS = {
    "contrast": palette.OBJECTIVES["clip"],
    "generation": palette.OBJECTIVES["fluid"],
    "both": palette.OBJECTIVES["dream"],
    "neither": palette.NEUTRAL,
}
"""Colour of what a mask trains, as in the figures."""
STYLE = """<style>
.masks { display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: .7rem .6rem; margin: 0; }
.masks figure { margin: 0; min-width: 0; text-align: center; font-size: .8rem; line-height: 1.3; }
.masks .cells { aspect-ratio: 1; background: var(--picture) center / 100% 100%; overflow: hidden;
  border-radius: .2rem; box-shadow: 0 0 0 1px rgba(127,135,144,.55); }
.masks img { display: block; width: 100%; height: 100%; }
.masks .trains { font-weight: 600; border-bottom: 3px solid; display: block; padding: .15rem 0; }
@media (max-width: 900px) { .masks { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
</style>"""


def masks_html(masks: Sequence[DrawnMask], picture: Picture, words: str) -> str:
    """HTML with the picture (3, S, S) under each mask, with the hidden share above and what it trains below.

    `words` describes the picture; the whole is one image to a screen reader.
    """
    shares = ", ".join(f"{share_hidden(mask):.0%}" for mask in masks)
    alt = escape(f"{words} under {len(masks)} masks; hidden: {shares}")
    figures = "".join(_figure(mask) for mask in masks)
    return (
        f'{STYLE}<div class="masks" role="img" aria-label="{alt}" '
        f"style=\"--picture: url('{exact_url(picture)}')\">{figures}</div>"
    )


def share_hidden(mask: DrawnMask) -> float:
    """Share of the cells that the mask hides, 0 to 1."""
    return float(mask.hidden.mean())


def trains(mask: DrawnMask) -> str:
    """What the pictures under this mask train: contrast, generation, both or neither."""
    if mask.contrast and mask.generation:
        return "both"
    return "contrast" if mask.contrast else "generation" if mask.generation else "neither"


def _figure(mask: DrawnMask) -> str:
    kind = trains(mask)
    return (
        f'<figure><span>{share_hidden(mask):.0%} hidden</span><div class="cells"><img alt="" src="{_hatching(mask)}">'
        f'</div><span class="trains" style="border-color: {COLOURS[kind]}">{kind}</span></figure>'
    )


def _hatching(mask: DrawnMask) -> str:
    """Data URL of a picture that is striped where the mask hides, and clear elsewhere."""
    cell = -(-SIDE // len(mask.hidden))
    hidden = mask.hidden.repeat(cell, 0).repeat(cell, 1)
    image = Image.fromarray(np.where(hidden, hatching(len(hidden), STRIPE), 0), "P")
    image.putpalette([level for grey in range(256) for level in (grey,) * 3])
    image.info["transparency"] = 0
    return image_url(image)
