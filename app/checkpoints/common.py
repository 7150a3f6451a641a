"""Shared by the sections of the Checkpoints page: opening files, and results computed in the background."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from app.background import computed
from app.keys import CHECKPOINTS, action_key
from app.links import LINKED
from app.models import choose_or_type
from app.text import as_text
from dream.console import duration
from dream.pretrained import SHIPPED
from workbench.checkpoints.cache import DiskCache
from workbench.checkpoints.files import Checkpoint, Part, open_checkpoint, path_stamp
from workbench.checkpoints.finder import find_checkpoints
from workbench.checkpoints.health import health_sentence, nonfinite_by_tensor
from workbench.checkpoints.statistics import TensorStatistics, measure_part
from workbench.checkpoints.words import size_words
from workbench.work import Work
from workbench.workspace import open_workspace

T = TypeVar("T")

SMALL = 300_000_000
"""Bytes up to which reading starts without a click; about ten seconds."""
SEARCHED = 4_000_000_000
"""Bytes up to which values that are not numbers are looked for; ten seconds at most."""
BYTES_PER_SECOND = 40_000_000
"""Approximate rate of reading and measuring values on one core."""


def choices() -> list[str]:
    """Checkpoints to choose from: the workspace's, most recently changed first, then the shipped models."""
    here = open_workspace()
    return [*(here.shown(path) for path in _found(str(here.root))), *SHIPPED]


def first_choice() -> str:
    """Initial choice: the newest checkpoint of a run, otherwise a shipped model."""
    here = open_workspace()
    return next((here.shown(path) for path in _found(str(here.root)) if path.is_dir()), next(iter(SHIPPED)))


def pick(key: str, label: str, default: str | None = None) -> str:
    """Shows a selection box of checkpoints that also takes a typed path; returns what `opened_checkpoint` takes."""
    first = default or first_choice()
    options = [first, *(choice for choice in choices() if choice != first)]
    about = (
        "A checkpoint of this workspace, a shipped model, or a typed path: a run, a folder, .safetensors, .pth, .pt "
    )
    return choose_or_type(label, options, key, about + "or .bin.", bind=LINKED)


def opened_checkpoint(text: str) -> Checkpoint:
    """Opens the checkpoint named by a user, again only when its files change. Raises InputError."""
    here = open_workspace()
    shipped = text.strip() in SHIPPED and not (here.root / text.strip()).exists()
    path = SHIPPED[text.strip()] if shipped else here.path(text)
    return _opened(str(path), path_stamp(path))


def location(found: Checkpoint) -> str:
    """Location of a checkpoint, as shown on the page."""
    shipped = found.path in SHIPPED.values()
    return f"{found.path.name}, shipped with the workbench" if shipped else open_workspace().shown(found.path)


def part_statistics(part: Part) -> list[TensorStatistics] | None:
    """Statistics of the part's tensors; None until they are computed, with progress shown here."""
    return computed_once(
        ("statistics", part.stamp),
        lambda work: measure_part(part, work),
        to_tree=lambda statistics: [one.to_dict() for one in statistics],
        from_tree=lambda tree: [TensorStatistics.from_dict(one) for one in tree],
        size=part.bytes,
        purpose=f"measure the {len(part.entries):,} tensors of '{part.name}'",
    )


def show_problems(found: Checkpoint) -> None:
    """Shows what is missing from the checkpoint, and which tensors hold values that are not numbers."""
    for problem in found.problems:
        st.error(as_text(problem[:1].upper() + problem[1:] + "."))
    size = sum(part.bytes for part in found.parts)
    if size > SEARCHED:
        return
    stamp = "|".join(part.stamp for part in found.parts)
    bad = computed(
        CHECKPOINTS.name("nonfinite"), stamp, "Looking for NaN", lambda work: nonfinite_by_tensor(found, work)
    )
    if bad:
        st.error(as_text(health_sentence(bad)))


def computed_once(
    key: tuple[str, ...],
    compute: Callable[[Work[T]], T],
    *,
    to_tree: Callable[[T], Any],
    from_tree: Callable[[Any], T],
    size: int,
    purpose: str,
) -> T | None:
    """Result of `compute`, stored in the workspace as JSON, so that it is computed once per `key`.

    None while it runs, has failed, was cancelled or waits for a click; the page shows which. `size` is the number of
    bytes to read, `purpose` completes the sentence "To ...".
    """
    cache, name = DiskCache(open_workspace().own / "checkpoints"), CHECKPOINTS.name(key[0])

    def load_or_compute(work: Work[T]) -> T:
        with suppress(TypeError, KeyError):  # stored by another version
            if (tree := cache.get(*key)) is not None:
                return from_tree(tree)
        result = compute(work)
        cache.put(key, to_tree(result))
        return result

    return computed(
        name,
        key,
        "Reading the values",
        load_or_compute,
        may_start=lambda: cache.get(*key) is not None or _may_read(size, purpose, name),
        cancelled="Reading was cancelled. The information from the headers is still shown.",
    )


def _may_read(size: int, purpose: str, name: str) -> bool:
    """Whether reading may start now; a large file needs a click on the button shown here."""
    if size <= SMALL:
        return True
    time = duration(max(1, size / BYTES_PER_SECOND))
    st.info(f"To {as_text(purpose)}, {size_words(size)} must be read once, which takes about {time} in the background.")
    key = action_key(name, "start")
    return st.button("Read values", key=key, type="primary", help="You can cancel at any time.")


@st.cache_data(ttl=5, show_spinner=False)
def _found(root: str) -> list[Path]:
    return [one.path for one in find_checkpoints(Path(root))]


@st.cache_resource(max_entries=12, show_spinner="Reading headers ...")
def _opened(path: str, stamp: str) -> Checkpoint:
    return open_checkpoint(Path(path))
