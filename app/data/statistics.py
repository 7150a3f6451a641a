"""A source in numbers, and the list of what is broken in it."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from app.background import computed
from app.data.choice import Opened
from app.figures import show_figure
from workbench.figures import data as figures
from workbench.sources.seen import Eyes
from workbench.sources.statistics import SourceStatistics, problems_csv, source_statistics
from workbench.work import Work

LIMITS = (500, 2_000, 10_000, 100_000)
EVERYTHING = "everything"
LISTED = 1_000
"""Broken samples that the table shows; the CSV has all."""


def show_statistics(opened: Opened, eyes: Eyes) -> None:
    """Lengths, sizes, words and repetitions of as many samples as asked for."""
    found = _read(opened, eyes, _numbers)
    if found is None:
        return
    if not found.good:
        st.info("Not one of the samples can be read; the list of broken samples says why.")
        return
    _numbers(found)
    _figures(found, eyes)
    _repetitions(found)


def show_broken(opened: Opened, eyes: Eyes) -> None:
    """What is broken, by kind, with names; as a CSV too."""
    found = _read(opened, eyes, _broken_numbers)
    if found is None:
        return
    if not found.problems:
        drawn = opened.source == "shapes"
        st.success(
            "Drawn pictures cannot be broken."
            if drawn
            else f"Nothing is broken in the {found.rows:,} samples read" + _part(found) + "."
        )
        return
    _broken_numbers(found)
    table = pd.DataFrame(found.problems[:LISTED], columns=["kind", "shard", "name", "detail"])
    st.dataframe(table, hide_index=True, width="stretch", key="do.data.broken")
    if len(found.problems) > LISTED:
        st.caption(f"The first {LISTED:,} of {len(found.problems):,}; the CSV has all.")
    st.download_button(
        "All as CSV",
        data=lambda: problems_csv(found.problems),
        file_name="broken.csv",
        mime="text/csv",
        key="do.data.broken.csv",
        on_click="ignore",
        help="Kind, shard, name and detail of everything broken, a row each.",
    )


def _read(opened: Opened, eyes: Eyes, show: Callable[[SourceStatistics], None]) -> SourceStatistics | None:
    endless = opened.source == "shapes"
    options = LIMITS if endless else (*LIMITS, EVERYTHING)
    if st.session_state.get("in.data.limit") not in options:
        st.session_state["in.data.limit"] = LIMITS[1]
    limit = st.selectbox(
        "Samples to read",
        options,
        key="in.data.limit",
        width=220,
        format_func=lambda value: value if isinstance(value, str) else f"the first {value:,}",
        help="Of a stored source, whatever its split says of holding back; pictures are read one after the "
        "other and only lengths and counts are kept.",
    )
    most = None if limit == EVERYTHING else int(limit)
    return computed(
        "data.statistics",
        (*opened.identity, most, eyes.name, eyes.config.data.level),
        "Reading the source",
        partial(_count, opened, eyes, most),
        show,
    )


def _count(opened: Opened, eyes: Eyes, limit: int | None, work: Work[SourceStatistics]) -> SourceStatistics:
    def tell(now: SourceStatistics, expected: int | None) -> None:
        share = now.rows / expected if expected else 0.0
        work.tell(share, f"read {now.rows:,}" + (f" of {expected:,} samples" if expected else " samples"))
        work.show(now)

    return source_statistics(opened.browsed, eyes.tokenizer, limit, tell)


def _numbers(found: SourceStatistics) -> None:
    if not found.good:
        return
    columns = st.columns(6)
    share = 100 / found.good
    columns[0].metric("Good samples", f"{found.good:,}", help="Picture and caption can be read." + _part(found))
    columns[1].metric("Broken", f"{len(found.problems):,}", help="Problems; what they touch is skipped.")
    columns[2].metric(
        "Held out",
        f"{found.held_out:,}",
        help="Of those read, what a training keeps for validation; 0 where the source has its own split.",
    )
    columns[3].metric(
        "Captions cut",
        f"{found.cut * share:.1f} %",
        help=f"{found.cut:,} captions are longer than the {found.context} tokens that the model reads.",
    )
    columns[4].metric(
        "Repeat a caption",
        f"{(found.good - found.different) * share:.1f} %",
        help=f"{found.different:,} captions are different.",
    )
    columns[5].metric("Different words", f"{found.vocabulary:,}", help="Of all captions read, in any case.")


def _figures(found: SourceStatistics, eyes: Eyes) -> None:
    left, right = st.columns(2)
    with left:
        show_figure(
            figures.plot_lengths(found.tokens, found.words, found.context),
            "data.lengths",
            alt="Histogram of the captions' lengths in tokens and words",
        )
    with right:
        show_figure(figures.plot_frequent(found.frequent), "data.words", alt="Bars of the most frequent words")
    if found.attributes:
        show_figure(
            figures.plot_attributes(found.attributes),
            "data.attributes",
            alt="Bars of how often each value of each attribute was drawn",
        )
        return
    left, right = st.columns(2)
    with left:
        show_figure(
            figures.plot_sizes(found.widths, found.heights, eyes.config.image.size),
            "data.sizes",
            alt="Widths and heights of the pictures before the crop",
        )
    with right:
        show_figure(
            figures.plot_aspects(found.widths, found.heights),
            "data.aspects",
            alt="Histogram of the pictures' width over height",
        )
    formats = ", ".join(f"{name} {count:,}" for name, count in found.formats.items())
    modes = ", ".join(f"{name} {count:,}" for name, count in found.modes.items())
    st.caption(f"Formats: {formats}. Colours in the files: {modes}.")


def _repetitions(found: SourceStatistics) -> None:
    if not found.repeated:
        st.caption("No caption occurs twice.")
        return
    with st.expander(f"Captions that occur most often ({len(found.repeated)})"):
        table = pd.DataFrame(found.repeated, columns=["caption", "times"])
        st.dataframe(table, hide_index=True, width="stretch", key="do.data.repeated")


def _broken_numbers(found: SourceStatistics) -> None:
    kinds = sorted(found.by_kind.items(), key=lambda pair: -pair[1])
    if not kinds:
        return
    for column, (kind, count) in zip(st.columns(max(4, len(kinds))), kinds, strict=False):
        column.metric(kind.capitalize(), f"{count:,}", help=f"Among {found.rows:,} samples read{_part(found)}.")


def _part(found: SourceStatistics) -> str:
    return "" if found.complete else ", the first of more"
