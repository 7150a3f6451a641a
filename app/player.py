"""The player on pages: `show_player` mounts the front end of `workbench.player` as a Streamlit component."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.keys import action_key, player_event_key
from app.links import linked
from workbench.player import EVENTS, check_player_data, player_css, player_script

ADAPTER = """
const mounted = new WeakMap();
const EVERY = 400; // milliseconds between looks at the address

/** Keeps the number of the step at which the reader rests in the address, without a run of the page. */
function keepLinked(known) {
  const step = known.link ? known.player.rested() : undefined;
  if (step === undefined) return;
  const address = new URL(location.href);
  const now = address.searchParams.get(known.link);
  if (now === (step === null ? null : String(step))) return;
  if (step === null) address.searchParams.delete(known.link);
  else address.searchParams.set(known.link, step);
  history.replaceState(history.state, "", address);
}

export default function ({ data, parentElement, setTriggerValue }) {
  let known = mounted.get(parentElement);
  if (known) known.player.update(data.player);
  else {
    known = { player: mount(parentElement, data.player, (event) => known.set("event", event), data.events) };
    // what the server puts into the address replaces all of it, so it is looked at again and again
    known.looks = setInterval(() => keepLinked(known), EVERY);
    mounted.set(parentElement, known);
  }
  known.set = setTriggerValue;
  known.link = data.link;
  return () => {
    clearInterval(known.looks);
    known.player.destroy();
    mounted.delete(parentElement);
  };
}
"""
_component = st.components.v2.component("dream_player", js=player_script(ADAPTER), css=player_css())


def show_player(
    data: Mapping[str, Any], key: str, height: int | None = None, events: Sequence[str] = EVENTS, link: str = ""
) -> dict[str, Any] | None:
    """Draws the player with `data`; returns the latest event of the user, once, else None.

    Only the kinds in `events` come back, and each reruns the page: name those that are used (`()`: none).
    `height` is in pixels (default: that of the content). With `link` the number of the step at which the reader
    rests stands in the address under that key, unless it is the last one; `at_linked_step` opens the player there.
    Raises InputError as `check_player_data` does.
    """
    check_player_data(data)
    state = _component(
        key=action_key(key),
        data={"player": data, "events": list(events), "link": link},
        height="content" if height is None else height,
        on_event_change=lambda: None,
    )
    event = state.get("event")
    if event is None or event["id"] <= st.session_state.get(player_event_key(key), 0):
        return None
    st.session_state[player_event_key(key)] = event["id"]
    return event


def at_linked_step(data: Mapping[str, Any], link: str) -> dict[str, Any]:
    """Player data that opens at the step whose number the address has under that key, else at the last one."""
    number = linked(link)
    at = next((i for i, step in enumerate(data["steps"]) if str(step["step"]) == number), None)
    return {**data, "at": at}
