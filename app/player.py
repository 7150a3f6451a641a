"""The player on pages: `show_player` mounts the front end of `workbench.player` as a Streamlit component."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.keys import action_key, player_event_key
from workbench.player import EVENTS, check_player_data, player_css, player_script

ADAPTER = """
const mounted = new WeakMap();
export default function ({ data, parentElement, setTriggerValue }) {
  let known = mounted.get(parentElement);
  if (known) known.player.update(data.player);
  else {
    known = { player: mount(parentElement, data.player, (event) => known.set("event", event), data.events) };
    mounted.set(parentElement, known);
  }
  known.set = setTriggerValue;
  return () => {
    known.player.destroy();
    mounted.delete(parentElement);
  };
}
"""
_component = st.components.v2.component("dream_player", js=player_script(ADAPTER), css=player_css())


def show_player(
    data: Mapping[str, Any], key: str, height: int | None = None, events: Sequence[str] = EVENTS
) -> dict[str, Any] | None:
    """Draws the player with `data`; returns the latest event of the user, once, else None.

    Only the kinds in `events` come back, and each reruns the page: name those that are used (`()`: none).
    `height` is in pixels (default: that of the content). Raises InputError as `check_player_data` does.
    """
    check_player_data(data)
    state = _component(
        key=action_key(key),
        data={"player": data, "events": list(events)},
        height="content" if height is None else height,
        on_event_change=lambda: None,
    )
    event = state.get("event")
    if event is None or event["id"] <= st.session_state.get(player_event_key(key), 0):
        return None
    st.session_state[player_event_key(key)] = event["id"]
    return event
