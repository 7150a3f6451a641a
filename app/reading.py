"""What the chosen model reads of a typed prompt, below its field, and what it could be asked to paint."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from dream.data.reading import PromptReader
from dream.data.suggestions import Suggestions
from dream.errors import InputError
from dream.pretrained import checkpoint_of, open_prompt_reader
from workbench.reading import readings_html


def show_reading(model: str, prompts: Sequence[str], *, paints: bool = True) -> None:
    """Shows which words of the prompts the model does not read or never saw; nothing if all is well.

    Without `paints` only the text tower counts, which compares texts with pictures.
    """
    try:
        reader = _reader_of(model)
    except InputError:  # the page itself says that the model cannot be opened
        return
    if not paints:
        reader = replace(reader, painter=None)
    if marked := readings_html([reader.read(prompt) for prompt in prompts]):
        st.html(marked)


def suggestions_of(model: str) -> Suggestions:
    """What the captions of a model's training name; empty for a model that kept none. Raises InputError."""
    words = _reader_of(model).words
    return words.suggestions if words is not None else Suggestions()


def _reader_of(model: str) -> PromptReader:
    folder = checkpoint_of(Path(model))
    return _opened(str(folder), (folder / "state.json").stat().st_mtime_ns)


@st.cache_resource(max_entries=8, show_spinner=False)
def _opened(folder: str, stamp: int) -> PromptReader:
    return open_prompt_reader(folder)
