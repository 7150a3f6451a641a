"""What the reader's eye and keyboard are on: a part of the page brought into view, a focus that outlives its page.

`bring_into_view` is for buttons that change something elsewhere on the page; the keyboard focus stays on them.
"""

import time

import streamlit as st

from app.keys import action_key

ASKED = "reveal.asked"
"""Session key: key of the container to bring into view in this run."""
SCRIPT = r"""
let last = null;
export default function ({ data }) {
  if (!data.key || data.id === last) return;
  last = data.id;
  const name = `.st-key-${data.key.replace(/[^A-Za-z0-9_-]/g, "-")}`;
  const end = performance.now() + 1500;
  const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  // what is above it may still grow, so it is followed until it rests
  let [top, moved] = [null, false];
  const look = () => {
    const element = document.querySelector(name);
    const now = element?.getBoundingClientRect();
    if (now && (!moved || (now.top !== top && !smooth))) {
      const fits = now.height < 0.8 * innerHeight;
      element.style.scrollMargin = "4.5rem 0 1rem";
      element.scrollIntoView({ block: fits ? "nearest" : "start", behavior: smooth ? "smooth" : "instant" });
      moved = true;
      top = element.getBoundingClientRect().top;
    }
    if (performance.now() < end) setTimeout(look, 150);
    else if (element && smooth) {
      const box = element.getBoundingClientRect();
      const seen = box.top >= 0 && box.top < innerHeight - 100;
      if (!seen) element.scrollIntoView({ block: "start", behavior: "smooth" });
    }
  };
  setTimeout(look, 60);
}
"""
FOLLOW = """
let last = null;
export default function ({ data }) {
  const before = last;
  last = data.page;
  if (before === null || before === data.page) return;
  const end = performance.now() + 3000;
  const look = () => {
    // what had the focus went with its page: the next Tab leads to the first control of the new one
    if (document.activeElement !== document.body) return performance.now() < end && setTimeout(look, 150);
    document.querySelector("[data-testid=stMain]")?.focus({ preventScroll: true });
  };
  setTimeout(look, 150);
}
"""
_follow = st.components.v2.component("dream_focus", js=FOLLOW)
_component = st.components.v2.component("dream_reveal", js=SCRIPT)


def bring_into_view(key: str) -> None:
    """Asks for the container of that key to be in view once this run, or after a callback the next one, is drawn."""
    st.session_state[ASKED] = key


def reveal_asked() -> None:
    """Does what `bring_into_view` asked for; call it once, at the end of the page."""
    key = st.session_state.pop(ASKED, "")
    _component(key=action_key("reveal"), data={"key": key, "id": time.time_ns() if key else 0}, height=1)


def keep_focus(page: str) -> None:
    """Puts the keyboard focus onto the page of that address if it was on a part of the page before it."""
    _follow(key=action_key("focus"), data={"page": page}, height=1)
