"""Samples and their tokens as HTML, for pages and notebooks. All external text is escaped."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from workbench.pictures import exact_url
from workbench.sources.browse import Broken, Sample
from workbench.sources.seen import MEANINGS, Returned, Token

SMALL = 96
"""Largest side, in pixels, at which pictures are enlarged without smoothing."""
STYLE = """<style>
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(290px, 100%), 1fr)); gap: 0.7rem; }
.card { border: 1px solid rgba(127,135,144,.35); border-radius: .4rem; padding: .6rem .7rem; min-width: 0;
  display: flex; flex-direction: column; gap: .4rem; font-size: .85rem; }
.card .views { display: grid; grid-template-columns: repeat(3, 1fr); gap: .4rem; }
.card figure { margin: 0; min-width: 0; }
.card .frame { width: 100%; aspect-ratio: 1; display: flex; align-items: center; justify-content: center;
  background: rgba(127,135,144,.12); border-radius: .2rem; overflow: hidden; }
.card img { max-width: 100%; max-height: 100%; width: 100%; height: 100%; object-fit: contain; }
.card .frame { box-shadow: 0 0 0 1px rgba(127,135,144,.45); }
.card img.cells { image-rendering: pixelated; }
.card figcaption, .card .about { font-size: .72rem; opacity: .75; overflow-wrap: anywhere; }
.card .caption { font-weight: 500; overflow-wrap: anywhere; }
.chips { display: flex; flex-wrap: wrap; gap: .18rem; line-height: 1.25; }
.chip { font: 500 .72rem ui-monospace, monospace; padding: .05rem .3rem; border-radius: .25rem;
  background: rgba(127,135,144,.16); border: 1px solid transparent; white-space: pre; }
.chip small { opacity: .6; font-size: .62rem; margin-left: .25em; }
.chip.begin, .chip.end { background: none; border-color: rgba(127,135,144,.4); opacity: .7; }
.chip.spelled, .chip.unknown { border-color: #D55E00; border-style: dashed; }
.chip.unknown { background: rgba(213,94,0,.25); }
.chip.cut { text-decoration: line-through; opacity: .5; background: none; border-color: #2F7FC1; }
.card.broken { border-style: dashed; }
</style>"""


def chips(tokens: Sequence[Token]) -> str:
    """Returns the tokens of a caption with their ids; unusual ones are marked and explained on hover."""
    spans = [
        f'<span class="chip {token.kind}" title="{escape(MEANINGS[token.kind])}, id {token.id}">'
        f"{escape(token.text)}<small>{token.id}</small></span>"
        for token in tokens
    ]
    return f'<div class="chips">{"".join(spans)}</div>'


def sample_card(sample: Sample, tokens: Sequence[Token], back: Returned | None = None, row: int = 0) -> str:
    """Returns the card of a sample: original, model input, and reconstruction from tokens (row of `back`)."""
    size, whence = sample.pixels.shape[-1], "drawn" if sample.format == "drawn" else "file"
    views = [
        _view(
            sample.shown.transpose(2, 0, 1), f"{whence}, {sample.width} x {sample.height}", f"whole: {sample.caption}"
        ),
        _view(sample.pixels, f"cropped, {size} x {size}", f"as the model gets it: {sample.caption}"),
    ]
    if back is not None:
        views.append(_view(back.pictures[row], _error(back, row), "back from the image tokens"))
    kept = sum(token.kind != "cut" for token in tokens)
    lost = len(tokens) - kept
    about = f"{escape(sample.name)} · {escape(sample.format)} · {kept} tokens" + (f", {lost} cut" if lost else "")
    return (
        f'<div class="card"><div class="views">{"".join(views)}</div>'
        f'<div class="caption">{escape(sample.caption)}</div>{chips(tokens)}'
        f'<div class="about">{about}</div></div>'
    )


def broken_card(broken: Broken) -> str:
    """Returns the card of a sample that cannot be read."""
    return (
        f'<div class="card broken"><div class="caption">{escape(broken.kind)}</div>'
        f'<div>{escape(broken.detail)}</div><div class="about">{escape(broken.name)}</div></div>'
    )


def card_grid(cards: Sequence[str]) -> str:
    """Returns the cards in a responsive grid."""
    return f'{STYLE}<div class="cards">{"".join(cards)}</div>'


def _view(picture: NDArray[np.uint8], label: str, alt: str) -> str:
    kind = ' class="cells"' if max(picture.shape) <= SMALL else ""
    return (
        f'<figure><div class="frame"><img{kind} src="{exact_url(picture)}" alt="{escape(alt)}"></div>'
        f"<figcaption>{label}</figcaption></figure>"
    )


def _error(back: Returned, row: int) -> str:
    if back.greatest_error[row] == 0:
        return "from tokens: exact"
    return f"from tokens: error {back.mean_error[row]:.1f}, at most {back.greatest_error[row]}"
