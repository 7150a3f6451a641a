"""Models on pages: a box to choose one, and each opened once for all tabs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.keys import input_key
from dream.model.pretrained import Pretrained
from dream.pretrained import SHIPPED, checkpoint_of, load_pretrained
from dream.training.checkpoint import TrainingState, read_state
from workbench.opening import set_threads
from workbench.runs.folders import list_runs
from workbench.workspace import open_workspace


def pretrained(model: str, *, ema: bool = True) -> Pretrained:
    """Opens the model of this name or path, once for all tabs and again when its files change.

    Raises InputError as `load_pretrained` does.
    """
    folder = checkpoint_of(Path(model))
    stamp = max(file.stat().st_mtime_ns for file in folder.iterdir())
    opened = _pretrained(str(folder), stamp, ema)
    set_threads(opened)
    return opened


@st.cache_resource(max_entries=3, show_spinner="Opening the model ...")
def _pretrained(folder: str, stamp: int, ema: bool) -> Pretrained:
    return load_pretrained(folder, ema=ema)


def state_of(model: str) -> TrainingState:
    """Training state in a model's checkpoint, read without its weights. Raises InputError as `checkpoint_of`."""
    folder = checkpoint_of(Path(model))
    return _state(str(folder), (folder / "state.json").stat().st_mtime_ns)


@st.cache_resource(max_entries=32, show_spinner=False)
def _state(folder: str, stamp: int) -> TrainingState:
    return read_state(Path(folder))


def models() -> list[str]:
    """Models to choose from: the shipped ones, then the runs of the workspace with a checkpoint, newest first."""
    here = open_workspace()
    runs = [run.path for run in list_runs(here.runs)]
    return [*SHIPPED, *(here.shown(run) for run in runs if any(run.glob("checkpoints/*/state.json")))]


def pick_model(key: str, label: str = "Model", *, first: str = "", **options: Any) -> str:
    """Draws a box to choose a model or type a path, at first `first`; returns a name that `pretrained` takes.

    `key` is without `in.`.
    """
    about = "A shipped model, a run of this workspace, or the path of a run or checkpoint."
    return open_workspace().model(choose_or_type(label, put_first(models(), first), input_key(key), about, **options))


def put_first(choices: Sequence[str], first: str) -> list[str]:
    """The choices with `first`, if it is one of them, in front."""
    return sorted(choices, key=lambda choice: choice != first)


def choose_or_type(label: str, choices: Sequence[str], key: str, about: str, **options: Any) -> str:
    """Draws a box to choose from `choices` or type another value; returns the choice, at first the first one."""
    current = st.session_state.get(key)
    if not current:
        st.session_state[key] = choices[0]
    elif current not in choices:
        choices = [*choices, current]  # the first stays the default, which the address leaves out
    return st.selectbox(label, choices, key=key, accept_new_options=True, help=about, **options)
