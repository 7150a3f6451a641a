"""What is kept on disk of a tar: the walk's own findings, for that tar as it is, or nothing."""

import json
import os
import random
import tarfile
import zlib
from pathlib import Path

import pytest

from dream.data.corpora import tar_index
from dream.data.corpora.tar_index import AHEAD, kept_contents
from dream.data.corpora.tar_walk import walk_tar
from dream.data.report import DataReport
from dream.data.sources import open_corpora, open_source
from tests.dream.data.test_sources import members, write_tar
from tests.dream.training.training_small import small_config


@pytest.fixture
def shards(tmp_path, monkeypatch) -> list[Path]:
    """Tars that were written a while ago, and an empty cache."""
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    paths = [tmp_path / f"data/{shard:03d}.tar" for shard in range(2 * AHEAD + 1)]
    for number, path in enumerate(paths):
        write_tar(path, members(range(3 * number, 3 * number + 3)))
        aged(path)
    return paths


def aged(path: Path, seconds: float = 60.0) -> None:
    about = path.stat()
    os.utime(path, (about.st_atime, about.st_mtime - seconds))


def walks(monkeypatch) -> list[Path]:
    """The tars that are walked from now on."""
    walked: list[Path] = []

    def walk(path: Path):
        walked.append(path)
        return walk_tar(path)

    monkeypatch.setattr(tar_index, "walk_tar", walk)
    return walked


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_source_walks_each_tar_once_and_gives_the_same_ever_after(tmp_path, shards, monkeypatch):
    walked, seen = walks(monkeypatch), []
    for _ in range(2):
        corpus = open_corpora(str(tmp_path / "data/*.tar"), small_config())["train"]
        rows = [row for shard in range(len(corpus.shards)) for row in corpus.rows(shard, 0, DataReport())]
        seen.append([(row.key, row.picture(), str(row.caption())) for row in rows])
        assert sorted(walked) == shards
    assert seen[0] == seen[1] and len(seen[0]) == 3 * len(shards)
    source = open_source(str(tmp_path / "data/*.tar"), small_config())
    next(source.batches(16))
    assert sorted(walked) == shards and len(kept(tmp_path)) == len(shards)


def test_the_first_of_many_is_walked_together_with_those_that_follow(tmp_path, shards, monkeypatch):
    walked = walks(monkeypatch)
    kept_contents(shards[0], shards[1:])
    assert sorted(walked) == shards[:AHEAD] and len(kept(tmp_path)) == AHEAD


@pytest.mark.parametrize("damage", ["cut", "link", "header", "nothing"])
def test_damage_and_links_are_kept_too(tmp_path, shards, damage):
    path = shards[0]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5000])
    elif damage == "header":
        content = bytearray(path.read_bytes())
        content[150] ^= 1
        path.write_bytes(content)
    elif damage == "link":
        with tarfile.open(path, "a") as tar:
            for name, target in (("a.jpg", tar.getnames()[0]), ("b.jpg", "nowhere")):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, target
                tar.addfile(info)
    aged(path)
    assert kept_contents(path) == kept_contents(path) == walk_tar(path)
    assert kept(tmp_path)


def test_a_changed_tar_is_walked_anew(shards, monkeypatch):
    path = shards[0]
    kept_contents(path)
    walked = walks(monkeypatch)
    write_tar(path, members(range(100, 104)))
    aged(path)
    assert len(kept_contents(path).members) > 6 and walked == [path]
    kept_contents(path)
    assert walked == [path]
    os.utime(path, (1.0, 2.0))  # the same bytes, at another time
    assert kept_contents(path) == walk_tar(path) and walked == [path, path]


def test_a_tar_that_was_just_written_is_not_kept(tmp_path, shards):
    write_tar(shards[0], members(range(5)))
    kept_contents(shards[0])
    assert kept(tmp_path) == []


def test_whatever_is_wrong_with_what_is_kept_the_tar_is_walked(tmp_path, shards):
    truth = kept_contents(shards[0])
    (place,) = kept(tmp_path)
    good, draws = place.read_bytes(), random.Random(0)
    tree = json.loads(zlib.decompress(good))
    trees = [{}, [], 3, {**tree, "names": 3}, {**tree, "sizes": tree["sizes"][1:]}, {**tree, "gaps": None}]
    trees += [{**tree, "names": [1] * len(tree["names"])}, {**tree, "damages": [[1]]}, {**tree, "version": 0}]
    bad = [b"", b"nothing", good[:-1], good[: len(good) // 2], *(zlib.compress(json.dumps(t).encode()) for t in trees)]
    for _ in range(10):
        content = bytearray(good)
        content[draws.randrange(len(good))] ^= 1 << draws.randrange(8)
        bad.append(bytes(content))
    for content in bad:
        place.write_bytes(content)
        assert kept_contents(shards[0]) == truth
    assert kept_contents(shards[0]) == truth


def test_a_cache_that_cannot_be_written_to_is_done_without(tmp_path, shards, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "file"))
    assert kept_contents(shards[0], shards[1:]) == walk_tar(shards[0])
    with pytest.raises(FileNotFoundError):
        kept_contents(tmp_path / "nowhere.tar")
