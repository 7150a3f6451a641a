"""Models on pages: the choice of one, and each opened once for all tabs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.keys import INPUT
from dream.model.pretrained import Pretrained
from dream.pretrained import SHIPPED, checkpoint_of, load_pretrained
from workbench.opening import set_threads
from workbench.runs.folders import list_runs
from workbench.workspace import open_workspace


def pretrained(model: str, *, ema: bool = True) -> Pretrained:
    """The model of this name or path; opened once for all tabs, again when its files change.

    Raises InputError as `load_pretrained` does.
    """
    folder = checkpoint_of(Path(model))
    stamp = max(file.stat().st_mtime_ns for file in folder.iterdir())
    found = _pretrained(str(folder), stamp, ema)
    set_threads(found)
    return found


@st.cache_resource(max_entries=3, show_spinner="Opening the model ...")
def _pretrained(folder: str, stamp: int, ema: bool) -> Pretrained:
    return load_pretrained(folder, ema=ema)


def models() -> list[str]:
    """Models to choose from: those shipped, then the workspace's runs that hold a checkpoint, newest
    first.
    """
    here = open_workspace()
    runs = [run.path for run in list_runs(here.runs)]
    return [*SHIPPED, *(here.shown(run) for run in runs if any(run.glob("checkpoints/*/state.json")))]


def pick_model(key: str, label: str = "Model", **options: Any) -> str:
    """A selection box of the models, or a path typed in; what `pretrained` takes. `key` without `in.`."""
    about = "A shipped model, a run of this workspace, or the path of a run or checkpoint."
    return open_workspace().model(choose_or_type(label, models(), INPUT + key, about, **options))


def choose_or_type(label: str, choices: Sequence[str], key: str, about: str, **options: Any) -> str:
    """A selection box that takes what is not listed too; at the beginning on the first choice."""
    given = st.session_state.get(key)
    if not given:
        st.session_state[key] = choices[0]
    elif given not in choices:
        choices = [given, *choices]
    return st.selectbox(label, choices, key=key, accept_new_options=True, help=about, **options)
