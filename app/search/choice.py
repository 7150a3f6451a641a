"""What is searched: a model, a source, how many of its pictures; and the index of them."""

from dataclasses import dataclass

import streamlit as st

from app.data.choice import Opened, model_config, open_split, pick_source, pick_split
from app.data.work import computed
from app.models import pick_model, pretrained
from dream.config import DreamConfig
from dream.model.pretrained import Pretrained
from workbench.search.hits import why_no_joint_space
from workbench.search.index import Index, build_index, features_at, has_joint_space, most_pictures
from workbench.workspace import open_workspace

COUNT = 512


@dataclass(frozen=True)
class SearchChoice:
    """The model (not opened yet) and what it is to look at."""

    model: str
    config: DreamConfig
    opened: Opened
    count: int


@dataclass(frozen=True)
class Ready:
    """The model, the index of its pictures, and what tells them from others."""

    pretrained: Pretrained
    index: Index
    identity: tuple[object, ...]


def choose_search() -> SearchChoice | None:
    """The choice; None while the source opens, and where the model or the source cannot be searched."""
    columns = st.columns([3, 3, 1.3, 1.7])
    with columns[0]:
        model = pick_model("search.model")
    config = model_config(model)
    with columns[1]:
        typed = pick_source("search.source")
    if not has_joint_space(config):
        st.info(why_no_joint_space(open_workspace().shown(model), config))
        return None
    with columns[2]:
        split = pick_split("search.split", typed, config, first="val" if typed == "shapes" else "")
    if split is None:
        return None
    opened = open_split("search.open", typed, split, config)
    if opened is None:
        return None
    most = most_pictures(config)
    st.session_state.setdefault("in.search.count", COUNT)
    st.session_state["in.search.count"] = min(st.session_state["in.search.count"], most)
    count = columns[3].number_input(
        "Pictures, at most",
        min_value=1,
        max_value=most,
        step=256,
        key="in.search.count",
        help=f"The first ones of the split are read and held in memory; {most:,} fit for this model.",
    )
    return SearchChoice(model, config, opened, count)


def ready(chosen: SearchChoice) -> Ready | None:
    """The index, once it is built; None until then, with progress or the failure shown here."""
    model = pretrained(chosen.model)
    identity = (model.model_id, *chosen.opened.identity, chosen.count)
    index = computed(
        "search.index",
        identity,
        "Reading the pictures",
        lambda work: build_index(model, chosen.opened.browsed, chosen.count, work.tell),
    )
    st.session_state["search.ready"] = identity
    return None if index is None else Ready(model, index, identity)


def seen_at(there: Ready, ratio: float) -> bool:
    """Whether the pictures' features at this ratio are there; until then progress is shown here."""
    found = computed(
        "search.features",
        (there.identity, ratio),
        "Looking at the pictures",
        lambda work: features_at(there.pretrained, there.index, ratio, work.tell),
    )
    return found is not None
