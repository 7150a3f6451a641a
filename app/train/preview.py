"""What a training would see of its data: samples with captions, and everything broken."""

import numpy as np
import streamlit as st

from app.background import follow, start_work, work
from app.failures import guarded, show_failure
from dream.config import DreamConfig
from workbench.runs.preview import LIMIT, Preview, preview_source
from workbench.work import Work
from workbench.workspace import open_workspace

KEY = "train.preview"
ACROSS = 6


def show_preview(source: str, config: DreamConfig) -> None:
    """Show the samples; local data are looked at by themselves, the hub when asked."""
    st.markdown("**Data as the training sees it**")
    if not source.strip():
        st.caption("Name a source on the left.")
        return
    with guarded():
        path = open_workspace().source(source)
        if path == "shapes":
            _show(_drawn(config))
            return
        wanted = (path, config.image.size, config.data.level, config.data.flip)
        known = st.session_state.get(f"{KEY}.of") == wanted
        if not known and not path.startswith("hf:"):
            _look(path, config, wanted, LIMIT)
            known = True
        if not known:
            st.caption("A set of the hub is fetched as it is read.")
            if st.button("Look at it", key="do.train.look", help=f"Reads the first {LIMIT:,} samples."):
                _look(path, config, wanted, LIMIT)
                st.rerun()
            return
        follow(KEY, lambda running: _show(running.partial) if running.partial else None)
        _show_end(path, config, wanted)


@st.cache_data(max_entries=16, show_spinner=False)
def _drawn(config: DreamConfig) -> Preview:
    """Drawn samples take no time worth a progress bar."""
    return preview_source(None, "shapes", config)


def _look(path: str, config: DreamConfig, wanted: tuple[object, ...], limit: int | None) -> None:
    start_work(KEY, lambda running: preview_source(running, path, config, limit))
    st.session_state[f"{KEY}.of"] = wanted


def _show_end(path: str, config: DreamConfig, wanted: tuple[object, ...]) -> None:
    ended: Work[Preview] | None = work(KEY)
    if ended is None or ended.running:
        return
    if ended.state == "failed" and ended.error is not None:
        show_failure(ended.error)
    found = ended.result or ended.partial
    if found is not None:
        _show(found)
    if ended.state == "cancelled":
        st.caption("Stopped looking.")
    more = found is not None and not found.endless and not found.complete and ended.state != "failed"
    if more and st.button(
        "Look at everything", key="do.train.everything", help="Reads all samples; this can take long."
    ):
        _look(path, config, wanted, None)
        st.rerun()


def _show(found: Preview) -> None:
    if found.endless:
        st.caption("Drawn from a seed as they are needed: endless, with exact captions, nothing broken.")
    else:
        _counts(found)
    samples = list(zip(found.pictures, found.captions, strict=True))
    for first in range(0, len(samples), ACROSS):
        row = samples[first : first + ACROSS]
        for column, (picture, caption) in zip(st.columns(ACROSS), row, strict=False):
            column.image(_enlarged(picture), alt=caption, width="stretch")
            column.caption(caption)
    if found.problems:
        _problems(found)


def _counts(found: Preview) -> None:
    part = "" if found.complete else " so far" if found.expected is None else f" of the first {found.expected:,}"
    good, broken, smaller = st.columns(3)
    good.metric("Good samples", f"{found.good:,}", help=f"{found.looked:,} looked at{part}.")
    broken.metric("Broken", f"{found.problems:,}", help="What they touch is skipped in training, and named below.")
    smaller.metric("Enlarged", f"{found.smaller:,}", help="Pictures with a side below that of the training.")
    if found.held_out is not None:
        st.caption(
            f"A training learns from {found.good - found.held_out:,} of these and keeps "
            f"{found.held_out:,} for validation."
        )
    if not found.complete and found.looked:
        st.caption(f"Looked at the first {found.looked:,} samples.")


def _problems(found: Preview) -> None:
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in found.by_kind.items())
    with st.expander(f"What is broken: {kinds}"):
        st.dataframe(
            [{"kind": p.kind, "where": p.shard, "sample": p.key, "why": p.detail} for p in found.named],
            hide_index=True,
            height=220,
            key="do.train.problems",
            alt="Broken samples",
        )
        if found.problems > len(found.named):
            st.caption(f"The first {len(found.named):,} of {found.problems:,}.")


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """Small pictures as pixels, not as a blur."""
    factor = max(1, -(-144 // picture.shape[0]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)
