"""A folder as a tree of its pictures and subfolders. Reads names only, and leaves out what is never data."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dream.data.content import check_inside
from dream.data.formats import OTHER_PICTURES, PICTURES, ending_of, is_hidden

_PICTURE_FOLDERS = "images image imgs img pictures picture pics photos photo jpegimages jpg jpeg png"
PICTURE_FOLDERS = frozenset(_PICTURE_FOLDERS.split())
"""Names, in lower case, of folders that only hold pictures and name no class."""
PLAIN_PICTURE_FOLDERS = frozenset(("images", "image", "imgs", "img", "jpegimages"))
"""Those of them that name no class even next to other folders."""
MAP_FOLDERS = frozenset(("mask", "label", "gt", "groundtruth", "ground_truth", "annot", "depth", "edges", "instances"))
"""Names, in lower case, of folders that hold maps if a folder like `images` is next to them."""
_SIDE_FOLDERS = """annotation annotations meta metadata labels masks segmentation segmentations trimaps attributes
bboxes thumbnails thumbs extra unlabeled unlabelled seg_pred"""
SIDE_FOLDERS = frozenset(_SIDE_FOLDERS.split())
"""Names, in lower case, of folders next to the data; pictures in them are maps, or have no class."""


@dataclass(frozen=True)
class Tree:
    """One folder; everything in it is sorted by name."""

    path: Path
    folders: tuple["Tree", ...]
    pictures: tuple[str, ...]
    """Names of the pictures directly in it."""
    files: tuple[str, ...]
    """Names of all other files directly in it."""

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @cached_property
    def count(self) -> int:
        """Number of pictures in it and below."""
        return len(self.pictures) + sum(folder.count for folder in self.folders)

    @cached_property
    def holders(self) -> tuple["Tree", ...]:
        """Subfolders with pictures in them or below."""
        return tuple(folder for folder in self.folders if folder.count)

    def below(self, prefix: str = "") -> Iterator[tuple[str, Path]]:
        """Every picture in it and below, with its name relative to this folder."""
        yield from ((prefix + name, self.path / name) for name in self.pictures)
        for folder in self.holders:
            yield from folder.below(f"{prefix}{folder.name}/")

    def undecoded(self) -> str:
        """Ending of a file in it or below that is a picture in a format that is not decoded; empty without one."""
        own = (ending for name in self.files if (ending := ending_of(name)) in OTHER_PICTURES)
        return next(own, "") or next(filter(None, (folder.undecoded() for folder in self.folders)), "")


def tree_of(root: Path) -> Tree:
    """The tree of a folder. Links are followed; one that leads back to a folder above it is left out.

    Raises InputError for a link to a folder that data may not lie in.
    """
    return _tree(root, frozenset())


def _tree(path: Path, above: frozenset[str]) -> Tree:
    real = os.path.realpath(path)
    folders, pictures, files = [], [], []
    for entry in _entries(path) if real not in above else ():
        if is_hidden(entry.name):
            continue
        if entry.is_dir():
            check_inside(Path(entry.path))
            folders.append(_tree(Path(entry.path), above | {real}))
        elif ending_of(entry.name) in PICTURES:
            pictures.append(entry.name)
        else:
            files.append(entry.name)
    return Tree(path, tuple(folders), tuple(pictures), tuple(files))


def _entries(path: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # a folder that may not be listed holds nothing that can be read
        return []
