"""Statistics of a source, and the list of its broken samples."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from app.background import computed
from app.data.choice import Opened
from app.figures import show_figure
from app.keys import DATA
from app.links import LINKED
from app.text import as_text
from workbench.figures import data as figures
from workbench.sources.seen import Eyes
from workbench.sources.statistics import SourceStatistics, problems_csv, source_statistics
from workbench.work import Work

LIMITS = (500, 2_000, 10_000, 100_000)
EVERYTHING = "everything"
LISTED = 1_000
"""Broken samples shown in the table; the CSV has all."""


def show_statistics(opened: Opened, eyes: Eyes) -> None:
    """Shows lengths, sizes, words and repetitions of the chosen number of samples."""
    found = _read(opened, eyes, _numbers)
    if found is None:
        return
    if not found.good:
        st.info("None of the samples can be read; see Broken samples for the reasons.")
        return
    _numbers(found)
    if found.contrast_fault:
        st.warning("These samples teach no alignment.")
        st.text(found.contrast_fault)
    _figures(found, eyes)
    _repetitions(found)


def show_broken(opened: Opened, eyes: Eyes) -> None:
    """Shows the broken samples by kind and name, with a CSV download."""
    found = _read(opened, eyes, _broken_numbers)
    if found is None:
        return
    if not found.problems:
        drawn = opened.source == "shapes"
        st.success(
            "Drawn pictures are never broken."
            if drawn
            else f"No broken samples among the {found.rows:,} read" + _partial(found) + "."
        )
        return
    _broken_numbers(found)
    table = pd.DataFrame(found.problems[:LISTED], columns=["kind", "shard", "name", "detail"])
    st.dataframe(table, hide_index=True, width="stretch", key=DATA.action("broken"))
    if len(found.problems) > LISTED:
        st.caption(f"Showing the first {LISTED:,} of {len(found.problems):,}; the CSV has all.")
    st.download_button(
        "Download CSV",
        data=lambda: problems_csv(found.problems),
        file_name="broken.csv",
        mime="text/csv",
        key=DATA.action("broken.csv"),
        on_click="ignore",
        help="Kind, shard, name and detail of every broken sample.",
    )


def _read(opened: Opened, eyes: Eyes, show: Callable[[SourceStatistics], None]) -> SourceStatistics | None:
    endless = opened.source == "shapes"
    options = LIMITS if endless else (*LIMITS, EVERYTHING)
    if st.session_state.get(DATA.input("limit"), LIMITS[1]) not in options:
        del st.session_state[DATA.input("limit")]  # that of another source
    limit = st.selectbox(
        "Samples to read",
        options,
        1,
        key=DATA.input("limit"),
        bind=LINKED,
        width=220,
        format_func=lambda value: value if isinstance(value, str) else f"the first {value:,}",
        help="From the start of the source, including samples held out for validation. Only lengths and counts are "
        "kept in memory.",
    )
    most = None if limit == EVERYTHING else int(str(limit))
    return computed(
        DATA.name("statistics"),
        (*opened.identity, most, eyes.name, eyes.config.data.level),
        "Reading the source",
        partial(_count, opened, eyes, most),
        show,
    )


def _count(opened: Opened, eyes: Eyes, limit: int | None, work: Work[SourceStatistics]) -> SourceStatistics:
    def report(now: SourceStatistics, expected: int | None) -> None:
        share = now.rows / expected if expected else 0.0
        work.tell(share, f"read {now.rows:,}" + (f" of {expected:,} samples" if expected else " samples"))
        work.show(now)

    return source_statistics(opened.browsed, eyes.tokenizer, limit, report)


def _numbers(found: SourceStatistics) -> None:
    if not found.good:
        return
    columns = st.columns(6)
    share = 100 / found.good
    columns[0].metric(
        "Good samples", f"{found.good:,}", help="Samples whose picture and caption can be read." + _partial(found)
    )
    columns[1].metric("Broken", f"{len(found.problems):,}", help="Broken samples, which are skipped.")
    columns[2].metric(
        "Held out",
        f"{found.held_out:,}",
        help="Samples that a training holds out for validation; 0 if the source has its own split.",
    )
    columns[3].metric(
        "Captions truncated",
        f"{found.cut * share:.1f} %",
        help=f"{found.cut:,} captions are longer than the context length of {found.context} tokens.",
    )
    columns[4].metric(
        "Repeated captions",
        f"{(found.good - found.different) * share:.1f} %",
        help=f"{found.different:,} different captions.",
    )
    columns[5].metric("Different words", f"{found.vocabulary:,}", help="In all captions read, ignoring case.")


def _figures(found: SourceStatistics, eyes: Eyes) -> None:
    left, right = st.columns(2)
    with left:
        show_figure(
            figures.plot_lengths(found.tokens, found.words, found.context),
            DATA.name("lengths"),
            alt="Histogram of caption lengths in tokens and words",
        )
    with right:
        show_figure(
            figures.plot_frequent(found.frequent), DATA.name("words"), alt="Bar chart of the most frequent words"
        )
    if found.attributes:
        show_figure(
            figures.plot_attributes(found.attributes),
            DATA.name("attributes"),
            alt="Bar chart of the frequency of each attribute value",
        )
        return
    left, right = st.columns(2)
    with left:
        show_figure(
            figures.plot_sizes(found.widths, found.heights, eyes.config.image.size),
            DATA.name("sizes"),
            alt="Widths and heights of the pictures before cropping",
        )
    with right:
        show_figure(
            figures.plot_aspects(found.widths, found.heights),
            DATA.name("aspects"),
            alt="Histogram of the pictures' aspect ratios, width over height",
        )
    formats = ", ".join(f"{name} {count:,}" for name, count in found.formats.items())
    modes = ", ".join(f"{name} {count:,}" for name, count in found.modes.items())
    st.caption(as_text(f"File formats: {formats}. Colour modes: {modes}."))


def _repetitions(found: SourceStatistics) -> None:
    if not found.repeated:
        st.caption("No caption occurs more than once.")
        return
    with st.expander(f"Most frequent captions ({len(found.repeated)})"):
        table = pd.DataFrame(found.repeated, columns=["caption", "times"])
        st.dataframe(table, hide_index=True, width="stretch", key=DATA.action("repeated"))


def _broken_numbers(found: SourceStatistics) -> None:
    kinds = sorted(found.by_kind.items(), key=lambda pair: -pair[1])
    if not kinds:
        return
    for column, (kind, count) in zip(st.columns(max(4, len(kinds))), kinds, strict=False):
        column.metric(
            as_text(kind.capitalize()), f"{count:,}", help=f"Among {found.rows:,} samples read{_partial(found)}."
        )


def _partial(found: SourceStatistics) -> str:
    return "" if found.complete else ", the first of a larger source"
