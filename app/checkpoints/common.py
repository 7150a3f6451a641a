"""What the parts of the Checkpoints page share: opening files, measuring in the background."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from app.background import follow, start_work, work
from app.failures import show_failure
from dream.console import duration
from dream.pretrained import SHIPPED
from workbench.checkpoints.cache import Findings
from workbench.checkpoints.files import Checkpoint, Part, open_checkpoint, path_stamp
from workbench.checkpoints.finder import find_checkpoints
from workbench.checkpoints.statistics import TensorStatistics, measure_part
from workbench.checkpoints.words import size_words
from workbench.work import Work
from workbench.workspace import open_workspace

T = TypeVar("T")

SMALL = 300_000_000
"""Bytes up to which reading begins without being asked; about ten seconds."""
BYTES_A_SECOND = 40_000_000
"""How fast values are read and measured on one core, roughly."""


def choices() -> list[str]:
    """What can be chosen: the workspace's checkpoints, the last changed first, then the shipped models."""
    here = open_workspace()
    return [*(here.shown(path) for path in _found(str(here.root))), *SHIPPED]


def first_choice() -> str:
    """What is shown before anything was chosen: the newest checkpoint of ours, else a shipped one."""
    here = open_workspace()
    return next((here.shown(path) for path in _found(str(here.root)) if path.is_dir()), next(iter(SHIPPED)))


def pick(key: str, label: str, default: str | None = None) -> str:
    """A selection box of checkpoints, or a path typed in; what `opened_checkpoint` takes."""
    options = choices()
    st.session_state.setdefault(key, default or first_choice())
    given = st.session_state[key]
    if given and given not in options:
        options = [given, *options]
    chosen = st.selectbox(
        label,
        options,
        key=key,
        accept_new_options=True,
        help="A checkpoint of this workspace, a shipped model, or a path typed in: a run, a folder, "
        ".safetensors, .pth, .pt or .bin.",
    )
    return chosen or ""


def opened_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a user named; opened again only when its files change. Raises InputError."""
    here = open_workspace()
    shipped = text.strip() in SHIPPED and not (here.root / text.strip()).exists()
    path = SHIPPED[text.strip()] if shipped else here.path(text)
    return _opened(str(path), path_stamp(path))


def named(found: Checkpoint) -> str:
    """Where a checkpoint lies, as the page says it."""
    shipped = found.path in SHIPPED.values()
    return f"{found.path.name}, shipped with the workbench" if shipped else open_workspace().shown(found.path)


def part_statistics(part: Part) -> list[TensorStatistics] | None:
    """What is known of the part's values; None while they are still being read, which is shown."""
    return by_work(
        ("statistics", part.stamp),
        lambda work: measure_part(part, work),
        keep=lambda found: [one.to_dict() for one in found],
        take=lambda tree: [TensorStatistics.from_dict(one) for one in tree],
        size=part.bytes,
        doing=f"measure the {len(part.entries):,} tensors of '{part.name}'",
    )


def by_work(
    key: tuple[str, ...],
    compute: Callable[[Work[T]], T],
    *,
    keep: Callable[[T], Any],
    take: Callable[[Any], T],
    size: int,
    doing: str,
) -> T | None:
    """What `compute` finds, computed once for all times and kept beside the workspace as JSON.

    None while it runs, failed, was stopped or waits for a click, which the page then shows.
    """
    findings, name = Findings(open_workspace().own / "checkpoints"), f"checkpoints.{key[0]}"
    running = work(name)
    mine = running is not None and st.session_state.get(f"{name}.for") == key
    if mine and running is not None and running.running:
        follow(name, lambda _: None)
        return None
    if mine and running is not None and running.state == "done":
        return running.result
    try:
        return _taken(str(findings.folder), key, take)
    except KeyError:
        pass

    def compute_and_keep(work: Work[T]) -> T:
        found = compute(work)
        findings.put(key, keep(found))
        return found

    if not _may_start(running if mine else None, size, doing, name):
        return None
    st.session_state[f"{name}.for"] = key
    start_work(name, compute_and_keep)
    follow(name, lambda _: None)
    return None


def _may_start(ended: Work[Any] | None, size: int, doing: str, name: str) -> bool:
    """Whether reading begins now; says what stands in the way otherwise, with a button to go on."""
    if ended is not None and ended.state == "failed" and ended.error is not None:
        show_failure(ended.error)
        return st.button("Try again", key=f"do.{name}.again", help=f"Begin anew to {doing}.")
    if ended is not None and ended.state == "cancelled":
        st.info("Stopped; what stands in the headers is shown all the same.")
        return st.button("Go on", key=f"do.{name}.again", help=f"Begin anew to {doing}.")
    if size <= SMALL:
        return True
    about = duration(max(1, size / BYTES_A_SECOND))
    st.info(f"To {doing}, {size_words(size)} must be read once: about {about}, in the background.")
    return st.button("Read them", key=f"do.{name}.start", type="primary", help="It can be stopped any time.")


@st.cache_data(ttl=5, show_spinner=False)
def _found(root: str) -> list[Path]:
    return [one.path for one in find_checkpoints(Path(root))]


@st.cache_resource(max_entries=12, show_spinner="Reading headers ...")
def _opened(path: str, stamp: str) -> Checkpoint:
    return open_checkpoint(Path(path))


@st.cache_resource(max_entries=24, show_spinner=False)
def _taken(folder: str, key: tuple[str, ...], _take: Callable[[Any], Any]) -> Any:
    """A finding of before; KeyError where there is none (an exception is not kept, so it is asked again)."""
    tree = Findings(Path(folder)).get(*key)
    if tree is None:
        raise KeyError(key)
    try:
        return _take(tree)
    except (TypeError, KeyError) as error:
        raise KeyError(key) from error
