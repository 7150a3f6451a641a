"""Choice of a data source, its split and the tokenizers applied to it; shared by Data and Search."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background import computed
from app.keys import DATA, input_key, origin_key
from app.links import LINKED
from app.models import choose_or_type, models, put_first
from dream.config import DreamConfig
from dream.data.captions import USUAL, Names
from dream.data.emoji.corpus import SOURCE as EMOJI
from dream.data.emoji.corpus import is_emoji
from dream.data.formats import CAPTION_NAMES, FILE_NAMES
from dream.presets import tiny
from dream.pretrained import SHIPPED, checkpoint_of
from workbench.sources.browse import Browsed, browse, splits_of
from workbench.sources.places import list_sources, source_stamp
from workbench.sources.seen import Eyes, config_of_model, eyes_of_model, eyes_of_training
from workbench.workspace import open_workspace

NEW_MODEL = "a new tiny model for this source"
"""Option for the tokenizers that a new training would have."""
OWN_EYES = DATA.name("own_eyes")
"""Session key: the shipped model whose tokenizers were the first choice for the source before."""
LEVELS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Opened:
    """An open split of a source, with an identity for caching."""

    typed: str
    source: str
    split: str
    browsed: Browsed
    identity: tuple[str, ...]


def pick_source(key: str, first: str = "") -> str:
    """Shows a selection box of sources that also takes typed ones, at first `first`. `key` is without `in.`."""
    return choose_or_type(
        "Data source",
        put_first(_listed(str(open_workspace().root)), first),
        input_key(key),
        "`shapes` (drawn pictures), `emoji`, a folder, tar shards (`pictures/*.tar`), or `hf:owner/name`. "
        "Choose a listed source or type another one.",
        bind=LINKED,
    )


def pick_split(where: DeltaGenerator, key: str, typed: str, config: DreamConfig, first: str = "") -> str | None:
    """Shows there a selection box of the source's splits, initially on `first` if that exists.

    Returns None while the source is being opened, with the progress shown here, or if it cannot be opened.
    """
    source = open_workspace().source(typed)
    identity = (source, stamp(source), config.data.caption, config.data.picture)
    splits = computed(key, identity, "Opening the source", lambda work: splits_of(source, config))
    if splits is None:
        return None
    before = st.session_state.get(origin_key(key), source)
    if before != source or st.session_state.get(input_key(key), splits[0]) not in splits:
        st.session_state.pop(input_key(key), None)  # a new source starts on its own first split
    st.session_state[origin_key(key)] = source
    return where.selectbox(
        "Split",
        splits,
        splits.index(first) if first in splits else 0,
        key=input_key(key),
        bind=LINKED,
        help="A training learns from train and validates on val; `all` is both together.",
    )


def open_split(key: str, typed: str, split: str, config: DreamConfig) -> Opened | None:
    """Opens a split; None until it is open, with progress or the failure shown here."""
    source = open_workspace().source(typed)
    names = config.data.caption, config.data.picture
    identity = (source, stamp(source), split, *names, _digest(config) if source == "shapes" else "")
    browsed = computed(key, identity, "Opening the source", lambda work: browse(source, config, split))
    return None if browsed is None else Opened(typed, source, split, browsed, identity)


def pick_eyes(typed: str) -> str:
    """Shows a selection box of the model whose tokenizers are applied to the source, at first that of its world."""
    key, own = DATA.input("eyes"), EMOJI if is_emoji(typed) and EMOJI in SHIPPED else next(iter(SHIPPED))
    before = st.session_state.get(OWN_EYES, own)
    if before != own and st.session_state.get(key) == before:
        st.session_state[key] = own
    st.session_state[OWN_EYES] = own
    return choose_or_type(
        "Tokenizers of",
        put_first([*models(), NEW_MODEL], own),
        key,
        "Model whose caption tokenizer, image tokenizer and picture size are used, or those that a new `tiny` training "
        "on this source would have.",
        bind=LINKED,
    )


def pick_names() -> Names:
    """Shows two fields for the names of captions and pictures, for sources that do not have the usual ones."""
    with st.expander("Names in the source"):
        columns = st.columns(2)
        caption = columns[0].text_input(
            "Caption",
            key=DATA.input("caption"),
            bind=LINKED,
            placeholder=", ".join(CAPTION_NAMES[:3]) + ", ...",
            help="Field, column or file ending that holds the caption (`data.caption`). Empty: the usual names.",
        )
        picture = columns[1].text_input(
            "Picture",
            key=DATA.input("picture"),
            bind=LINKED,
            placeholder=", ".join(FILE_NAMES[:3]) + ", ...",
            help="Field or column that holds the picture or names its file (`data.picture`). Empty: the usual names.",
        )
    return Names(caption.strip(), picture.strip())


def eyes_for(chosen: str, typed: str, level: int | None, names: Names = USUAL) -> Eyes | None:
    """Loads the tokenizers; None until they are ready, with progress or the failure shown here."""
    if chosen == NEW_MODEL:
        source = open_workspace().source(typed)
        return computed(
            DATA.name("eyes"),
            (source, stamp(source), level, names),
            "Training a tokenizer",
            lambda work: eyes_of_training(source, 1 if level is None else level, names),
        )
    path = open_workspace().model(chosen)
    eyes = _eyes_of_model(path, _changed(path))
    data = eyes.config.data
    data = replace(
        data,
        level=data.level if level is None else level,
        caption=names.caption or data.caption,
        picture=names.picture or data.picture,
    )
    return replace(eyes, config=replace(eyes.config, data=data))


def pick_level() -> int:
    """Shows a selection box of the difficulty of drawn pictures."""
    return st.selectbox(
        "Level",
        LEVELS,
        LEVELS.index(tiny().data.level),
        key=DATA.input("level"),
        bind=LINKED,
        help="0: one large object; 1: one or two; 2: more shapes, colours, sizes; 3: textures, up to three.",
    )


@st.cache_data(ttl=5, show_spinner=False)
def stamp(source: str) -> str:
    """`source_stamp`, cached for a few seconds."""
    return source_stamp(source)


@st.cache_data(ttl=20, show_spinner=False)
def _listed(root: str) -> list[str]:
    return list_sources(open_workspace())


def model_config(path: str) -> DreamConfig:
    """Configuration of a model, without opening its weights."""
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
