"""Failures on a page: one sentence each, with the details a click away and in the log."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dream.errors import InputError, RunError
from workbench.runs.words import sentence as as_sentence
from workbench.workspace import open_workspace


@contextmanager
def guarded() -> Iterator[None]:
    """Turns a failure inside into a sentence on the page; details are a click away and in the log."""
    try:
        yield
    except (InputError, RunError) as error:
        st.error(error_sentence(error))
    except Exception as error:  # Streamlit's own control flow is no Exception
        show_failure(error)


def show_failure(error: BaseException) -> None:
    """One sentence for a failure, with its details a click away if it is not one of ours."""
    if isinstance(error, (InputError, RunError)):
        st.error(error_sentence(error))
        return
    here = open_workspace()
    details = here.note_failure(error)
    st.error(
        f"Something went wrong that should not: {error_sentence(error)} The details are in {here.shown(here.log)}."
    )
    with st.expander("Details"):
        st.code(details, language="text", wrap_lines=True)


def error_sentence(error: BaseException) -> str:
    """The error's message as a sentence."""
    return as_sentence(str(error).strip() or type(error).__name__)
