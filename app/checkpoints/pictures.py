"""Pictures of two sets of weights: the same prompts and seed, side by side."""

import streamlit as st

from app.background import show_work, start_work
from app.failures import guarded
from app.keys import CHECKPOINTS
from app.links import LINKED
from app.models import pretrained
from app.number_fields import NumberFields
from app.text import as_text
from dream.decoding.pictures import enlarged_for_screen
from workbench.checkpoints.paint import SAMPLES, PaintedWeights, distance, paint_sides, prompts_of_text

WORK, PROMPTS, SEED = CHECKPOINTS.name("paint"), CHECKPOINTS.input("prompts"), CHECKPOINTS.input("seed")


def show_pictures(sides: list[tuple[str, str, bool]]) -> None:
    """Shows a form for prompts and a seed, and the pictures painted by each side (label, path, averaged)."""
    st.markdown("##### Pictures with the same seed")
    text, right = st.columns([4, 1])
    prompts = text.text_area(
        "Prompts, one per line", "\n".join(SAMPLES), key=PROMPTS, bind=LINKED, height=104, help="Up to eight."
    )
    numbers = NumberFields()
    about = "The same seed gives the same order and noise."
    seed = numbers.whole(right.container(), "Seed", 0, 2**31 - 1, key=SEED, value=0, bind=LINKED, help=about)
    identity = (*sides, prompts, int(seed))

    def start() -> None:
        with guarded():
            numbers.require()
            wanted = prompts_of_text(prompts)
            opened = [(label, pretrained(path, ema=ema)) for label, path, ema in sides]
            start_work(WORK, lambda work: paint_sides(opened, wanted, int(seed), work), identity)

    if right.button(
        "Paint both",
        key=CHECKPOINTS.action("paint"),
        type="primary",
        width="stretch",
        help="Paints every prompt with both sets of weights.",
    ):
        start()
    view = show_work(
        WORK,
        lambda painted: _show(painted, prompts),
        identity=identity,
        cancelled="Cancelled before all pictures were painted.",
        again=start,
    )
    if view.result is not None:
        with guarded():
            _show(tuple(view.result), prompts)


def _show(painted: tuple[PaintedWeights, ...], prompts: str) -> None:
    """Shows one column per prompt and one row per side, with the difference between the pictures below."""
    if not painted:
        return
    texts = prompts_of_text(prompts)
    apart = distance(painted[0], painted[1]) if len(painted) == 2 else None
    for first in range(0, len(texts), 4):
        places = range(first, min(first + 4, len(texts)))
        for column, place in zip(st.columns(4), places, strict=False):
            column.caption(as_text(texts[place]))
        for side in painted:
            for column, place in zip(st.columns(4), places, strict=False):
                score = f" · alignment {side.alignment[place]:.3f}" if side.alignment else ""
                column.image(
                    enlarged_for_screen(side.pictures[place]),
                    caption=as_text(side.label + score),
                    width=180,
                    alt=f"{texts[place]}, painted with {side.label}",
                )
        if apart is not None:
            for column, place in zip(st.columns(4), places, strict=False):
                column.caption(f"differ by {apart[place]:.1f} of 255 grey levels (RMS)")
