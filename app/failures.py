"""Failures on pages: one sentence each; details of unexpected ones are a click away and in the log."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.text import as_text
from dream.errors import InputError, RunError
from dream.plain_text import escaped
from workbench.runs.words import sentence as as_sentence
from workbench.workspace import open_workspace


@contextmanager
def guarded() -> Iterator[None]:
    """Shows an exception raised inside on the page instead of ending it."""
    try:
        yield
    except (InputError, RunError) as error:
        st.error(error_sentence(error))
    except Exception as error:  # Streamlit's own control flow does not derive from Exception
        show_failure(error)


def show_failure(error: BaseException) -> None:
    """Shows an exception as one sentence; with its traceback a click away unless it is InputError or RunError."""
    if isinstance(error, (InputError, RunError)):
        st.error(error_sentence(error))
        return
    here = open_workspace()
    details = here.note_failure(error)
    st.error(f"Unexpected error: {error_sentence(error)} See {as_text(here.shown(here.log))} for details.")
    with st.expander("Details"):
        st.code(escaped(details), language="text", wrap_lines=True)


def error_sentence(error: BaseException) -> str:
    """Message of the error as a sentence, in Markdown that shows names and paths in it as they are."""
    return as_text(as_sentence(escaped(str(error).strip()) or type(error).__name__))
