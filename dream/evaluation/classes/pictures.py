"""Pictures with one class each, from drawn shapes, folders of class folders, or hub sets.

A set's own test (or validation) split is tested on where it is labelled, else a fifth of its pictures, by a
hash of their names. What cannot be read is reported and skipped. It knows nothing of models.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dream.config import DreamConfig
from dream.data import report as kinds
from dream.data.drawing import CLASSES, draw
from dream.data.folders import SPLITS
from dream.data.grammar import LEVELS, RELATIONS_OF_COUNT, Scene
from dream.data.report import DataReport
from dream.data.samples import PICTURES, BadSample, id_hash
from dream.data.shapes import sample_scenes
from dream.data.transforms import BrokenPicture, Pixels, load_pixels
from dream.errors import InputError
from dream.randomness import seed_of

CHUNK = 256
"""Pictures read at once."""
TEST_SHARE = 5
"""One picture of so many is tested on where a set has no split for it."""
DRAWN = {"train": 2000, "test": 1000}
"""Drawn pictures where no limit is given."""
LABELS = tuple(CLASSES)
"""What drawn pictures are labelled by; of several things the first counts."""
ALONE = "alone"
"""Name of the relation of a thing alone."""


@dataclass(frozen=True)
class LabelledPictures:
    """B pictures and their classes."""

    images: Tensor
    """(B, 3, H, W) uint8, of the model's image size."""
    labels: Tensor
    """(B,) int64 numbers into `classes`."""
    classes: tuple[str, ...]
    """All class names of the set, whether or not these pictures show them."""
    keys: tuple[str, ...]
    """What each picture is called."""
    report: DataReport = field(default_factory=DataReport, compare=False, repr=False)
    """What was broken."""

    def __len__(self) -> int:
        return len(self.keys)


class LabelledRow(NamedTuple):
    """A stored picture that is not read yet."""

    shard: str
    """Where it is, as reports show it."""
    key: str
    label: int
    read: Callable[[], bytes]
    """Its file's bytes; raises BadSample or OSError."""


def open_labelled(
    source: str, config: DreamConfig, *, split: str, limit: int | None = None, label: str = "shape", seed: int = 0
) -> LabelledPictures:
    """All of `labelled_chunks` in one."""
    return joined(labelled_chunks(source, config, split=split, limit=limit, label=label, seed=seed), source)


def labelled_chunks(
    source: str, config: DreamConfig, *, split: str, limit: int | None = None, label: str = "shape", seed: int = 0
) -> Iterator[LabelledPictures]:
    """Pictures of a source's `train` or `test` split, CHUNK at a time, so that large sets need no memory.

    Sources are `shapes` (`label` is one of LABELS), a folder ROOT/CLASS/*.jpg or ROOT/{train,val,test}/CLASS,
    and `hf:owner/name[:split]` or a folder that `datasets` wrote. `limit`: at most so many, drawn from `seed`
    evenly over the classes. Raises InputError for a source or split that there is not, or without labels.
    """
    if split not in DRAWN:
        raise InputError(f"labelled pictures have the splits train and test, not '{split}'")
    if limit is not None and limit < 1:
        raise InputError(f"at least 1 labelled picture must be asked for, got {limit}")
    if source == "shapes":
        return _drawn_chunks(config, split, limit, label, seed)
    if of_datasets(source):
        from dream.evaluation.classes.hub import hub_chunks

        return hub_chunks(source, config.image.size, split, limit, seed)
    rows, classes = folder_rows(_folder(source), split)
    return read_rows(choose_rows(rows, limit, seed), classes, config.image.size)


def stored_classes(source: str, split: str) -> tuple[str, ...]:
    """All class names of a stored set; reads no picture. Raises InputError as `labelled_chunks` does."""
    if of_datasets(source):
        from dream.evaluation.classes.hub import hub_labels

        return hub_labels(source, split).classes
    return folder_rows(_folder(source), split)[1]


def of_datasets(source: str) -> bool:
    """Whether a source is a hub set, or a folder that `datasets` wrote."""
    path = Path(source).expanduser()
    return source.startswith("hf:") or (path.is_dir() and written_by_datasets(path))


def _folder(source: str) -> Path:
    path = Path(source).expanduser()
    if not path.is_dir():
        raise InputError(
            f"there is no folder '{source}': labelled pictures come from 'shapes', a folder of class folders "
            f"(ROOT/CLASS/*.jpg), or 'hf:owner/name'"
        )
    return path


def joined(chunks: Iterator[LabelledPictures], source: str) -> LabelledPictures:
    """The chunks in one; InputError if there is not one picture."""
    parts = list(chunks)
    if not sum(map(len, parts)):
        reasons = "; ".join(parts[0].report.summary(3).split("\n")) if parts else "nothing in it"
        raise InputError(f"'{source}' has no labelled picture that can be read ({reasons})")
    return LabelledPictures(
        torch.cat([part.images for part in parts]),
        torch.cat([part.labels for part in parts]),
        parts[0].classes,
        tuple(key for part in parts for key in part.keys),
        parts[0].report,
    )


def choose_evenly(labels: ArrayLike, limit: int | None, seed: int) -> NDArray[np.int64]:
    """Sorted indices of at most `limit` labels, as evenly over the classes as can be, drawn from `seed`."""
    numbers = np.asarray(labels, np.int64)
    if limit is None or limit >= len(numbers):
        return np.arange(len(numbers))
    order = np.random.default_rng(seed_of(seed, "labelled choice")).permutation(len(numbers))
    rank = np.empty(len(numbers), np.int64)  # how many of its class come before it in the random order
    for label in np.unique(numbers):
        members = order[numbers[order] == label]
        rank[members] = np.arange(len(members))
    return np.sort(order[np.argsort(rank[order], kind="stable")[:limit]])


def choose_rows(rows: Sequence[LabelledRow], limit: int | None, seed: int) -> list[LabelledRow]:
    """`choose_evenly` of rows."""
    return [rows[i] for i in choose_evenly([row.label for row in rows], limit, seed)]


# drawn shapes


def shape_classes(label: str, level: int) -> tuple[str, ...]:
    """The classes of a label that pictures of the level show. Raises InputError for fewer than two."""
    if label not in LABELS:
        raise InputError(f"drawn shapes have no label '{label}'; known are {', '.join(LABELS)}")
    words = LEVELS[level]
    there = {
        "count": {CLASSES["count"][count - 1] for count in words.counts},
        "relation": {relation for count in words.counts for relation in RELATIONS_OF_COUNT[count]},
        "shape": set(words.shapes),
        "colour": set(words.colours),
        "size": {size or "large" for size in words.sizes},
        "texture": {texture or "plain" for texture in words.textures},
    }.get(label, set(CLASSES[label]))
    classes = tuple(name or ALONE for name in CLASSES[label] if name in there)
    if len(classes) < 2:
        raise InputError(f"at level {level} every drawn picture has the same {label}, '{classes[0]}'")
    return classes


def scene_class(scene: Scene, label: str) -> str:
    """The name of a scene's class; shape, colour, size and texture are those of the first thing."""
    first = scene.things[0]
    return {
        "count": CLASSES["count"][len(scene.things) - 1],
        "ground": scene.ground,
        "relation": scene.relation or ALONE,
        "shape": first.shape,
        "colour": first.colour,
        "size": first.size or "large",
        "texture": first.texture or "plain",
    }[label]


def scene_labels(scenes: Sequence[Scene], label: str, level: int) -> Tensor:
    """(B,) int64 numbers into `shape_classes`."""
    classes = shape_classes(label, level)
    return torch.tensor([classes.index(scene_class(scene, label)) for scene in scenes], dtype=torch.int64)


def labelled_scenes(level: int, split: str, count: int, seed: int) -> list[Scene]:
    """`count` placed scenes; in `test` every second one (odd index) is a combination never trained on."""
    generator = np.random.default_rng(seed_of(seed, "labelled shapes", split))
    seen = sample_scenes(level, count, generator)
    if split == "train":
        return seen
    unseen = sample_scenes(level, count, generator, unseen=True)
    return [(seen, unseen)[i % 2][i] for i in range(count)]


def _drawn_chunks(
    config: DreamConfig, split: str, limit: int | None, label: str, seed: int
) -> Iterator[LabelledPictures]:
    level, count = config.data.level, limit or DRAWN[split]
    classes = shape_classes(label, level)
    scenes = labelled_scenes(level, split, 2 * count + CHUNK, seed)  # enough of the rarest class
    labels = scene_labels(scenes, label, level)
    chosen = choose_evenly(labels, count, seed)
    return (
        LabelledPictures(
            torch.from_numpy(draw([scenes[i] for i in part], config.image.size)),
            labels[part],
            classes,
            tuple(f"shapes/{split}/{i}" for i in part),
        )
        for part in _parts(chosen)
    )


def _parts(chosen: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK))


# folders


def folder_rows(root: Path, split: str) -> tuple[list[LabelledRow], tuple[str, ...]]:
    """Pictures of a split, and all class names, of a folder of class folders. Raises InputError for none."""
    homes = split_homes(root)
    folders = {home: class_folders(home) for home in dict.fromkeys(homes.values())}
    classes = tuple(sorted({name for found in folders.values() for name in found}))
    if not classes:
        raise InputError(f"'{root}' has no class folders: expected {root}/CLASS/*.jpg or {root}/train/CLASS")
    numbers = {name: number for number, name in enumerate(classes)}
    rows = class_rows(folders[homes[split]], numbers)
    if homes["train"] == homes["test"]:
        rows = [row for row in rows if tested(row.key) == (split == "test")]
    if not rows:
        raise InputError(f"'{root}' has {len(classes)} class folders, but no picture in them for '{split}'")
    return rows, classes


def split_homes(root: Path) -> dict[str, Path]:
    """The folder that holds the classes of `train` and of `test`; both the same where there is one set."""
    while len(inner := _subfolders(root)) == 1 and _subfolders(inner[0]) and not _pictures(root):
        root = inner[0]  # an archive's own folder, or the only split
    found = {split: [root / name for name in names if _subfolders(root / name)] for split, names in SPLITS.items()}
    tests = found["test"] + found["val"]
    homes = found["train"][:1] or tests[:1] or [root]
    return {"train": homes[0], "test": (tests or homes)[0]}


def class_folders(root: Path) -> dict[str, Path]:
    """A set's class folders by name, sorted."""
    return {folder.name: folder for folder in _subfolders(root)}


def class_rows(folders: dict[str, Path], numbers: dict[str, int]) -> list[LabelledRow]:
    """The pictures in class folders (and below them) in the order of their names."""
    return [
        LabelledRow(name, f"{name}/{path.relative_to(folder).as_posix()}", numbers[name], path.read_bytes)
        for name, folder in folders.items()
        for path in _pictures(folder, "**/*")
    ]


def tested(key: str) -> bool:
    """Whether the picture of this name is one of the fifth that is tested on."""
    return id_hash(key) % TEST_SHARE == 0


def read_rows(
    rows: Iterable[LabelledRow],
    classes: tuple[str, ...],
    size: int,
    load: Callable[[bytes, int], Pixels] = load_pixels,
    report: DataReport | None = None,
) -> Iterator[LabelledPictures]:
    """The rows' pictures, CHUNK at a time; what is broken is in the report and left out."""
    report = report or DataReport()

    def pixels(row: LabelledRow) -> Pixels | None:
        try:
            return load(row.read(), size)
        except BadSample as bad:
            report.add(bad.kind, row.shard, row.key, bad.detail)
        except (BrokenPicture, OSError) as broken:
            report.add(kinds.BROKEN_PICTURE, row.shard, row.key, str(broken))
        return None

    remaining = iter(rows)
    with ThreadPoolExecutor(4) as pool:  # PIL lets others run meanwhile
        while some := list(itertools.islice(remaining, CHUNK)):
            good = [(row, p) for row, p in zip(some, pool.map(pixels, some), strict=True) if p is not None]
            report.saw(len(good))
            yield LabelledPictures(
                torch.from_numpy(np.stack([p for _, p in good]) if good else np.empty((0, 3, size, size), "u1")),
                torch.tensor([row.label for row, _ in good], dtype=torch.int64),
                classes,
                tuple(row.key for row, _ in good),
                report,
            )


def written_by_datasets(folder: Path) -> bool:
    """Whether a folder holds a set of `datasets`, not class folders."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")) or any(
        next(folder.glob(pattern), None) for pattern in ("*.parquet", "data/*.parquet")
    )


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX")))


def _pictures(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(
        path for path in folder.glob(pattern) if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    )
