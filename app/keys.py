"""Keys of the session: how each kind is made, in one place.

Streamlit keeps everything of a tab under string keys. Each page makes its own with its `PageKeys` below:

- `in.PAGE.NAME`: a widget that holds a user's input; its value outlives a change of page.
- `do.PAGE.NAME`: a button, an upload, a chart or a form.
- `PAGE.NAME`: what a page remembers, as the id of what it shows; also the name of background work and of a figure.

The functions below make the keys of what all pages share: background work, values handed over, players.
"""

from dataclasses import dataclass

import streamlit as st

INPUT = "in."
"""Prefix of the keys of widgets whose values outlive a change of page."""
SAVE = "save-"
"""Prefix of the keys of the containers that hold a figure's downloads; they lie on its lower right corner."""
TILES = "tiles-"
"""Prefix of the keys of containers whose tiles stand two in a row on a narrow page."""
FORM = "form-"
"""Prefix of the keys of containers beside something else that are as wide as a narrow page."""
LARGEST_SEED = 2**53 - 1
"""Largest seed of a number field: the browser's numbers are exact up to here."""


@dataclass(frozen=True)
class PageKeys:
    """Keys of one page, by the kind of what they hold."""

    page: str

    def input(self, *names: object) -> str:
        """Key of a widget whose value outlives a change of page."""
        return _joined("in", self.page, *names)

    @property
    def inputs(self) -> str:
        """Prefix of the keys of the page's inputs."""
        return f"{INPUT}{self.page}."

    def action(self, *names: object) -> str:
        """Key of a button, an upload, a chart or a form."""
        return _joined("do", self.page, *names)

    def name(self, *names: object) -> str:
        """Key of what the page remembers; also the name of its background work and of its figures."""
        return _joined(self.page, *names)


HOME = PageKeys("home")
MASKING = PageKeys("masking")
DECODE = PageKeys("decode")
TRAJECTORIES = PageKeys("trajectories")
TRAIN = PageKeys("train")
RUNS = PageKeys("runs")
CHECKPOINTS = PageKeys("checkpoints")
SEARCH = PageKeys("search")
DATA = PageKeys("data")
EVALUATE = PageKeys("evaluate")


def input_key(*names: object) -> str:
    """Key of an input of any page, as `decode.model`."""
    return _joined("in", *names)


def action_key(*names: object) -> str:
    """Key of a button, chart or the like of any page, as `decode.order`."""
    return _joined("do", *names)


def work_key(name: str) -> str:
    """Key of the background work of that name."""
    return _joined("work", name)


def identity_key(name: str) -> str:
    """Key of what the background work of that name was started for."""
    return _joined("computed", name)


def taken_key(name: str) -> str:
    """Key of the work of that name whose result was taken last."""
    return _joined("taken", name)


def origin_key(name: str) -> str:
    """Key of what the input of that name was offered for; another origin offers other values."""
    return _joined("origin", name)


def handed_key(page: str) -> str:
    """Key of the values that another page left for this one."""
    return _joined("handed", page)


def player_event_key(key: str) -> str:
    """Key of the last event of the player of that key, so that each event counts once."""
    return _joined("player.seen", key)


def keep_inputs() -> None:
    """Keeps the inputs of the other pages, which Streamlit would drop when the page changes."""
    for key in list(st.session_state):
        if str(key).startswith(INPUT):
            st.session_state[key] = st.session_state[key]


def _joined(*names: object) -> str:
    return ".".join(map(str, names))
