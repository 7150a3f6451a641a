"""Background work of pages: started once, followed while it runs, shown when it failed or was cancelled.

The only place that knows the states of work. A page uses one of two ways:

- `computed`: a result that depends on its inputs alone. It starts by itself and is cached for all tabs.
- `start_work`, `show_work`, `take_result`: a job that a button starts in this tab, with a result taken once.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import streamlit as st

from app.failures import guarded, show_failure
from app.keys import action_key, identity_key, taken_key, work_key
from app.text import as_text
from dream.console import duration
from workbench.work import Work

T = TypeVar("T")

PATIENCE = 0.25
"""Seconds that a page waits before it shows progress, so that quick results appear at once."""
CACHED = 32
"""Results cached per name."""
CACHED_OF = {"search.index": 3}
"""Exceptions to `CACHED`: names whose results are large."""


@dataclass(frozen=True)
class WorkView(Generic[T]):
    """State of this tab's work, after `show_work` has drawn it."""

    running: bool = False
    failed: bool = False
    result: T | None = None
    """Its result, once it is done."""
    partial: Any = None
    """Its last partial result, if it failed or was cancelled."""


def _work(name: str) -> Work[Any] | None:
    """This tab's work of that name; None if it was never started."""
    return st.session_state.get(work_key(name))


def start_work(name: str, function: Callable[[Work[T]], T], identity: Hashable = None) -> Work[T]:
    """Starts work of that name in this tab, for `identity`; earlier work of that name is asked to stop."""
    before = _work(name)
    if before is not None:
        before.cancel()
    st.session_state[work_key(name)] = started = Work(function, name)
    st.session_state[identity_key(name)] = identity
    return started


def forget_work(name: str) -> None:
    """Forgets this tab's work of that name, so that `is_started` is False again."""
    st.session_state.pop(work_key(name), None)
    st.session_state.pop(identity_key(name), None)


def is_started(name: str, identity: Hashable = None) -> bool:
    """Whether this tab's latest work of that name was started for `identity`; it may have ended."""
    return _work(name) is not None and st.session_state.get(identity_key(name)) == identity


def is_running(name: str) -> bool:
    """Whether this tab's work of that name is running, for any identity."""
    current = _work(name)
    return current is not None and current.running


def take_result(name: str) -> Any:
    """Result of work that has finished since the last call; None before, and on every further call."""
    current = _work(name)
    if current is None or current.state != "done" or st.session_state.get(taken_key(name)) is current:
        return None
    st.session_state[taken_key(name)] = current
    return current.result


def show_work(
    name: str,
    show: Callable[[Any], None] = lambda partial: None,
    *,
    identity: Hashable = None,
    waiting: str = "",
    cancelled: str = "Cancelled.",
    again: Callable[[], Any] | None = None,
    every: float = 0.3,
) -> WorkView[Any]:
    """Draws this tab's work of that name, if it was started for `identity`, and returns its state.

    Running: a progress bar with Cancel, and `show` of the partial result (`waiting` until there is one), redrawn
    every `every` seconds; the page reruns when the work ends. Failed: the error. Cancelled: the sentence `cancelled`.
    After both a button calls `again`, if given. Done: nothing is drawn.
    """
    current = _work(name)
    if current is None or not is_started(name, identity):
        return WorkView()
    if current.running:
        _follow(name, lambda running: _show_partial(running, show, waiting), every)
        return WorkView(running=True)
    if current.state == "done":
        return WorkView(result=current.result)
    failed = current.state == "failed" and current.error is not None
    if failed:
        assert current.error is not None
        show_failure(current.error)
    else:
        st.info(cancelled)
    if again is not None:
        label = "Try again" if failed else "Start again"
        st.button(label, key=action_key(name, "again"), on_click=again, help="Runs the same again.")
    return WorkView(failed=failed, partial=current.partial)


def computed(
    name: str,
    identity: Hashable,
    what: str,
    function: Callable[[Work[T]], T],
    show: Callable[[Any], None] = lambda partial: None,
    *,
    may_start: Callable[[], bool] = lambda: True,
    cancelled: str = "",
) -> T | None:
    """Result of `function`, computed once per `identity` for all tabs; None until it is there.

    Until then this draws as `show_work` does, with a button that starts it again after a failure or a cancel.
    `what` is the subject of "... was cancelled.", unless `cancelled` is given. `may_start` is asked before the
    first start; it may draw a button and return whether that was pressed.
    """
    cache = _cache()
    if (known := cache.get(name, identity)) is not None:
        return known  # type: ignore[no-any-return]

    def compute(own: Work[T]) -> T:
        result = function(own)
        cache.put(name, identity, result)
        return result

    def start() -> None:
        start_work(name, compute, identity).wait(PATIENCE)

    if not is_started(name, identity):
        if not may_start():
            return None
        start()
    cancelled = cancelled or f"{what} was cancelled."
    return show_work(name, show, identity=identity, cancelled=cancelled, again=start).result


def _follow(name: str, show: Callable[[Work[Any]], None], every: float = 0.3) -> None:
    """Draws this tab's running work of that name every `every` seconds, then reruns the page once."""
    running = _work(name)
    if running is None or not running.running:
        return

    @st.fragment(run_every=every)
    def watch() -> None:
        _show_progress(running, name)
        show(running)
        if not running.running:
            st.rerun()

    watch()


def _show_progress(running: Work[Any], name: str) -> None:
    """A bar with the current activity and the time left, and a button that cancels."""
    left = running.seconds_left
    text = as_text(running.text or "starting")
    bar, button = st.columns([6, 1], vertical_alignment="center")
    bar.progress(running.share, text=text + (f" · {duration(left)} left" if left is not None else ""))
    cancel = action_key("cancel", name)
    button.button("Cancel", key=cancel, on_click=running.cancel, help="Stops this; nothing else is lost.")


def _show_partial(running: Work[Any], show: Callable[[Any], None], waiting: str) -> None:
    with guarded():
        if running.partial is not None:
            show(running.partial)
        elif waiting:
            st.caption(waiting)


class _Cache:
    """The most recently used results of each name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[str, OrderedDict[Hashable, Any]] = {}

    def get(self, name: str, identity: Hashable) -> Any:
        with self._lock:
            results = self._results.get(name, OrderedDict())
            if identity in results:
                results.move_to_end(identity)
            return results.get(identity)

    def put(self, name: str, identity: Hashable, result: Any) -> None:
        with self._lock:
            results = self._results.setdefault(name, OrderedDict())
            results[identity] = result
            while len(results) > CACHED_OF.get(name, CACHED):
                results.popitem(last=False)


@st.cache_resource
def _cache() -> _Cache:
    return _Cache()
