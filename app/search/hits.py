"""A clickable grid of pictures or list of captions, as a small component.

It receives its items as data and reports which one was picked.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import streamlit as st

CSS = """
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(118px, 1fr)); gap: .55rem;
  font-family: var(--st-font); color: var(--st-text-color); }
.hits.lines { grid-template-columns: 1fr; gap: .3rem; }
button { all: unset; box-sizing: border-box; cursor: pointer; border-radius: .4rem; padding: .4rem;
  border: 1px solid rgba(127,135,144,.35); display: flex; flex-direction: column; gap: .25rem; min-width: 0;
  background: linear-gradient(to right, rgba(213,94,0,.16) var(--share), transparent var(--share)); }
.hits.cards button { background: none; }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
button.chosen { border-color: var(--st-primary-color); box-shadow: 0 0 0 1px var(--st-primary-color); }
img { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: .2rem;
  box-shadow: 0 0 0 1px rgba(127,135,144,.45); }
img.cells { image-rendering: pixelated; }
.top { display: flex; justify-content: space-between; font-size: .78rem; font-variant-numeric: tabular-nums; }
.top span:first-child { opacity: .7; }
.title { font-size: .78rem; line-height: 1.25; overflow-wrap: anywhere; }
.lines .title { font-size: .88rem; }
.lines button { flex-direction: row; justify-content: space-between; align-items: baseline; gap: .8rem; }
"""
JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const root = document.createElement("div");
  root.className = "hits " + (data.items.some(item => item.picture) ? "cards" : "lines");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.label);
  const span = (text, name) => {
    const element = document.createElement("span");
    element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  for (const item of data.items) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = item.hover;
    button.style.setProperty("--share", item.share + "%");
    button.setAttribute("aria-pressed", item.chosen ? "true" : "false");
    if (item.chosen) button.classList.add("chosen");
    if (item.picture) {
      const image = document.createElement("img");
      image.src = item.picture;
      image.alt = item.title;
      if (data.cells) image.className = "cells";
      const top = document.createElement("div");
      top.className = "top";
      top.append(span(item.left), span(item.right));
      button.append(image, top, span(item.title, "title"));
    } else {
      button.append(span(item.left + "  " + item.title, "title"), span(item.right, "value"));
    }
    button.onclick = () => setTriggerValue("picked", item.id);
    root.append(button);
  }
  parentElement.querySelectorAll(".hits").forEach(old => old.remove());
  parentElement.append(root);
}
"""
_component = st.components.v2.component("dream_hits", css=CSS, js=JS)


class Item(TypedDict):
    """A clickable item."""

    id: int
    picture: str
    """Data URL of its picture; empty for a line of text."""
    title: str
    left: str
    """Text before the title, or at the left below the picture."""
    right: str
    hover: str
    share: float
    """Filled share of a line's background, in percent."""
    chosen: bool


def show_hits(items: Sequence[Item], key: str, label: str, pick: Callable[[int], None], cells: bool) -> None:
    """Shows the items; a click calls `pick` with the item's id before the page reruns.

    `cells` shows pictures with sharp pixels; `label` names the group for screen readers.
    """

    def picked() -> None:
        event: Any = st.session_state.get(key)
        if event is not None and event.get("picked") is not None:
            pick(int(event["picked"]))

    _component(key=key, data={"items": list(items), "label": label, "cells": cells}, on_picked_change=picked)
