"""Stored sources: every sample once an epoch, exact resume, damage counted and skipped, clear refusals."""

import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dream.data import stored
from dream.data.batch import prefetch
from dream.data.changes import changes_between
from dream.data.corpora.folders import FolderCorpus
from dream.data.corpora.shards import TarShards
from dream.data.corpora.tar_walk import walk_tar
from dream.data.order import windows
from dream.data.paths import expand_braces
from dream.data.report import DataReport
from dream.data.sources import Source, open_corpora, open_source
from dream.data.stored import StoredSource
from dream.errors import InputError, RunError
from dream.presets import tiny

CONFIG = replace(tiny(), image=replace(tiny().image, size=10, patch_size=5))
FLIPPING = replace(CONFIG, data=replace(CONFIG.data, flip=True))


def picture(number: int, kind: str = "PNG") -> bytes:
    """A small picture that no other number has: its left column tells the number."""
    pixels = np.full((12, 12, 3), (number % 200, number // 200, 90), dtype=np.uint8)
    pixels[:, 6:] = 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def members(numbers: Iterable[int]) -> list[tuple[str, bytes]]:
    found = []
    for number in numbers:
        found += [(f"{number:05d}.png", picture(number)), (f"{number:05d}.txt", f"picture {number}".encode())]
    return found


def write_tar(path: Path, files: Iterable[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_shards(folder: Path, shards: int, each: int) -> str:
    for shard in range(shards):
        write_tar(folder / f"s-{shard:03d}.tar", members(range(shard * each, (shard + 1) * each)))
    return str(folder / f"s-{{000..{shards - 1:03d}}}.tar")


def write_folder(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in members(range(count)):
        (folder / name).write_bytes(content)
    return folder


def take(source: Source, batches: int, size: int, position: dict[str, Any] | None = None) -> list[Any]:
    return list(itertools.islice(source.batches(size, position), batches))


def keys(source: Source, batches: int, size: int, position: dict[str, Any] | None = None) -> list[str]:
    return [key for batch, _ in take(source, batches, size, position) for key in batch.keys]


def windowed(source: str, rows: int, **options: Any) -> StoredSource:
    """As `open_source`, with windows of so few rows that a small source has many."""
    corpus = open_corpora(source, CONFIG)["train"]
    assert isinstance(corpus, TarShards)
    small = TarShards(source, corpus.paths, window_rows=rows)
    return StoredSource({"train": small}, options.pop("config", CONFIG), **options)


# Epochs, ranks, resuming


@pytest.mark.parametrize("window", [None, 7])
def test_an_epoch_holds_every_sample_once(tmp_path: Path, window: int | None) -> None:
    name = write_shards(tmp_path, 3, 10)
    opened = {
        split: open_source(name, CONFIG, split=split) if window is None else windowed(name, window, split=split)
        for split in ("train", "val", "all")
    }
    everything = {f"s-{n // 10:03d}.tar/{n:05d}" for n in range(30)}
    assert set(keys(opened["all"], 30, 1)) == everything
    train = len(set(keys(opened["train"], 60, 1)))
    epochs = [keys(opened["train"], train, 1), keys(opened["train"], 2 * train, 1)[train:]]
    assert [len(set(epoch)) for epoch in epochs] == [train, train]
    assert set(epochs[0]) == set(epochs[1]) and epochs[0] != epochs[1]
    if window is None:
        assert set(epochs[0]) | set(keys(opened["val"], 30, 1)) == everything
        assert not set(epochs[0]) & set(keys(opened["val"], 30, 1))


def test_pictures_and_captions_belong_to_their_keys(tmp_path: Path) -> None:
    source = open_source(write_shards(tmp_path, 2, 9), CONFIG, split="all")
    ((batch, _),) = take(source, 1, 18)
    assert batch.images.shape == (18, 3, 10, 10) and batch.images.dtype == torch.uint8
    for image, caption, key in zip(batch.images, batch.captions, batch.keys, strict=True):
        number = int(key.rsplit("/", 1)[1])
        assert caption == f"picture {number}"
        assert image[:, 5, 0].tolist() == [number, 0, 90]


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 2, 12)
    orders = [keys(open_source(name, CONFIG, split="all", seed=seed), 24, 1) for seed in (0, 0, 1, -5)]
    assert orders[0] == orders[1] and orders[0] != orders[2] != orders[3]
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(orders[3])


def test_more_ranks_than_samples_do_not_hang(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 1, 2)
    for rank in range(5):
        source = open_source(name, CONFIG, split="all", rank=rank, world_size=5)
        assert set(keys(source, 20, 5)) == {"s-000.tar/00000", "s-000.tar/00001"}


def test_a_batch_may_be_larger_than_the_data(tmp_path: Path) -> None:
    source = open_source(write_shards(tmp_path, 1, 5), CONFIG, split="all")
    ((batch, position),) = take(source, 1, 23)
    assert sorted(Counter(batch.keys).values()) == [4, 4, 5, 5, 5] and position["epoch"] == 4


def resumable(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    shards = write_shards(tmp_path, 9, 5)
    broken = tmp_path / "broken.tar"
    spoilt = [(name, b"?" if int(name[:5]) % 3 == 0 else content) for name, content in members(range(500, 515))]
    write_tar(broken, spoilt)
    folder = str(write_folder(tmp_path / "folder", 17))
    yield "shards", lambda **o: open_source(shards, FLIPPING, **o)
    yield "windows", lambda **o: windowed(shards, 7, config=FLIPPING, **o)
    yield "small windows", lambda **o: windowed(shards, 4, config=FLIPPING, **o)
    yield "broken", lambda **o: open_source(str(broken), FLIPPING, **o)
    yield "broken windows", lambda **o: windowed(str(broken), 3, config=FLIPPING, **o)
    yield "folder", lambda **o: open_source(folder, FLIPPING, **o)


def test_resuming_anywhere_goes_on_exactly(tmp_path: Path) -> None:
    for what, make in resumable(tmp_path):
        whole = take(make(seed=3), 24, 3)
        for place in (0, 1, 4, 11, 12, 13, 18, 22):
            position = json.loads(json.dumps(whole[place][1]))
            assert len(json.dumps(position)) < 100
            rest = take(make(seed=3), 24 - place - 1, 3, position)
            for (got, after), (wanted, expected) in zip(rest, whole[place + 1 :], strict=True):
                assert got.keys == wanted.keys and after == expected, (what, place)
                assert torch.equal(got.images, wanted.images)


@pytest.mark.parametrize("position", [{"batch": 3}, {"epoch": -1}, {"epoch": "0"}, {"row": True}])
def test_a_position_of_another_source_is_refused(tmp_path: Path, position: dict[str, Any]) -> None:
    source = open_source(write_shards(tmp_path, 1, 5), CONFIG)
    with pytest.raises(InputError, match="not a position"):
        source.batches(2, position)


def test_flips_follow_the_configuration(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 1, 12)
    for config, mirrored in ((CONFIG, {False}), (FLIPPING, {False, True})):
        batches = take(open_source(name, config, split="all"), 6, 8)
        images = torch.cat([batch.images for batch, _ in batches])
        assert {bool(image[0, 5, 0] == 255) for image in images} == mirrored


# Validation


@pytest.mark.parametrize(("count", "held_out"), [(1, 1), (2, 1), (8, 2), (100, 25), (400, 64), (2000, 100)])
def test_held_out_share(tmp_path: Path, count: int, held_out: int) -> None:
    files = [
        (f"{n}.{end}", picture(n)[:1000] if end == "png" else b"x") for n in range(count) for end in ("png", "txt")
    ]
    corpus = open_corpora(str(write_tar(tmp_path / "a.tar", files)), CONFIG)
    rows = next(windows(corpus["train"], [0], DataReport())).rows
    val = StoredSource(corpus, CONFIG, split="val")._own(rows)
    train = StoredSource(corpus, CONFIG, split="train")._own(rows)
    assert len(val) == held_out
    assert len(train) == (count - held_out if count > 1 else 1)


def test_fixed_captions_differ_and_depend_on_nothing_but_the_data(tmp_path: Path) -> None:
    files = members(range(300))
    files = [(name, b"the same" if name < "00150" and name.endswith("txt") else b) for name, b in files]
    name = str(write_tar(tmp_path / "a.tar", files))
    first = open_source(name, FLIPPING).fixed(20)
    assert len(first) == 20 and len(set(first.captions)) == 20
    assert first.captions.count("the same") <= 1
    for options in ({"seed": 9}, {"rank": 1, "world_size": 2}, {"split": "val"}):
        again = open_source(name, FLIPPING, **options).fixed(20)
        assert again.keys == first.keys and torch.equal(again.images, first.images)
    training = set(keys(open_source(name, CONFIG), 100, 5))
    assert not training & set(first.keys)
    assert open_source(name, FLIPPING).fixed(10).keys == first.keys[:10]
    assert len(open_source(name, CONFIG).fixed(10_000)) < 64


def test_captions_are_of_the_split_and_always_the_same(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 2, 20)
    train = open_source(name, CONFIG).captions()
    assert len(train) == 30 and len(open_source(name, CONFIG, split="val").captions()) == 10
    assert train == open_source(name, CONFIG, seed=7, rank=1, world_size=2).captions()
    assert train[:4] == open_source(name, CONFIG).captions(limit=4)
    assert open_source(name, CONFIG).captions(limit=0) == []


def test_a_folder_may_have_its_own_splits(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", 6)
    write_folder(tmp_path / "validation", 3)
    assert set(keys(open_source(str(tmp_path), CONFIG), 12, 1)) == {f"train/{n:05d}.png" for n in range(6)}
    assert len(open_source(str(tmp_path), CONFIG).fixed(9)) == 3
    with pytest.raises(InputError, match="no split 'test'"):
        open_source(str(tmp_path), CONFIG, split="test")


# Damage


def spoilt_tar(path: Path) -> Path:
    good = dict(members(range(20)))
    good["00003.png"] = picture(3)[:60]  # cut
    good["00004.png"] = b""
    good["00005.png"] = b"no picture"
    good["00006.txt"] = b" \n"
    good["00007.txt"] = b"\xff\xfe\x00"
    good["00008.txt"] = b"a\x00b"
    del good["00009.png"], good["00010.txt"]
    good["00011.png"] = picture(11, "JPEG")  # a wrong ending is no fault
    good["extra/note.md"] = b"not of a sample"
    good["00012.depth.png"] = picture(12)
    return write_tar(path, good.items())


SPOILT = {"broken picture": 3, "empty caption": 1, "broken caption": 2, "missing member": 2}


def test_broken_samples_are_named_counted_once_and_skipped(tmp_path: Path) -> None:
    source = open_source(str(spoilt_tar(tmp_path / "bad.tar")), CONFIG, split="all")
    good = {f"bad.tar/{n:05d}" for n in (*range(3), *range(11, 20))}
    assert set(keys(source, 60, 1)) == good
    assert source.report.by_kind() == SPOILT
    assert source.report.by_shard() == {"bad.tar": 8} and source.report.samples_seen == 60
    problems = {key: (kind, text) for kind, _, key, text in source.report.problems()}
    assert problems["00004"] == ("broken picture", "no bytes")
    assert problems["00009"][1] == "no picture of this name"
    assert "no caption next to 00010.png" in problems["00010"][1]
    assert json.loads(json.dumps(source.report.to_dict(names=1)))["kinds"]["broken picture"]["bad.tar"] == {
        "count": 3,
        "first": [{"key": problems_of(source, "broken picture")[0], "detail": source.report.problems()[0][3]}],
    }
    text = source.report.summary(names=1)
    assert "broken picture: 3" in text and "and 2 more" in text


def problems_of(source: Source, kind: str) -> list[str]:
    return [key for found, _, key, _ in source.report.problems() if found == kind]


@pytest.mark.parametrize("broken", ["png", "txt"])
def test_a_source_without_a_good_sample_is_refused(tmp_path: Path, broken: str) -> None:
    files = [(name, b"" if name.endswith(broken) else content) for name, content in members(range(9))]
    reason = "every sample of .* is broken .9 broken picture" if broken == "png" else "no captioned picture .*9 empty"
    with pytest.raises(InputError, match=reason):
        open_source(str(write_tar(tmp_path / "a.tar", files)), CONFIG, rank=1, world_size=2)
    one_left = [*files, *members([77])]
    name = str(write_tar(tmp_path / "b.tar", one_left))
    assert set(keys(open_source(name, CONFIG, split="all"), 3, 2)) == {"b.tar/00077"}


def test_a_run_ends_when_nothing_is_left(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", 40)
    source = windowless(folder)
    for path in folder.glob("*.png"):
        path.unlink()
    with pytest.raises(RunError, match="nothing is left to read"):
        take(source, 1, 4)
    with pytest.raises(RunError, match="no validation sample of .* can be read any more"):
        source.fixed(3)


def windowless(folder: Path) -> StoredSource:
    """A source that keeps nothing decoded."""
    source = StoredSource({"train": FolderCorpus(str(folder), folder)}, CONFIG)
    source._cache = None
    return source


def test_validation_falls_back_on_training_samples(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", 9)
    held_out = {key.split("/")[1] for key in keys(open_source(str(folder), CONFIG, split="val"), 3, 2)}
    for name in held_out:
        (folder / name).write_bytes(b"?")
    source = open_source(str(folder), CONFIG)
    assert "held out for validation" in source.notes[0]
    assert len(source.fixed(20)) == 9 - len(held_out)


def test_a_part_of_train_stands_in_for_a_validation_split_without_a_good_sample(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", 4)
    write_folder(tmp_path / "val", 2)
    for path in (tmp_path / "val").glob("*.png"):
        path.write_bytes(b"?")
    source = open_source(str(tmp_path), CONFIG)
    assert source.report.by_kind() == {"not used": 1}
    assert "a part of train is held out instead" in source.report.summary()
    assert all(key.startswith("train/") for key in source.fixed(2).keys)
    assert len(open_source(str(tmp_path), CONFIG, split="all").captions()) == 4


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (["a"] * 300, "the first 256 captions are the same"),
        (["a", "A "], "all captions are the same"),
        (["a"], "a single sample"),
        (["a", "b"], ""),
    ],
)
def test_a_source_says_what_alignment_lacks(tmp_path: Path, texts: list[str], fault: str) -> None:
    files = [(f"{n:03d}.png", picture(n)) for n in range(len(texts))]
    files += [(f"{n:03d}.txt", text.encode()) for n, text in enumerate(texts)]
    found = open_source(str(write_tar(tmp_path / "a.tar", files)), CONFIG, split="all").contrast_fault
    assert (fault in found) if fault else not found


CHANGES = {
    # name: (samples that there were, samples that there are, what is said)
    "none": (range(9), range(9), ""),
    "fewer": (range(9), range(4), "train has 4 samples (before: 9)"),
    "more": (range(4), range(9), "train has 9 samples (before: 4)"),
    "others": (range(9), range(100, 109), "samples of other names"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_source_that_changed_is_described(tmp_path: Path, name: str) -> None:
    before, now, said = CHANGES[name]
    facts = []
    for numbers in (before, now):
        (folder := tmp_path / str(len(facts)) / "f").mkdir(parents=True)
        for file, content in members(numbers):
            (folder / file).write_bytes(content)
        facts.append(json.loads(json.dumps(open_source(str(folder), CONFIG).facts())))
    found = changes_between(facts[0], facts[1])
    assert (said in found) if said else not found
    assert changes_between(None, facts[1]) == changes_between({}, {}) == ""


def test_bytes_shards_and_splits_are_part_of_what_is_remembered(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 3, 2)
    before = open_source(name, CONFIG).facts()
    write_tar(tmp_path / "s-001.tar", [*members(range(2, 4)), ("extra.md", bytes(20_000))])
    assert "bytes (before: " in changes_between(before, open_source(name, CONFIG).facts())
    assert "2 shards (before: 3)" in changes_between(before, open_source(name.replace("002", "001"), CONFIG).facts())
    assert changes_between({**before, "val": {}}, before) == "no split val"
    assert changes_between(before, {**before, "val": {"shards": 1}}) == "a split val that was not there"


def test_a_position_beyond_data_that_shrank_goes_on(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 4, 10)
    _, position = take(open_source(name, CONFIG), 3, 10)[-1]
    write_shards(tmp_path, 4, 2)
    (tmp_path / "s-003.tar").unlink()
    smaller = open_source(name.replace("003", "002"), CONFIG)
    assert len(set(keys(smaller, 6, 4, position))) == 5


def test_a_cut_tar_keeps_every_sample_before_the_cut(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", members(range(6)))
    content = whole.read_bytes()
    end = walk_tar(whole).members[-1]
    ends = [m.offset + m.size for m in walk_tar(whole).members if m.name.endswith(".txt")]
    cut = tmp_path / "cut.tar"
    for length in range(100, end.offset + end.size, 250):
        cut.write_bytes(content[:length])
        corpus, report = TarShards("cut", [cut]), DataReport()
        rows = list(corpus.rows(0, 0, report))
        assert [row.key for row in rows] == [f"{n:05d}" for n in range(sum(e <= length for e in ends))]
        assert {kind for kind, *_ in report.problems()} & {"truncated tar", "unreadable shard"}, length
        assert all(row.caption() and row.picture() for row in rows)


def test_a_damaged_header_costs_one_file_only(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", members(range(6)))
    content = bytearray(whole.read_bytes())
    for member in walk_tar(whole).members:
        damaged = content.copy()
        damaged[member.offset - 512 + 100 + member.offset % 50] ^= 0x11
        bad = tmp_path / "bad.tar"
        bad.write_bytes(damaged)
        corpus, report = TarShards("bad", [bad]), DataReport()
        kept = [row.key for row in corpus.rows(0, 0, report)]
        assert kept == [f"{n:05d}" for n in range(6) if not member.name.startswith(f"{n:05d}")]
        assert report.by_kind() == {"missing member": 1, "damaged header": 1}
        assert member.name in report.problems()[1][3]


def test_random_damage_never_raises(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content = write_tar(tmp_path / "whole.tar", members(range(12))).read_bytes()
    for trial in range(30):
        damaged = bytearray(content)
        for place in rng.integers(0, len(damaged), 40):
            damaged[place] = rng.integers(256)
        path = tmp_path / f"{trial}.tar"
        path.write_bytes(damaged[: rng.integers(2000, len(damaged))] if trial % 2 else damaged)
        try:
            take(open_source(str(path), CONFIG), 3, 4)
        except (InputError, RunError) as error:
            assert str(error)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_where_tarfile_says(tmp_path: Path, form: int) -> None:
    long = "deep/" * 12 + "name" * (10 if form == tarfile.USTAR_FORMAT else 60)
    files = [("./a.png", b"1" * 511), (f"{long}.txt", b"2" * 513), ("ümläut.txt", b""), ("z.png", b"3")]
    path = write_tar(tmp_path / "a.tar", files, form)
    with tarfile.open(path) as tar:
        expected = [(m.name.removeprefix("./"), m.offset_data, m.size) for m in tar.getmembers()]
    found = walk_tar(path)
    assert [(m.name, m.offset, m.size) for m in found.members] == expected
    assert found.cut is None and not found.damages


def test_concatenated_tars_and_captions_in_json(tmp_path: Path) -> None:
    first = write_tar(tmp_path / "1.tar", members(range(3))).read_bytes()
    record = {"caption": "from json", "url": "x"}
    files = [("j.PNG", picture(1)), ("j.json", json.dumps(record).encode())]
    files += [("k.png", picture(2)), ("k.json", b"{}"), ("l.png", picture(3)), ("l.json", b"{")]
    second = write_tar(tmp_path / "2.tar", files).read_bytes()
    both = tmp_path / "both.tar"
    both.write_bytes(first + second)
    source = open_source(str(both), CONFIG, split="all")
    assert sorted(source.captions()) == ["from json", "picture 0", "picture 1", "picture 2"]
    assert source.report.by_kind() == {"missing member": 1, "broken caption": 1}


def test_unreadable_shards_are_skipped_and_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "good.tar", members(range(4)))
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "zip.tar").write_bytes(b"\x1f\x8b" + bytes(range(256)) * 9)
    (tmp_path / "noise.tar").write_bytes(np.random.default_rng(0).bytes(5000))
    source = open_source(str(tmp_path / "*.tar"), CONFIG, split="all")
    assert len(set(keys(source, 8, 1))) == 4
    assert source.report.by_kind() == {"unreadable shard": 3}
    assert any("gzip" in text for *_, text in source.report.problems())
    with pytest.raises(InputError, match="gzip"):
        open_source(str(tmp_path / "zip.tar"), CONFIG)


def test_a_name_twice_counts_and_the_first_is_used(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [*members([1]), ("00001.txt", b"another")])
    source = open_source(str(path), CONFIG, split="all")
    assert source.captions() == ["picture 1"] and source.report.by_kind() == {"duplicate member": 1}


def test_shards_of_one_name_keep_apart(tmp_path: Path) -> None:
    for folder, numbers in (("a", range(3)), ("b", range(3, 6))):
        (tmp_path / folder).mkdir()
        write_tar(tmp_path / folder / "s.tar", members(numbers))
    source = open_source(str(tmp_path / "*" / "s.tar"), CONFIG, split="all")
    assert {key.split("/")[0] for key in keys(source, 6, 1)} == {"a", "b"}


# Folders


def test_folders_with_texts_subfolders_and_metadata(tmp_path: Path) -> None:
    write_folder(tmp_path / "texts", 3)
    (tmp_path / "texts" / "00001.txt").unlink()
    (tmp_path / "texts" / "alone.txt").write_text("no picture")
    listed = tmp_path / "listed"
    listed.mkdir()
    for name in ("a.JPG", "b.png", "unlisted.png"):
        (listed / name).write_bytes(picture(5))
    lines = [
        {"file_name": "a.JPG", "text": "text a"},
        {"file_name": "b.png", "caption": ["caption b", "another"]},
        {"file_name": "gone.png", "caption": "gone"},
        {"caption": "no name"},
        {"file_name": "a.JPG", "text": "again"},
    ]
    (listed / "metadata.jsonl").write_text("\n".join([*map(json.dumps, lines), "{", ""]))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    source = open_source(str(tmp_path), CONFIG, split="all")
    assert sorted(source.captions()) == ["caption b", "picture 0", "picture 2", "text a"]
    assert source.report.by_kind() == {"missing member": 4, "broken metadata": 2, "duplicate member": 1}
    root = tmp_path.name
    assert source.report.by_shard() == {f"{root}/listed": 5, f"{root}/texts": 2}
    assert len(set(keys(source, 8, 1))) == 4


def test_metadata_may_name_pictures_of_subfolders(tmp_path: Path) -> None:
    write_folder(tmp_path / "deep", 3)
    (tmp_path / "deep" / "00002.txt").unlink()
    lines = [{"file_name": f"./deep/0000{n}.png", "text": f"listed {n}"} for n in (1, 2)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = open_source(str(tmp_path), CONFIG, split="all")
    assert sorted(source.captions()) == ["listed 1", "listed 2", "picture 0"]
    assert source.report.total == 0


def test_a_picture_that_vanishes_is_one_more_broken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "CACHE_BYTES", 0)  # opening reads pictures, which would stay in memory
    source = open_source(str(write_folder(tmp_path / "f", 4)), CONFIG, split="all")
    (tmp_path / "f" / "00002.png").unlink()
    assert set(keys(source, 6, 1)) == {"f/00000.png", "f/00001.png", "f/00003.png"}
    assert source.report.by_kind() == {"broken picture": 1}


# The hub


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import datasets

    root = tmp_path_factory.mktemp("hub") / "set"
    root.mkdir()
    for split, files in (("train", 3), ("validation", 1)):
        for file in range(files):
            numbers = range(file * 8, file * 8 + 8)
            columns = {
                "image": [{"bytes": b"?" if n == 5 else picture(n), "path": None} for n in numbers],
                "caption": [f"{split} {n}" for n in numbers],
            }
            table = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
            table.to_parquet(root / f"{split}-{file:05d}-of-{files:05d}.parquet")
    return root


def test_a_set_of_datasets_streams_and_resumes(hub_folder: Path) -> None:
    config = replace(CONFIG, data=replace(CONFIG.data, shuffle_buffer=5))
    source = open_source(f"hf:{hub_folder}", config)
    whole = take(source, 30, 2)
    first = [caption for batch, _ in whole for caption in batch.captions][:24]
    assert set(first) == {f"train {n}" for n in range(24) if n != 5}  # one stands in for the broken one
    assert source.report.by_kind() == {"broken picture": 1}
    for place in (2, 3, 11):
        rest = take(open_source(f"hf:{hub_folder}", config), 30 - place - 1, 2, whole[place][1])
        assert [b.keys for b, _ in rest] == [b.keys for b, _ in whole[place + 1 :]]
    assert sorted(source.fixed(99).captions) == sorted(f"validation {n}" for n in range(8) if n != 5)


def test_a_split_of_a_set_can_be_named(hub_folder: Path) -> None:
    source = open_source(f"hf:{hub_folder}:validation", CONFIG, split="all")
    assert len(source.captions()) == 8
    with pytest.raises(InputError, match="no split 'tset'; it has train, validation"):
        open_source(f"hf:{hub_folder}:tset", CONFIG)


def test_a_set_without_captions_names_its_columns(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"image": [picture(1)], "label": [3]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no column of captions.*it has image, label"):
        open_source(f"hf:{tmp_path}", CONFIG)


# Refusals


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{}/s-00.tar", "there is no .*s-00.tar'; did you mean .*s-00[01].tar"),
        ("{}/s-{{000..009}}.tar", "s-002.tar' .and 7 more of 10 files"),
        ("{}/*.png", "no file matches .*contains: .*s-000.tar"),
        ("{}/s-{{5..2}}.tar", "write the smaller number first"),
        ("{}/s-{{x}}.tar", "write a range"),
        ("{}/empty", "no captioned picture in .*nothing at all"),
        ("{}/bare", "none of its 1 pictures has a caption"),
        ("{}/tars", "it holds tar shards.*tars/\\*.tar"),
        ("{}/bare/1.png", "not a .tar shard"),
        ("{}/missing/deeper", "there is no .*contains: .*empty"),
        ("https://example.org/a.tar", "download it first"),
        ("shape", "did you mean 'shapes'"),
        ("hf:", "needs a name"),
        ("hf:./missing", "no folder './missing'"),
        ("", "the data source is empty"),
    ],
)
def test_what_cannot_be_opened_is_named(tmp_path: Path, source: str, message: str) -> None:
    write_shards(tmp_path, 2, 3)
    for name in ("empty", "bare", "tars"):
        (tmp_path / name).mkdir()
    write_shards(tmp_path / "tars", 1, 1)
    (tmp_path / "bare" / "1.png").write_bytes(picture(1))
    with pytest.raises(InputError, match=message):
        open_source(source.format(tmp_path), CONFIG)


def test_braces_expand_as_a_shell_does() -> None:
    assert list(expand_braces("a-{008..010}.tar")) == ["a-008.tar", "a-009.tar", "a-010.tar"]
    assert list(expand_braces("{a,b}/{1..2}")) == ["a/1", "a/2", "b/1", "b/2"]
    assert list(expand_braces("plain.tar")) == ["plain.tar"]


def test_an_unknown_hub_set_is_refused_without_network() -> None:
    with pytest.raises(InputError, match="cannot open 'hf:owner/no-such-set'"):
        open_source("hf:owner/no-such-set", CONFIG)


def test_shapes_and_shards_need_neither_datasets_nor_zarr(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 1, 8)
    script = (
        "import sys\n"
        "sys.modules['datasets'] = sys.modules['zarr'] = None\n"
        "from dream.data.sources import open_source\n"
        "from dream.presets import tiny\n"
        f"for source in ('shapes', {name!r}):\n"
        "    next(open_source(source, tiny()).batches(2))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# Memory, speed, reading ahead


def test_only_small_sources_stay_decoded_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = write_shards(tmp_path, 2, 8)
    small, windowed_source = open_source(name, CONFIG, split="all"), windowed(name, 5, split="all")
    for source in (small, windowed_source):
        take(source, 4, 4)
    assert isinstance(small, StoredSource) and len(small._cache or {}) == 16
    assert windowed_source._cache is None
    monkeypatch.setattr("dream.data.stored.CACHE_BYTES", 3 * 3 * 10**2 - 1)
    folder = FolderCorpus("f", write_folder(tmp_path / "f", 3))
    assert StoredSource({"train": folder}, CONFIG)._cache is None


def test_a_tars_index_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dream.data.corpora import tar_index

    walked: list[Path] = []
    monkeypatch.setattr(tar_index, "walk_tar", lambda path: (walked.append(path), walk_tar(path))[1])
    shards = write_shards(tmp_path, 3, 4)
    for path in tmp_path.glob("*.tar"):  # of one that was just written nothing is kept, so that it is walked twice
        os.utime(path, (0, 0))
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))
    take(open_source(shards, CONFIG), 30, 4)
    assert sorted(path.name for path in walked) == sorted(path.name for path in tmp_path.glob("*.tar"))


def test_a_decoded_picture_is_neither_read_nor_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(write_shards(tmp_path, 2, 20), FLIPPING, split="all")
    read: list[str] = []
    content = StoredSource.content
    monkeypatch.setattr(StoredSource, "content", lambda self, row: (read.append(row.key), content(self, row))[1])
    take(source, 30, 20)
    assert 30 < len(read) == len(set(read)) <= 40  # opening the source may have read some


def test_prefetch_keeps_the_order_and_passes_errors_on() -> None:
    assert list(prefetch(iter(range(100)), depth=3)) == list(range(100))

    def failing() -> Iterator[int]:
        yield 1
        raise RunError("nothing is left")

    ahead = prefetch(failing())
    assert next(ahead) == 1
    with pytest.raises(RunError, match="nothing is left"):
        next(ahead)
    assert list(ahead) == []


def test_prefetch_closes_its_iterator_when_the_reader_stops() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    before = threading.active_count()
    ahead = prefetch(endless(), depth=2)
    assert [next(ahead) for _ in range(5)] == list(range(5))
    ahead.close()
    assert closed.is_set() and threading.active_count() == before
    ahead = prefetch(endless(), depth=2)
    ahead.close()
    assert threading.active_count() == before and list(ahead) == []


def test_reports_of_ranks_merge_without_counting_twice() -> None:
    one, other = DataReport(), DataReport()
    for report in (one, other):
        report.add("truncated tar", "s.tar", "end", "cut")
    other.add("broken picture", "s.tar", "5\x1b[31m", "no bytes")
    for problem in other.problems():
        one.add(*problem)
    assert one.by_kind() == {"broken picture": 1, "truncated tar": 1}
    assert "\x1b" not in one.summary() and DataReport().summary() == "nothing broken"
