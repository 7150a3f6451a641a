"""The first page: what DREAM is, the commands, and the runs that are here."""

from datetime import datetime
from pathlib import Path

import streamlit as st

from dream.__main__ import COMMANDS, EXAMPLES
from workbench.runs import RunSummary, list_runs

RUNS = Path("runs")

WHAT_IT_IS = """
DREAM trains **one model for two things**: to tell which caption belongs to which picture, and to paint a
picture from a caption. It reads the visible part of a picture; a decoder that also reads the caption fills in
the rest. Telling captions apart wants little hidden, painting wants much: *Masking Warmup* moves the hidden
share over the training, so that both are learned at once.

While it paints, its own sense of picture and caption can look at several unfinished tries of one prompt and
go on with the best: *Semantically Aligned Decoding*.
"""


def render() -> None:
    """Show the page, with the runs found in the working directory's `runs` folder."""
    st.title("DREAM workbench")
    text, commands = st.columns([3, 2], gap="large")
    with text:
        st.markdown(WHAT_IT_IS)
        st.markdown(
            "**Start here**, in a terminal with `.venv` active. `demo` is the trained model that comes with "
            "the workbench; a training of your own takes ten minutes."
        )
        st.code(EXAMPLES, language="bash", wrap_lines=True)
    with commands.container(border=True):
        st.markdown("**Commands**")
        st.markdown("\n".join(f"- `dream {name}`: {summary}" for name, summary in COMMANDS.items()))
        st.caption("`dream COMMAND --help` lists a command's options.")
    st.subheader("Runs")
    _show_runs(list_runs(RUNS))


def _show_runs(runs: list[RunSummary]) -> None:
    if not runs:
        st.info(f"No runs in {RUNS.absolute()} yet. The first command above makes one.")
        return
    for row in range(0, len(runs), 3):
        for column, run in zip(st.columns(3), runs[row : row + 3], strict=False):
            with column.container(border=True):
                _show_run(run)


def _show_run(run: RunSummary) -> None:
    st.markdown(f"**{run.path.name}**")
    of = f" of {run.end:,}" if run.end else ""
    when = datetime.fromtimestamp(run.changed)
    st.caption(f"{run.status} · step {run.step:,}{of} · {when:%Y-%m-%d %H:%M}")
    if run.sheet is None:
        st.markdown("No samples yet.")
    else:
        st.image(str(run.sheet), alt=f"Newest sample sheet of {run.path.name}", width="stretch")


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
