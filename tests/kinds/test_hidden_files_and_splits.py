"""Names that are never data, and names of splits: one row per instance."""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from dream.config import DreamConfig
from dream.data.corpora.folders import resembles_split, split_folders, split_of
from dream.data.formats import is_hidden
from dream.data.report import DataReport
from dream.data.sources import open_corpora, open_source

HIDDEN = (
    ".git",
    "._x.jpg",
    ".DS_Store",
    ".ipynb_checkpoints",
    "__MACOSX",
    "__MACOSX/a/000.jpg",
    "@eaDir",
    "a/@eaDir/000.jpg/SYNOPHOTO_THUMB_M.jpg",
    "#recycle",
    "$RECYCLE.BIN",
    "lost+found",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "System Volume Information",
)
DATA = ("a.jpg", "./a.jpg", "../a.jpg", "a/b.c/000.jpg", "@home.jpg", "#1.jpg", "$5.png", "recycle", "macosx", "")


@pytest.mark.parametrize("name", HIDDEN)
def test_files_that_systems_put_next_to_data_are_hidden(name: str) -> None:
    assert is_hidden(name)


@pytest.mark.parametrize("name", DATA)
def test_names_of_data_are_not_hidden(name: str) -> None:
    assert not is_hidden(name)


NAMES = {
    "train": ("train", "Train", "TRAINING", "training", "trainset", "train_images", "train2017", "train-split"),
    "val": ("val", "Val", "valid", "VALIDATION", "dev", "Dev", "eval", "evaluation", "val2017", "validation_set"),
    "test": ("test", "Test", "testing", "test_data", "TestSet"),
    None: ("trains", "value", "valley", "device", "devil", "tests", "retrain", "images", "evaluate", "attest", ""),
}
LOOKALIKES = ("my_val", "test-dev", "holdout", "held_out", "train_1", "minival", "val.old", "extra test")


@pytest.mark.parametrize(("split", "name"), [(split, name) for split, names in NAMES.items() for name in names])
def test_names_of_splits_are_known_in_any_case(split: str | None, name: str) -> None:
    assert split_of(name) == split and not resembles_split(name)


@pytest.mark.parametrize("name", LOOKALIKES)
def test_names_that_only_resemble_splits_are_told_apart(name: str) -> None:
    assert split_of(name) is None and resembles_split(name)


def test_the_preferred_name_of_a_split_comes_first(tmp_path: Path) -> None:
    for name in ("dev", "Validation", "val", "train", "testing", ".train", "@eaDir"):
        (tmp_path / name).mkdir()
    names = {split: [folder.name for folder in folders] for split, folders in split_folders(tmp_path).items()}
    assert names == {"train": ["train"], "val": ["val", "Validation", "dev"], "test": ["testing"]}


def sample(folder: Path, name: str, caption: str = "a cat") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    Image.new("RGB", (12, 12)).save(out, "PNG")
    (folder / f"{name}.png").write_bytes(out.getvalue())
    (folder / f"{name}.txt").write_text(caption)


LAYOUTS: list[tuple[tuple[str, ...], Mapping[str, int], str]] = [
    # samples (with / at the end: an empty folder), number of samples per split, what the report names
    (("train/a", "val/b"), {"train": 1, "val": 1}, ""),
    (("Train/a", "Val/b"), {"train": 1, "val": 1}, ""),
    (("training/a", "validation/b", "TEST/c"), {"train": 1, "val": 1, "test": 1}, ""),
    (("train/a", "dev/b"), {"train": 1, "val": 1}, ""),
    (("train2017/a", "val2017/b"), {"train": 1, "val": 1}, ""),
    (("set/train/a", "set/val/b"), {"train": 1, "val": 1}, ""),
    (("set/images/train/a", "set/images/val/b"), {"train": 1, "val": 1}, ""),
    (("train/a", "train/b"), {"train": 2}, ""),
    (("a", "b", "cats/c"), {"train": 3}, ""),
    (("val/a", "val/b"), {"train": 2}, ""),
    (("train/a", "train/b", "val/"), {"train": 2}, "a part of train is held out instead"),
    (("train/a", "val/", "test/b"), {"train": 1, "test": 1}, "a part of train is held out instead"),
    (("train/a", "val/b", "test/"), {"train": 1, "val": 1}, "it is left out"),
    (("train/a", "val/b", "dev/c"), {"train": 1, "val": 1}, "'val' is taken for val"),
    (("train/a", "val/b", "extra/c"), {"train": 1, "val": 1}, "its name is none of a split's"),
    (("train/a", "my_val/b"), {"train": 1}, "its name is none of a split's"),
    (("train/a", "val/b", "loose"), {"train": 1, "val": 1}, "1 next to the split folders"),
    (("set/train/a", "set/val/b", "more/c"), {"train": 1, "val": 1}, "the splits are in 'set'"),
    (("val/a", "test/b"), {"train": 2}, "read together"),
    (("x/train/a", "x/val/b", "y/train/c", "y/val/d"), {"train": 4}, "read together"),
    (("train/a", "val/b", "@eaDir/c", "__MACOSX/val/d", "._e"), {"train": 1, "val": 1}, ""),
]


@pytest.mark.parametrize(("samples", "counts", "named"), LAYOUTS)
def test_splits_are_never_mixed_or_left_out_in_silence(
    tmp_path: Path, samples: tuple[str, ...], counts: Mapping[str, int], named: str
) -> None:
    for name in samples:
        folder, _, stem = name.rpartition("/")
        if stem:
            sample(tmp_path / "root" / folder, stem)
        else:
            (tmp_path / "root" / folder).mkdir(parents=True)
    corpora = open_corpora(str(tmp_path / "root"), DreamConfig())
    report = DataReport()
    assert {split: len(list(corpus.rows(0, 0, report))) for split, corpus in corpora.items()} == counts
    details = [detail for *_, detail in report.problems()]
    assert len(details) == bool(named) and named in " ".join(details)


def test_a_validation_folder_with_nothing_usable_is_named_and_a_part_of_train_held_out(tmp_path: Path) -> None:
    for number in range(8):
        sample(tmp_path / "train", str(number), f"cat {number}")
        sample(tmp_path / "val", str(number))
        (tmp_path / "val" / f"{number}.png").write_bytes(b"?")
    source = open_source(str(tmp_path), DreamConfig())
    assert len(source.fixed(8)) == 2 and len(source.captions()) == 6
    ((kind, _, name, detail),) = source.report.problems()
    assert (kind, name) == ("not used", "val") and "no usable sample among its 8" in detail


def test_metadata_at_the_root_gives_the_captions_of_each_split(tmp_path: Path) -> None:
    for split in ("Train", "val"):
        sample(tmp_path / split, "a")
        (tmp_path / split / "a.txt").unlink()
    lines = ["file_name,text", "Train/a.png,of train", "val\\a.png,of val", "val/gone.png,x", "gone.png,x"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    corpora = open_corpora(str(tmp_path), DreamConfig())
    captions, missing = {}, {}
    for split, corpus in corpora.items():
        report = DataReport()
        captions[split] = [row.caption() for row in corpus.rows(0, 0, report)]
        missing[split] = [key for _, _, key, _ in report.problems()]
    assert captions == {"train": ["of train"], "val": ["of val"]}
    assert missing == {"train": ["gone.png"], "val": ["val/gone.png", "gone.png"]}
