"""Browsing: every sample once, pages as cut from one list, and what is broken in its place."""

from itertools import islice

import numpy as np
import pytest

from dream.errors import InputError
from tests.workbench.search.search_small import captioned_folder, small_config, tar_of
from workbench.sources.browse import Broken, Sample, all_entries, browse, first_captions, read_page, splits_of

CONFIG = small_config()


def names(page):
    return [found.name for found in page.found]


@pytest.mark.parametrize("source", ["shapes", "folder", "shards"])
def test_pages_are_cut_from_one_list(source, tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 11)
    if source != "shapes":
        source = str(folder) if source == "folder" else str(tar_of(tmp_path / "a.tar", folder))
    browsed = browse(source, CONFIG, splits_of(source, CONFIG)[0])
    whole = [entry.name for entry in islice(all_entries(browsed), 11)]
    paged = [name for start in (0, 4, 8) for name in names(read_page(browsed, 0, start, 4, 18))]
    assert paged[:11] == whole


def test_train_and_val_share_out_all_samples(tmp_path):
    folder = str(captioned_folder(tmp_path / "pictures", 20))
    parts = {split: browse(folder, CONFIG, split) for split in ("all", "train", "val")}
    found = {split: set(names(read_page(part, 0, 0, 50, 18))) for split, part in parts.items()}
    assert found["train"] | found["val"] == found["all"] and not found["train"] & found["val"]
    assert found["val"] and len(found["train"]) > len(found["val"])
    assert {split: parts[split].total(0) for split in parts} == {s: len(n) for s, n in found.items()}


def test_a_source_with_own_splits_keeps_them(tmp_path):
    for split, count in (("train", 5), ("val", 3)):
        captioned_folder(tmp_path / "set" / split, count)
    source = str(tmp_path / "set")
    assert splits_of(source, CONFIG) == ("train", "val")
    assert len(read_page(browse(source, CONFIG, "val"), 0, 0, 9, 18).found) == 3


def test_a_sample_is_cropped_for_the_model_and_tells_its_own_size(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 1, (400, 100))
    (sample,) = read_page(browse(str(folder), CONFIG, "all"), 0, 0, 1, 18).found
    assert isinstance(sample, Sample)
    assert sample.pixels.shape == (3, 18, 18) and (sample.width, sample.height) == (400, 100)
    assert sample.shown.shape == (48, 192, 3) and sample.pixels.dtype == np.uint8


def test_only_captions_that_contain_the_words_are_found_within_the_limit(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 12)
    browsed = browse(str(folder), CONFIG, "all")
    page = read_page(browsed, 0, 0, 2, 18, wanted="RED")
    assert [found.caption for found in page.found] == ["a red square"] * 2 and page.more
    assert not read_page(browsed, 0, 2, 2, 18, wanted="red").more
    assert len(read_page(browsed, 0, 0, 9, 18, wanted="red", within=4).found) == 1


def test_the_first_captions_are_different_and_readable(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 9)
    (folder / "000.txt").write_text("")
    found = first_captions(browse(str(folder), CONFIG, "all"), 4)
    assert found == [f"a {word} square" for word in ("green", "blue", "yellow", "red")]


def test_broken_samples_stand_in_their_place(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 3)
    (folder / "001.png").write_bytes(b"no picture")
    (folder / "002.txt").write_text("")
    first, second, third = read_page(browse(str(folder), CONFIG, "all"), 0, 0, 3, 18).found
    assert isinstance(first, Sample)
    assert isinstance(second, Broken) and second.kind == "broken picture" and "001" in second.name
    assert isinstance(third, Broken) and third.kind == "empty caption"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda root: root / "absent.tar", "there is no"),
        (lambda root: root / "*.tar", "no file matches"),
        (lambda root: (root / "bare").mkdir() or root / "bare", "no captioned picture"),
        (lambda root: (root / "cut.tar").write_bytes(b"x" * 700) and root / "cut.tar", "no captioned picture"),
        (lambda root: "http://example.org/a.tar", "is an address"),
    ],
)
def test_what_is_no_source_is_refused_in_a_sentence(make, says, tmp_path):
    with pytest.raises(InputError, match=says):
        browse(str(make(tmp_path)), CONFIG, "all")
