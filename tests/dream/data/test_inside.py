"""In every layout, what leads out of the folder that a process is confined to is refused, and nothing is asked."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.data.content import INSIDE
from dream.data.corpora.hub import HubRow
from dream.data.paths import shard_paths
from dream.data.samples import BadSample
from dream.data.sources import open_source
from dream.errors import InputError
from dream.evaluation.classes.class_names import read_names
from dream.evaluation.classes.layouts.reading import read_all_classes, read_classes
from dream.evaluation.dense.ade20k import ADE_CLASSES, ade_classes, ade_names, ade_pairs
from dream.evaluation.dense.data import stored_pictures
from dream.evaluation.dense.nyu_mat import open_mat
from dream.evaluation.dense.nyu_pairs import nyu_pairs
from dream.evaluation.dense.nyu_splits import official_rows
from dream.evaluation.fingerprint import fingerprint
from tests.dream.evaluation.classes.labelled_small import write_set
from tests.dream.training.training_small import small_config, write_pictures

CLASSES = {"cat": "a", "dog": "b"}


@pytest.fixture
def inside(tmp_path, monkeypatch) -> Path:
    """The folder that the process is confined to; a picture of somebody else lies next to it."""
    Image.new("RGB", (40, 40)).save(tmp_path / "secret.png")
    (tmp_path / "inside").mkdir()
    monkeypatch.setenv(INSIDE, str(tmp_path / "inside"))
    return tmp_path / "inside"


def link(path: Path, target: Path) -> Path:
    """A link at `path` in the place of what is there."""
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    return path


def unread(rows) -> list[str]:
    """Keys of the rows that are refused, in the words of the refusal."""
    keys = []
    for row in rows:
        try:
            row.read()
        except BadSample as bad:
            assert "leads out of" in bad.detail
            keys.append(row.key)
    return keys


@pytest.mark.parametrize("split", ["", "train"])
def test_a_picture_of_a_class_folder(inside, split):
    write_set(inside / split, CLASSES, 4)
    if split:
        write_set(inside / "test", CLASSES, 2)
    link(inside / split / "cat" / "001.png", inside.parent / "secret.png")
    reading = read_classes(inside)
    assert unread([*reading.train, *reading.test]) == ["cat/001.png"]
    assert unread(read_all_classes(inside / split)[0]) == ["cat/001.png"]


def test_a_class_folder_that_is_a_link(inside):
    write_set(inside, CLASSES, 4)
    (inside / "others").symlink_to(write_set(inside.parent / "others", {"bird": "c"}, 4))
    for read in (read_classes, read_all_classes):
        with pytest.raises(InputError, match="leads out of"):
            read(inside)


def test_a_list_of_classes_that_is_a_link_is_not_read(inside):
    for number in range(8):
        Image.new("RGB", (40, 40), (number * 20, 0, 0)).save(inside / f"{number}.png")
    lines = "".join(f"{number}.png {'cat' if number % 2 else 'dog'}\n" for number in range(8))
    (inside / "labels.txt").write_text(lines)
    assert read_classes(inside).classes == ("cat", "dog")
    link(inside / "labels.txt", inside.parent / "labels.txt").resolve().write_text(lines)
    with pytest.raises(InputError, match="nothing says of which class"):
        read_classes(inside)


def test_a_file_of_class_names(inside):
    path = link(inside / "words.txt", inside.parent / "words.txt")
    path.resolve().write_text("n01440764 tench\n")
    with pytest.raises(InputError, match="leads out of"):
        read_names(path)


def test_pictures_and_maps_of_ade20k_and_its_table(inside):
    for split in ("training", "validation"):
        for kind, ending in (("images", "jpg"), ("annotations", "png")):
            (folder := inside / kind / split).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB" if ending == "jpg" else "L", (40, 40), 1).save(folder / f"{number}.{ending}")
    link(inside / "images/training/0.jpg", inside.parent / "secret.png")
    link(inside / "annotations/training/1.png", inside.parent / "secret.png")
    pictures = stored_pictures(ade_pairs(inside, "train"), 16, ade_classes, "here")
    assert len(pictures.load(range(3))[0]) == 1
    assert all("leads out of" in detail for _, _, _, detail in pictures.report.problems())
    link(inside / "objectInfo150.txt", inside.parent / "table").resolve().write_text("a\n1\tx\ty\tz\tfoo\n")
    with pytest.raises(InputError, match="leads out of"):
        ade_names(inside)
    assert ADE_CLASSES == 150


def test_pictures_and_depths_of_nyu(inside):
    for number in range(2):
        (folder := inside / "train").mkdir(exist_ok=True)
        Image.new("RGB", (40, 40)).save(folder / f"rgb_{number}.jpg")
        Image.fromarray(np.ones((40, 40), np.uint16)).save(folder / f"depth_{number}.png")
    link(inside / "train/rgb_0.jpg", inside.parent / "secret.png")
    pictures = stored_pictures(nyu_pairs(inside, "train"), 16, lambda values: values.astype(np.uint8), "here")
    assert len(pictures.load(range(2))[0]) == 1
    assert all("leads out of" in detail for _, _, _, detail in pictures.report.problems())
    for read in (open_mat, lambda path: official_rows(path, "train", 3)):
        with pytest.raises(InputError, match="leads out of"):
            read(link(inside / "a.mat", inside.parent / "secret.png"))


def test_shards(inside):
    (inside.parent / "a.tar").write_bytes(bytes(10240))
    link(inside / "a.tar", inside.parent / "a.tar")
    with pytest.raises(InputError, match="leads out of"):
        open_source(str(shard_paths(str(inside / "*.tar"))[0]), small_config(), split="all")


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_that_is_a_link(inside, split):
    write_pictures(inside / "train", 4)
    write_pictures(inside.parent / "others", 4)
    if split == "train":
        shutil.rmtree(inside / "train")
        write_pictures(inside / "val", 4)
    (inside / split).symlink_to(inside.parent / "others")
    with pytest.raises(InputError, match=f"{split} leads out of"):
        open_source(str(inside), small_config())


def reaching_the_root(folder: Path) -> Path:
    """A folder of pictures with a link to the root of the disk."""
    (write_pictures(folder, 4) / "root").symlink_to("/")
    return folder


@pytest.mark.parametrize(
    "read",
    [lambda folder: fingerprint(str(folder), small_config()), lambda folder: open_source(str(folder), small_config())],
    ids=["fingerprint", "listing"],
)
def test_a_link_to_the_root_of_the_disk_is_not_walked(inside, monkeypatch, read: Callable[[Path], object]):
    walked = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path=".": walked.append(os.path.realpath(path)) or scan(path))
    read(reaching_the_root(inside / "pictures"))
    assert walked and not [path for path in walked if not Path(path).is_relative_to(inside)]


@pytest.mark.parametrize("cell", ["../secret.png", {"path": "../secret.png", "bytes": None}])
def test_a_table_that_names_a_picture_outside(inside, cell):
    row = HubRow("a", "b", cell, {}, folder=inside)
    with pytest.raises(BadSample, match="leads out of"):
        row.picture()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/a.png",
        "https://example.org/a.png",
        "file:///etc/hostname",
        "zip://a.png::https://example.org/a.zip",
        "simplecache::ftp://example.org/a.png",
    ],
)
def test_a_table_that_names_an_address_makes_the_app_ask_nobody(inside, monkeypatch, address):
    import fsspec

    monkeypatch.setattr(fsspec, "open", lambda *_: pytest.fail("asked"))
    with pytest.raises(BadSample, match="which is not asked"):
        HubRow("a", "b", address, {}, folder=inside).picture()


@pytest.mark.parametrize("address", ["hf://datasets/a/b/c.png", "zip://c.png::hf://datasets/a/b/d.zip"])
def test_a_set_of_the_hub_may_name_pictures_there(inside, monkeypatch, address):
    import fsspec

    def opened(path, mode):
        raise OSError(f"asked for {path}")

    monkeypatch.setattr(fsspec, "open", opened)
    with pytest.raises(BadSample, match=f"asked for {address}"):
        HubRow("a", "b", address, {}).picture()
