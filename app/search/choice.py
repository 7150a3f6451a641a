"""Choice of what to search: a model, a source and a number of pictures; and their index."""

from dataclasses import dataclass

import streamlit as st

from app.background import computed
from app.data.choice import Opened, model_config, open_split, pick_source, pick_split
from app.emoji_build import emoji_missing, offer_emoji
from app.keys import SEARCH
from app.links import LINKED
from app.models import pick_model, pretrained
from app.number_fields import NumberFields
from app.text import as_text
from dream.config import DreamConfig
from dream.data.emoji.corpus import SOURCE as EMOJI
from dream.evaluation.tasks import SHAPES
from dream.model.pretrained import Pretrained
from dream.pretrained import SHIPPED
from workbench.search.hits import why_no_joint_space
from workbench.search.index import Index, build_index, features_at, has_joint_space, most_pictures
from workbench.workspace import open_workspace

COUNT = 512


@dataclass(frozen=True)
class SearchChoice:
    """A model, not opened yet, and the pictures to search."""

    model: str
    config: DreamConfig
    opened: Opened
    count: int


@dataclass(frozen=True)
class Ready:
    """An open model with the index of the pictures, and an identity for caching."""

    pretrained: Pretrained
    index: Index
    identity: tuple[object, ...]


def choose_search() -> SearchChoice | None:
    """Shows the choice; None while the source opens, or if the model or the source cannot be searched."""
    columns = st.columns([3, 3, 1.3, 1.7])
    with columns[0]:
        model = pick_model(SEARCH.name("model"), first=_world(), bind=LINKED)
    config = model_config(model)
    with columns[1]:
        typed = pick_source(SEARCH.name("source"), first=_world())
    if emoji_missing(typed):
        offer_emoji()
        return None
    if not has_joint_space(config):
        st.info(as_text(why_no_joint_space(open_workspace().shown(model), config)))
        return None
    first = "val" if typed in (SHAPES, EMOJI) else ""
    split = pick_split(columns[2], SEARCH.name("split"), typed, config, first)
    if split is None:
        return None
    opened = open_split(SEARCH.name("open"), typed, split, config)
    if opened is None:
        return None
    most, numbers = most_pictures(config), NumberFields()
    count = numbers.whole(
        columns[3].container(),
        "Maximum pictures",
        1,
        most,
        value=min(COUNT, most),
        step=256,
        key=SEARCH.input("count"),
        bind=LINKED,
        help=f"Reads pictures from the start of the split and keeps them in memory; {most:,} fit for this model.",
    )
    numbers.require()
    return SearchChoice(model, config, opened, count)


def _world() -> str:
    """Name of the pictures to search at first, and of the shipped model of them: real ones if they are there."""
    return EMOJI if EMOJI in SHIPPED and not emoji_missing(EMOJI) else ""


def ready(chosen: SearchChoice) -> Ready | None:
    """Builds the index; None until it is built, with progress or the failure shown here."""
    model = pretrained(chosen.model)
    identity = (model.model_id, *chosen.opened.identity, chosen.count)
    index = computed(
        SEARCH.name("index"),
        identity,
        "Indexing the pictures",
        lambda work: build_index(model, chosen.opened.browsed, chosen.count, work.tell),
    )
    st.session_state[SEARCH.name("ready")] = identity
    return None if index is None else Ready(model, index, identity)


def has_features(there: Ready, ratio: float) -> bool:
    """Computes the pictures' features at this mask ratio; False until they are ready, with progress shown here."""
    features = computed(
        SEARCH.name("features"),
        (there.identity, ratio),
        "Encoding the pictures",
        lambda work: features_at(there.pretrained, there.index, ratio, work.tell),
    )
    return features is not None
