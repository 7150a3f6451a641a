"""A folder of pictures with captions (text files, JSON files or metadata) as a Corpus, including its subfolders."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dream.data.captions import USUAL, Names, listed, present_names
from dream.data.content import check_inside, leads_out
from dream.data.corpora.caption_tables import caption_table
from dream.data.corpora.folder_listing import Listing, list_folder, shown
from dream.data.formats import METADATA_FILES, OTHER_PICTURES, is_hidden, not_decoded
from dream.data.report import DataReport
from dream.data.samples import Row

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
"""Names (in any case) of subfolders and of hub splits that are a source's own splits, in order of preference."""
_WORDS = {word: split for split, words in SPLITS.items() for word in words}
_ADDED = re.compile(r"[-_. ]*(?:set|split|data|images|imgs|mini|small|large|\d{3,4})")  # val_images, train2017, val_256
_LIKE_A_SPLIT = re.compile(rf"(?:^|[^a-z])(?:{'|'.join(_WORDS)}|hold[-_ ]?out|held[-_ ]?out|minival)(?![a-z])")
_ARCHIVES = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")


class FolderCorpus:
    """The Corpus of one folder: a single shard, listed on first use."""

    def __init__(self, name: str, root: Path, names: Names = USUAL, above: Sequence[Path] = ()) -> None:
        """Metadata of the folders `above` may name pictures of this one, too."""
        self.name = name
        self.root = root
        self.shards = [shown(root.resolve().name or str(root))]
        self.window_rows = 1 << 62  # the names of all pictures are in memory anyway
        self._names, self._above = names, above
        self._listing: Listing | None = None

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows from `start` on; pictures without a caption, and whatever else is wrong, go to `report`."""
        listing = self._list()
        for problem in listing.problems:
            report.add(*problem)
        yield from listing.rows[start:]

    def count(self, shard: int) -> int | None:
        """Number of rows, or `None` before the folder has been listed."""
        return None if self._listing is None else len(self._listing.rows)

    def hint(self) -> str:
        """Explains what the folder holds instead of captioned pictures."""
        found, name = self._list(), self.name.rstrip("/")
        expected = f"each picture needs NAME{self._names.endings[0]} next to NAME.jpg, or a line in {METADATA_FILES[0]}"
        if found.pictures:
            return f"none of its {found.pictures:,} pictures has a caption{self._what_else(found)}; {expected}"
        if (tar := found.endings.get(".tar")) is not None:
            return f"it holds tar shards, not pictures; give them as '{(Path(name) / tar).parent}/*.tar'"
        if not found.endings.keys().isdisjoint((".parquet", ".arrow")):
            return f"it holds a data set in parquet or arrow files, not pictures; give it as 'hf:{name}'"
        if archive := next((found.endings[ending] for ending in _ARCHIVES if ending in found.endings), None):
            return f"it holds archives ({archive}), not pictures; unpack them first"
        if other := next((found.endings[ending] for ending in OTHER_PICTURES if ending in found.endings), None):
            return f"none of its pictures can be used: {not_decoded(other)}"
        present = ", ".join(found.others[:5]) + (", ..." if len(found.others) > 5 else "")
        return f"it holds no pictures ({present or 'nothing at all'}); {expected}"

    def _what_else(self, found: Listing) -> str:
        """Names that are there instead of the expected ones."""
        fields = f"its metadata has the fields {listed(found.fields)}" if found.fields else ""
        if self._names.caption:
            wanted = f", or none named '{self._names.caption}' (data.caption)"
            return wanted + f": {fields or 'it has files that end in ' + listed(sorted(filter(None, found.endings)))}"
        if (
            fields
            and present_names(found.fields, self._names.files)
            and present_names(found.fields, self._names.fields)
        ):
            return (
                ": its metadata names pictures that are not there; expected paths from its own folder, as '"
                + found.first_picture
                + "'"
            )
        if fields:
            return f": {fields}; name those of caption and picture with --set data.caption=FIELD data.picture=FIELD"
        if not found.endings.keys().isdisjoint((".parquet", ".arrow")):
            return f"; its parquet files are read as 'hf:{self.name.rstrip('/')}'"
        text = next((found.endings[ending] for ending in self._names.endings if ending in found.endings), "")
        if os.path.dirname(text) and os.path.dirname(text) != os.path.dirname(found.first_picture):
            place = f"not next to the pictures, as '{found.first_picture}'"
            return f"; text files like '{shown(text)}' are {place}: move them there"
        if table := caption_table([self.root, *self._above]):
            line = '{"file_name": "' + found.first_picture + '", "captions": ["...", "..."]}'
            return f"; '{table}' may have them: write them to {METADATA_FILES[0]}, in a line like {line} per picture"
        return ""

    def _list(self) -> Listing:
        if self._listing is None:
            self._listing = list_folder(self.root, self._names, self._above)
        return self._listing


def split_of(name: str) -> str | None:
    """The split (train, val or test) that a folder of this name holds; `None` if it is no name of a split."""
    name = name.strip().casefold()
    return next((s for word, s in _WORDS.items() if name.startswith(word) and _is_added(name[len(word) :])), None)


def resembles_split(name: str) -> bool:
    """Whether a folder's name speaks of a split without being one of the known names, e.g. `my_val` or `test-dev`."""
    return split_of(name) is None and _LIKE_A_SPLIT.search(name.strip().casefold()) is not None


def subfolders(root: Path) -> list[Path]:
    """Subfolders of `root` that may hold data, by name; none if it cannot be read.

    A link to where no data may lie is left out; raises InputError if it has the name of a split.
    """
    try:
        with os.scandir(root) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not is_hidden(e.name))
    except OSError:
        return []
    for name in names:
        if split_of(name):
            check_inside(root / name)
    return [root / name for name in names if not leads_out(root / name)]


def split_folders(root: Path) -> dict[str, list[Path]]:
    """Subfolders of `root` by the split that their names stand for, in any case; the preferred name first."""
    order = list(_WORDS)
    found: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for folder in subfolders(root):
        if split := split_of(folder.name):
            found[split].append(folder)
    for folders in found.values():
        folders.sort(key=lambda f: order.index(name) if (name := f.name.strip().casefold()) in order else len(order))
    return {split: folders for split, folders in found.items() if folders}


def _is_added(text: str) -> bool:
    return not text or _ADDED.fullmatch(text) is not None
