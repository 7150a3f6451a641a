"""Folders of class folders: ROOT/CLASS/*.jpg, or ROOT/{train,val,test}/CLASS/*.jpg."""

from pathlib import Path

from dream.data.folders import SPLITS
from dream.data.formats import PICTURES
from dream.errors import InputError
from dream.evaluation.classes.pictures import LabelledRow, in_test_share


def folder_rows(root: Path, split: str) -> tuple[list[LabelledRow], tuple[str, ...]]:
    """Pictures of a split, and all class names. Raises InputError if there are no classes or no pictures."""
    homes = split_homes(root)
    folders = {home: class_folders(home) for home in dict.fromkeys(homes.values())}
    classes = tuple(sorted({name for by_name in folders.values() for name in by_name}))
    if not classes:
        raise InputError(f"'{root}' has no class folders: expected {root}/CLASS/*.jpg or {root}/train/CLASS")
    numbers = {name: number for number, name in enumerate(classes)}
    rows = class_rows(folders[homes[split]], numbers)
    if homes["train"] == homes["test"]:
        rows = [row for row in rows if in_test_share(row.key) == (split == "test")]
    if not rows:
        raise InputError(f"'{root}' has {len(classes)} class folders, but no picture in them for '{split}'")
    return rows, classes


def split_homes(root: Path) -> dict[str, Path]:
    """The folders that hold the classes of `train` and `test`; the same folder twice if there is only one set."""
    while len(inner := _subfolders(root)) == 1 and _subfolders(inner[0]) and not _pictures(root):
        root = inner[0]  # an archive's own folder, or the only split
    splits = {split: [root / name for name in names if _subfolders(root / name)] for split, names in SPLITS.items()}
    tests = splits["test"] + splits["val"]
    homes = splits["train"][:1] or tests[:1] or [root]
    return {"train": homes[0], "test": (tests or homes)[0]}


def class_folders(root: Path) -> dict[str, Path]:
    """Class folders of a set by name, sorted."""
    return {folder.name: folder for folder in _subfolders(root)}


def class_rows(folders: dict[str, Path], numbers: dict[str, int]) -> list[LabelledRow]:
    """Pictures in class folders (and below them), sorted by name."""
    return [
        LabelledRow(name, f"{name}/{path.relative_to(folder).as_posix()}", numbers[name], path.read_bytes)
        for name, folder in folders.items()
        for path in _pictures(folder, "**/*")
    ]


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX")))


def _pictures(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(
        path for path in folder.glob(pattern) if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    )
