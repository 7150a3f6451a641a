"""Checkpoints, pictures: the same prompts and seed painted by two sets of weights, side by side."""

import streamlit as st

from app.background import follow, start_work, work
from app.failures import guarded, show_failure
from app.models import pretrained
from dream.decoding.pictures import enlarged_for_screen
from workbench.checkpoints.paint import SAMPLES, PaintedWeights, distance, paint_sides, prompts_of_text

PROMPTS, SEED = "in.checkpoints.prompts", "in.checkpoints.seed"


def show_pictures(sides: list[tuple[str, str, bool]]) -> None:
    """Asks for prompts and a seed, paints with each side (label, path, averaged) and shows the pictures."""
    st.markdown("##### Pictures at the same seed")
    st.session_state.setdefault(PROMPTS, "\n".join(SAMPLES))
    st.session_state.setdefault(SEED, 0)
    text, right = st.columns([4, 1])
    prompts = text.text_area("Prompts, one a line", key=PROMPTS, height=104, help="Up to eight.")
    seed = right.number_input(
        "Seed", key=SEED, min_value=0, max_value=2**31 - 1, step=1, help="Same seed: same order, same noise."
    )
    key = (*sides, prompts, int(seed))
    name = "checkpoints.paint"
    if right.button(
        "Paint both",
        key="do.checkpoints.paint",
        type="primary",
        width="stretch",
        help="Paints every prompt with both sets of weights.",
    ):
        with guarded():
            wanted = prompts_of_text(prompts)
            opened = [(label, pretrained(path, ema=ema)) for label, path, ema in sides]
            st.session_state[f"{name}.for"] = key
            start_work(name, lambda work: paint_sides(opened, wanted, int(seed), work))
    running = work(name)
    if running is None or st.session_state.get(f"{name}.for") != key:
        return
    if running.running:
        follow(name, lambda work: _show(work.partial or (), prompts))
    elif running.error is not None:
        show_failure(running.error)
    elif running.state == "cancelled":
        st.info("Stopped before all was painted.")
    else:
        with guarded():
            _show(tuple(running.result or ()), prompts)


def _show(painted: tuple[PaintedWeights, ...], prompts: str) -> None:
    """A column a prompt, a row a side; below, how far the two pictures are apart."""
    if not painted:
        return
    texts = prompts_of_text(prompts)
    apart = distance(painted[0], painted[1]) if len(painted) == 2 else None
    for first in range(0, len(texts), 4):
        places = range(first, min(first + 4, len(texts)))
        for column, place in zip(st.columns(4), places, strict=False):
            column.caption(texts[place])
        for side in painted:
            for column, place in zip(st.columns(4), places, strict=False):
                score = f" · alignment {side.alignment[place]:.3f}" if side.alignment else ""
                column.image(
                    enlarged_for_screen(side.pictures[place]),
                    caption=side.label + score,
                    width=180,
                    alt=f"{texts[place]}, painted with {side.label}",
                )
        if apart is not None:
            for column, place in zip(st.columns(4), places, strict=False):
                column.caption(f"differ by {apart[place]:.1f} of 255 grey levels (RMS)")
