"""Choosing a data source, its split and shard, and whose tokenizers look at it; shared by Data and Search."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from app.background import computed
from app.keys import INPUT
from app.models import choose_or_type, models
from dream.config import DreamConfig
from dream.presets import tiny
from dream.pretrained import checkpoint_of
from workbench.sources.browse import Browsed, browse, splits_of
from workbench.sources.places import list_sources, source_stamp
from workbench.sources.seen import Eyes, config_of_model, eyes_of_model, eyes_of_training
from workbench.workspace import open_workspace

ANEW = "tiny, to be trained on this source"
"""The choice of tokenizers that no model has yet."""
LEVELS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Opened:
    """A split of a source, opened, and what tells it from others."""

    typed: str
    source: str
    split: str
    browsed: Browsed
    identity: tuple[str, ...]


def pick_source(key: str) -> str:
    """A selection box of sources, or what is typed into it. `key` without `in.`."""
    return choose_or_type(
        "Data source",
        _listed(str(open_workspace().root)),
        INPUT + key,
        "`shapes` (drawn pictures), a folder, tar shards (`pictures/*.tar`), or `hf:owner/name`; "
        "type one that is not listed.",
    )


def pick_split(key: str, typed: str, config: DreamConfig, first: str = "") -> str | None:
    """A selection box of the source's splits, at the beginning on `first`, if there is one of that name.

    None while (or where) the source cannot be opened.
    """
    source = open_workspace().source(typed)
    splits = computed(key, (source, stamp(source)), "Opening the source", lambda work: splits_of(source, config))
    if splits is None:
        return None
    if st.session_state.get(INPUT + key) not in splits or st.session_state.get(f"{key}.of") != source:
        st.session_state[INPUT + key] = first if first in splits else splits[0]
        st.session_state[f"{key}.of"] = source  # another source starts on its own first split
    return st.selectbox(
        "Split",
        splits,
        key=INPUT + key,
        help="`all` holds nothing back; a training learns from train and checks itself on val.",
    )


def open_split(key: str, typed: str, split: str, config: DreamConfig) -> Opened | None:
    """The split, once it is open; None until then, with progress or the failure shown here."""
    source = open_workspace().source(typed)
    identity = (source, stamp(source), split, _digest(config) if source == "shapes" else "")
    browsed = computed(key, identity, "Opening the source", lambda work: browse(source, config, split))
    return None if browsed is None else Opened(typed, source, split, browsed, identity)


def pick_eyes() -> str:
    """A selection box of whose tokenizers look at the source."""
    return choose_or_type(
        "Seen by",
        [*models(), ANEW],
        INPUT + "data.eyes",
        "Whose caption tokenizer, image tokenizer and picture size are shown: a model's, or those "
        "that a new `tiny` training on this source would have.",
    )


def eyes_for(chosen: str, typed: str, level: int | None) -> Eyes | None:
    """The tokenizers, once they are there; None until then, with progress or the failure shown here."""
    if chosen == ANEW:
        source = open_workspace().source(typed)
        return computed(
            "data.eyes",
            (source, stamp(source), level),
            "Learning a tokenizer",
            lambda work: eyes_of_training(source, 1 if level is None else level),
        )
    path = open_workspace().model(chosen)
    eyes = _eyes_of_model(path, _changed(path))
    if level is None:
        return eyes
    config = eyes.config
    return replace(eyes, config=replace(config, data=replace(config.data, level=level)))


def pick_level() -> int:
    """A selection box of the difficulty of drawn pictures."""
    st.session_state.setdefault("in.data.level", tiny().data.level)
    return st.selectbox(
        "Level",
        LEVELS,
        key="in.data.level",
        help="0: one large object; 1: one or two; 2: more shapes, colours, sizes; 3: textures, up to three.",
    )


@st.cache_data(ttl=5, show_spinner=False)
def stamp(source: str) -> str:
    """`source_stamp`, asked again after some seconds at the earliest."""
    return source_stamp(source)


@st.cache_data(ttl=20, show_spinner=False)
def _listed(root: str) -> list[str]:
    return list_sources(open_workspace())


def model_config(path: str) -> DreamConfig:
    """The configuration of a model, without opening its weights."""
    return _config_of_model(path, _changed(path))


@st.cache_data(max_entries=32, show_spinner=False)
def _config_of_model(path: str, changed: int) -> DreamConfig:
    return config_of_model(path)


def _changed(path: str) -> int:
    return max(file.stat().st_mtime_ns for file in checkpoint_of(Path(path)).iterdir())


@st.cache_resource(max_entries=8, show_spinner=False)
def _eyes_of_model(path: str, changed: int) -> Eyes:
    return eyes_of_model(path)


def _digest(config: DreamConfig) -> str:
    return hashlib.blake2b(json.dumps(config.to_dict()).encode(), digest_size=8).hexdigest()
