"""Results that pages ask for by name: started once, followed while they come, kept for every tab."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st

from app.background import follow, start_work, work
from app.failures import guarded, show_failure
from workbench.work import Work

T = TypeVar("T")

PATIENCE = 0.25
"""Seconds that a page waits before it shows progress, so that quick things come at once."""
MOST = 32
"""Results of a kind that are kept."""
FEW = {"search.index": 3}
"""Of these fewer, since they are large."""


class _Kept:
    """The results used last, by kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[str, OrderedDict[Hashable, Any]] = {}

    def get(self, key: str, identity: Hashable) -> Any:
        with self._lock:
            results = self._results.get(key, OrderedDict())
            if identity in results:
                results.move_to_end(identity)
            return results.get(identity)

    def put(self, key: str, identity: Hashable, result: Any) -> None:
        with self._lock:
            results = self._results.setdefault(key, OrderedDict())
            results[identity] = result
            while len(results) > FEW.get(key, MOST):
                results.popitem(last=False)


@st.cache_resource
def _kept() -> _Kept:
    return _Kept()


def computed(
    key: str,
    identity: Hashable,
    what: str,
    function: Callable[[Work[T]], T],
    show: Callable[[Any], None] = lambda partial: None,
) -> T | None:
    """What `function` makes, once for all that ask for this `identity`; None while it is not there.

    Meanwhile progress is shown here, with `show` of what the work has so far; a failure or a cancel is shown
    with a button that starts anew. `what` names it in a sentence.
    """
    kept = _kept()
    if (known := kept.get(key, identity)) is not None:
        return known  # type: ignore[no-any-return]
    running = work(key)
    if running is None or st.session_state.get(f"computed.{key}") != identity:

        def run(own: Work[T]) -> T:
            result = function(own)
            kept.put(key, identity, result)
            return result

        st.session_state[f"computed.{key}"] = identity
        running = start_work(key, run).wait(PATIENCE)
    if running.running:
        follow(key, lambda own: _show_partial(own, show))
    elif running.state == "done":
        return running.result  # type: ignore[no-any-return]
    elif running.state == "failed" and running.error is not None:
        show_failure(running.error)
        _start_anew(key, "Try again")
    else:
        st.warning(f"{what} was cancelled.")
        _start_anew(key, "Start again")
    return None


def _show_partial(running: Work[Any], show: Callable[[Any], None]) -> None:
    with guarded():
        if running.partial is not None:
            show(running.partial)


def _start_anew(key: str, label: str) -> None:
    def forget() -> None:
        st.session_state.pop(f"computed.{key}", None)

    st.button(label, key=f"do.{key}.anew", on_click=forget, help="Runs the same once more.")
