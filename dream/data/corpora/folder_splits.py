"""The splits of a folder or hub set: which subfolders are training and validation, and a word on all that is left out.

What is said here goes into the report of the training split, so that `dream data`, `dream train` and the pages say the
same.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dream.data import report as kinds
from dream.data.captions import Names
from dream.data.corpora.folder_listing import shown
from dream.data.corpora.folders import FolderCorpus, resembles_split, split_folders, split_of, subfolders
from dream.data.formats import OTHER_PICTURES, PICTURES, ending_of, is_hidden
from dream.data.report import DataReport
from dream.data.samples import BadSample, Corpus, Row
from dream.data.transforms import BrokenPicture, open_picture

PROBED = 1000
"""Samples of a split that are tried before it counts as unusable."""
_DEEPEST = 3
_FEW = 8
"""Folders with more subfolders are not searched for splits further down."""

Note = tuple[str, str, str, str]
"""Kind, folder, key and detail of an entry in the report."""


class NotedCorpus:
    """A Corpus with notes on the source as a whole, which go to each report."""

    def __init__(self, corpus: Corpus, notes: Sequence[Note]) -> None:
        self.name, self.shards, self.window_rows = corpus.name, corpus.shards, corpus.window_rows
        self.count, self.hint = corpus.count, corpus.hint
        self._corpus, self._notes = corpus, notes

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows of a shard from row `start` on."""
        for note in self._notes:
            report.add(*note)
        yield from self._corpus.rows(shard, start, report)


def folder_corpora(root: Path, names: Names) -> dict[str, Corpus]:
    """The splits of a folder of captioned pictures: its split folders, or all of it as `train`."""
    home = _split_home(root)
    if home is None:
        train: Corpus = FolderCorpus(str(root), root, names)
        mixed = _mixed(root)
        return {"train": NotedCorpus(train, mixed) if mixed else train}
    chosen = {s: next(filter(_has_picture, folders), folders[0]) for s, folders in split_folders(home).items()}
    above = [home, *(parent for parent in home.parents if parent == root or root in parent.parents)]
    notes = [*_left_out(home, chosen), *(note for p in above[1:] for note in _others(p, [*above, home]))]
    corpora: dict[str, Corpus] = {
        split: FolderCorpus(str(folder), folder, names, above[::-1]) for split, folder in chosen.items()
    }
    if notes:
        corpora["train"] = NotedCorpus(corpora["train"], notes)
    return corpora


def usable_splits(corpora: Mapping[str, Corpus]) -> dict[str, Corpus]:
    """`corpora` without those splits, other than `train`, that have no usable sample; the report names them."""
    unusable = {split: why for split, corpus in corpora.items() if split != "train" and (why := _why_unusable(corpus))}
    notes = []
    for split, why in unusable.items():
        instead = "a part of train is held out instead" if split == "val" else "it is left out"
        notes.append((kinds.NOT_USED, corpora[split].name, split, f"{why}; {instead}"))
    kept = {split: corpus for split, corpus in corpora.items() if split not in unusable}
    return {**kept, "train": NotedCorpus(kept["train"], notes)} if notes else kept


def _why_unusable(corpus: Corpus) -> str:
    """Why a split has no usable sample among the first PROBED; empty if it has one."""
    report, tried = DataReport(), 0
    rows = itertools.chain.from_iterable(corpus.rows(shard, 0, report) for shard in range(len(corpus.shards)))
    for row in itertools.islice(rows, PROBED):
        tried += 1
        try:
            row.caption()
            open_picture(row.picture())
        except BadSample as bad:
            report.add(bad.kind, row.shard, row.key, bad.detail)
        except BrokenPicture as broken:
            report.add(kinds.BROKEN_PICTURE, row.shard, row.key, str(broken))
        else:
            return ""
    if not tried:
        return f"no captioned picture in it: {corpus.hint()}"
    _, shard, key, detail = next(iter(report.problems()))
    among = f"its first {tried:,}" if tried == PROBED else f"its {tried:,}"
    return f"no usable sample among {among} (e.g. {shard}/{key}: {detail})"


def _split_home(root: Path, depth: int = _DEEPEST) -> Path | None:
    """The folder with the split folders: `root`, or the only one below it; `None` if there is none, or several."""
    inner = subfolders(root)
    trains = [folder for folder in inner if split_of(folder.name) == "train"]
    others = [f for f in inner if split_of(f.name) in ("val", "test") or (f not in trains and resembles_split(f.name))]
    if others and any(map(_has_picture, trains)):
        return root
    if depth == 0 or len(inner) > _FEW:
        return None
    homes = [home for folder in inner if (home := _split_home(folder, depth - 1)) is not None]
    return homes[0] if len(homes) == 1 else None


def _left_out(home: Path, chosen: Mapping[str, Path]) -> Iterator[Note]:
    """Notes on pictures next to split folders, and on folders with pictures that are none of the chosen ones."""
    with os.scandir(home) as entries:
        loose = sum(ending_of(e.name) in (*PICTURES, *OTHER_PICTURES) and not is_hidden(e.name) for e in entries)
    if loose:
        yield kinds.NOT_USED, str(home), "pictures", f"{loose:,} next to the split folders"
    for folder in subfolders(home):
        if folder in chosen.values():
            continue
        if (split := split_of(folder.name)) is not None:
            yield kinds.NOT_USED, str(home), folder.name, f"'{chosen[split].name}' is taken for {split}"
        elif resembles_split(folder.name) or _has_picture(folder):
            used = ", ".join(f"{split} is '{path.name}'" for split, path in chosen.items())
            yield kinds.NOT_USED, str(home), folder.name, f"its name is none of a split's; {used}"


def _others(parent: Path, used: Sequence[Path]) -> Iterator[Note]:
    """Notes on the folders with pictures next to the one that has the splits."""
    for folder in subfolders(parent):
        if folder not in used and _has_picture(folder):
            yield kinds.NOT_USED, str(parent), folder.name, f"the splits are in '{used[-1].relative_to(parent)}'"


def _mixed(root: Path) -> list[Note]:
    """A note on split folders that are read together, since no training folder stands next to them."""
    places = [root, *(inner for inner in subfolders(root)[:_FEW])]
    for place in places:
        folders = [folder for of_split in split_folders(place).values() for folder in of_split]
        if len(split_folders(place)) > 1 and sum(map(_has_picture, folders)) > 1:
            found = ", ".join(shown(folder.relative_to(root).as_posix()) for folder in folders)
            advice = "read together, as there is no one place with train and val; give one of them, or rename them"
            return [(kinds.MIXED_SPLITS, str(root), found, advice)]
    return []


def _has_picture(folder: Path) -> bool:
    """Whether a picture lies in the folder or below it."""
    for _, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not is_hidden(name)]
        if any(ending_of(name) in (*PICTURES, *OTHER_PICTURES) and not is_hidden(name) for name in files):
            return True
    return False
