"""Work in the background of a tab: started under a name, followed while it runs, cancelled."""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from dream.console import duration
from workbench.work import Work

T = TypeVar("T")


def work(key: str) -> Work[Any] | None:
    """This tab's work of that name, if it was ever started."""
    return st.session_state.get(f"work.{key}")


def start_work(key: str, function: Callable[[Work[T]], T]) -> Work[T]:
    """Starts work of that name in this tab; what ran under it is asked to stop."""
    before = work(key)
    if before is not None:
        before.cancel()
    st.session_state[f"work.{key}"] = started = Work(function, key)
    return started


def show_progress(running: Work[Any], key: str) -> None:
    """A bar with what is being done and the time left, and a button that cancels."""
    left = running.seconds_left
    text = running.text or "starting"
    bar, button = st.columns([6, 1], vertical_alignment="center")
    bar.progress(running.share, text=text + (f" · {duration(left)} left" if left is not None else ""))
    button.button("Cancel", key=f"do.cancel.{key}", on_click=running.cancel, help="Stop this; nothing else is lost.")


def follow(key: str, show: Callable[[Work[Any]], None], every: float = 0.3) -> None:
    """Shows this tab's work of that name while it runs, again and again, then reruns the page once.

    `show` draws what `Work.partial` holds so far.
    """
    running = work(key)
    if running is None or not running.running:
        return

    @st.fragment(run_every=every)
    def watch() -> None:
        show_progress(running, key)
        show(running)
        if not running.running:
            st.rerun()

    watch()
