"""Preview of a training's data: samples with captions, counts, and broken samples."""

import numpy as np
import streamlit as st

from app.background import is_started, show_work, start_work
from app.credits import show_credits
from app.failures import guarded
from app.keys import TILES, TRAIN
from app.text import as_text
from dream.config import DreamConfig
from workbench.runs.preview import LIMIT, Preview, preview_source
from workbench.sources.places import source_stamp
from workbench.workspace import open_workspace

WORK = TRAIN.name("preview")
ACROSS = 6


def show_preview(source: str, config: DreamConfig) -> None:
    """Shows samples of the source; a local source is read at once, a set on the hub after a click."""
    st.markdown("**Data as the training sees it**")
    if not source.strip():
        st.caption("Enter a data source above.")
        return
    with guarded():
        path = open_workspace().source(source)
        if path == "shapes":
            _show(_drawn(config))
        else:
            _show_read(path, config)


@st.cache_data(max_entries=16, show_spinner=False)
def _drawn(config: DreamConfig) -> Preview:
    """Preview of drawn samples, which is too quick for a progress bar."""
    return preview_source(None, "shapes", config)


@st.cache_data(ttl=3, max_entries=16, show_spinner=False)
def _stamp(path: str) -> str:
    """`source_stamp`, cached for a few seconds: a folder that has changed is read again."""
    return source_stamp(path)


def _show_read(path: str, config: DreamConfig) -> None:
    """Shows the preview of a source that must be read, with its progress."""
    identity = (path, _stamp(path), config.image.size, config.data.level, config.data.flip)

    def start(limit: int | None = LIMIT) -> None:
        start_work(WORK, lambda work: preview_source(work, path, config, limit), identity)

    if not is_started(WORK, identity):
        if path.startswith("hf:"):
            st.caption("A set on the hub is downloaded while it is read.")
            reads = f"Reads the first {LIMIT:,} samples."
            st.button("Read samples", key=TRAIN.action("look"), on_click=start, help=reads)
            return
        start()
    view = show_work(WORK, _show, identity=identity, cancelled="Reading was cancelled.", again=start)
    preview = view.result or view.partial
    if preview is None:
        return
    _show(preview)
    if not (preview.complete or view.failed):
        st.button(
            "Read all samples",
            key=TRAIN.action("everything"),
            on_click=lambda: start(None),
            help="Reads the whole source; this can take long.",
        )
    show_credits(path)


def _show(preview: Preview) -> None:
    if preview.endless:
        st.caption("Endless samples drawn from a seed, with exact captions; none is broken.")
    else:
        _counts(preview)
    samples = list(zip(preview.pictures, preview.captions, strict=True))
    with st.container(key=f"{TILES}{TRAIN.name('samples')}"):
        for first in range(0, len(samples), ACROSS):
            row = samples[first : first + ACROSS]
            for column, (picture, caption) in zip(st.columns(ACROSS), row, strict=False):
                column.image(_enlarged(picture), alt=caption, width="stretch")
                column.caption(as_text(caption))
    if preview.problems:
        _problems(preview)


def _counts(preview: Preview) -> None:
    of = "" if preview.complete or preview.expected is None else f" of the first {preview.expected:,}"
    good, broken, smaller = st.columns(3)
    good.metric("Good samples", f"{preview.good:,}", help=f"Among {preview.looked:,} samples read{of}.")
    broken.metric("Broken", f"{preview.problems:,}", help="Broken samples, skipped in training and listed below.")
    smaller.metric("Enlarged", f"{preview.smaller:,}", help="Pictures smaller than the training size.")
    if preview.held_out is not None:
        st.caption(
            f"A training learns from {preview.good - preview.held_out:,} of these and holds out "
            f"{preview.held_out:,} for validation."
        )
    if not preview.complete and preview.looked:
        st.caption(f"Read the first {preview.looked:,} samples.")


def _problems(preview: Preview) -> None:
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in preview.by_kind.items())
    with st.expander(f"Broken samples: {kinds}"):
        st.dataframe(
            [{"kind": p.kind, "shard": p.shard, "sample": p.key, "reason": p.detail} for p in preview.named],
            hide_index=True,
            height=220,
            key=TRAIN.action("problems"),
            alt="Broken samples",
        )
        if preview.problems > len(preview.named):
            st.caption(f"Showing the first {len(preview.named):,} of {preview.problems:,}.")


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """Enlarges a small picture with sharp pixels."""
    factor = max(1, -(-144 // picture.shape[0]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)
