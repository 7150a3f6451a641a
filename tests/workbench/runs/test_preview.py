"""A preview shows samples as training sees them and names what is broken."""

import pytest
from PIL import Image

from dream.errors import InputError
from dream.presets import preset
from workbench.runs.preview import preview_source
from workbench.work import Work


def look(source, config=None, **options):
    config = config or preset("tiny")
    return Work(lambda work: preview_source(work, str(source), config, **options)).wait(60)


@pytest.fixture
def folder(tmp_path):
    for i in range(8):
        Image.new("RGB", (40, 20 + i), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(f"red number {i}")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "bad.txt").write_text("something")
    (tmp_path / "3.txt").write_text("")
    return tmp_path


def test_shapes_are_endless_and_have_samples():
    found = look("shapes").result
    assert found.endless and len(found.pictures) == len(found.captions) == 12
    assert found.pictures[0].shape == (30, 30, 3)


def test_a_folder_is_counted_with_what_is_broken_by_name(folder):
    work = look(folder)
    found = work.result
    assert (found.good, found.looked, found.complete) == (7, 9, True)
    assert found.by_kind == {"broken picture": 1, "empty caption": 1} and found.problems == 2
    assert {p.kind for p in found.named} == {"broken picture", "empty caption"} and found.named[0].shard
    assert found.smaller == 7 and found.sides == (20, 40) and work.partial is not None
    assert found.pictures[0].shape == (30, 30, 3) and len(found.captions) == len(found.pictures) > 0


def test_a_limit_looks_at_the_first_only(folder):
    found = look(folder, limit=4).result
    assert found.looked == 4 and not found.complete


@pytest.mark.parametrize("name", ["", "nothing-here", "http://x/y"])
def test_nothing_there_is_said_in_a_sentence(tmp_path, name):
    work = look(name and (tmp_path / name if "/" not in name else name))
    assert work.state == "failed" and isinstance(work.error, InputError)


def test_a_folder_in_which_all_is_broken_says_how_much(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no")
    (tmp_path / "a.txt").write_text("a")
    work = look(tmp_path)
    assert isinstance(work.error, InputError) and "no captioned picture" in str(work.error)
