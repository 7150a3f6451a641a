"""Keeps in the user's cache where the files of each tar are, so that a tar is walked once and not at every start.

One file per tar, named by the tar's path, written whole or not at all, compressed (zlib notices flipped bits). It
counts only for the size and the time of change that the tar had; whatever is wrong with it, the tar is walked again.
"""

import hashlib
import itertools
import json
import os
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from dream.data.corpora.tar_walk import Damage, Member, TarContents, walk_tar
from dream.files import replace_bytes, user_cache

AHEAD = 8
"""Tars that are walked at once where one was never walked: their headers come from a disk that may be far away."""
SETTLED_SECONDS = 2.0
"""Age from which a tar is kept: another change within the clock tick of its last one would not be noticed."""
_VERSION = 1
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error, RecursionError)


def kept_contents(path: Path, following: Sequence[Path] = ()) -> TarContents:
    """`walk_tar`, kept on disk; where nothing is kept of this tar, some of the `following` are walked as well.

    Raises OSError if the tar cannot be read.
    """
    contents = _read(path)
    if contents is not None:
        return contents
    unknown = [other for other in following[: AHEAD - 1] if not _place(other).exists()]
    with ThreadPoolExecutor(1 + len(unknown)) as pool:
        walked = pool.submit(_walked, path)
        for other in unknown:
            pool.submit(_walked, other)  # what cannot be read of it is said when it is its turn
        return walked.result()


def _place(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    return user_cache() / "tars" / name[:2] / name[2:32]


def _walked(path: Path) -> TarContents:
    before = _state_of(path)
    contents = walk_tar(path)
    settled = time.time() - before[1] / 1e9 > SETTLED_SECONDS
    if settled and _state_of(path) == before:
        with suppress(OSError):  # a cache that cannot be written to, or a full disk, is no reason to stop
            place = _place(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(place, zlib.compress(json.dumps(_tree(contents, before)).encode("utf-8", "surrogateescape")))
    return contents


def _state_of(path: Path) -> tuple[int, int]:
    """Size, and time of the last change in nanoseconds."""
    about = path.stat()
    return about.st_size, about.st_mtime_ns


def _read(path: Path) -> TarContents | None:
    """What is kept of a tar as it is now; None if there is nothing, or nothing that can be used."""
    try:
        tree = json.loads(zlib.decompress(_place(path).read_bytes()))
        if (tree["version"], *tree["state"]) != (_VERSION, *_state_of(path)):
            return None
        return _contents(tree)
    except _DAMAGED:
        return None


def _tree(contents: TarContents, state: tuple[int, int]) -> dict[str, Any]:
    """JSON that compresses well: a file begins a block or two after the end of the one before."""
    members = contents.members
    ends = [0, *(each.offset + each.size for each in members)]
    return {
        "version": _VERSION,
        "state": state,
        "names": [each.name for each in members],
        "sizes": [each.size for each in members],
        "gaps": [each.offset - end for each, end in zip(members, ends, strict=False)],
        "sparse": {str(i): each.sparse_header for i, each in enumerate(members) if each.sparse_header is not None},
        "damages": [list(each) for each in contents.damages],
        "lost_links": contents.lost_links,
        "cut": contents.cut,
        "cut_member": contents.cut_member,
    }


def _contents(tree: dict[str, Any]) -> TarContents:
    steps = itertools.chain.from_iterable(zip(tree["gaps"], tree["sizes"], strict=True))
    offsets = list(itertools.accumulate(steps))[::2]
    sparse = {int(place): header for place, header in tree["sparse"].items()}
    members = [
        Member(name, offset, size, sparse.get(place))
        for place, (name, offset, size) in enumerate(zip(tree["names"], offsets, tree["sizes"], strict=True))
    ]
    if not all(type(each.name) is str and type(each.offset) is int and each.size >= 0 for each in members):
        raise ValueError("not what was written")
    return TarContents(
        members, [Damage(*each) for each in tree["damages"]], dict(tree["lost_links"]), tree["cut"], tree["cut_member"]
    )
