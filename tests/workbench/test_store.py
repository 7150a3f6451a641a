"""Stored decodes appear whole or not at all, and damage in one hides no other."""

import os
import time

import pytest
from PIL import Image

from dream.errors import InputError
from workbench import store
from workbench.store import begin, count_damaged, delete_stored, list_stored, open_stored
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def put(workspace, prompt="a red circle", kind="decode", **about):
    """One stored decode."""
    with begin(workspace, kind, prompt, {"model": "demo", "settings": {"steps": 16}, **about}) as draft:
        draft.record_path.mkdir()
        return draft.finish(Image.new("RGB", (8, 8), "red"))


def test_what_was_stored_is_listed_newest_first_and_opened_again(workspace):
    first, second = put(workspace, "a red circle", seed=5), put(workspace, "zwei Kreise")
    assert [s.id for s in list_stored(workspace)] == [second.id, first.id]
    assert open_stored(workspace, first.id) == first
    assert first.about["seed"] == 5 and first.prompt == "a red circle" and first.record_path.is_dir()
    assert first.path.parent == workspace.decodes
    assert Image.open(first.thumbnail).size == (144, 144)


def test_leaving_without_finish_leaves_nothing(workspace):
    with pytest.raises(KeyboardInterrupt), begin(workspace, "decode", "a", {}) as draft:
        draft.record_path.mkdir()
        assert list_stored(workspace) == []
        raise KeyboardInterrupt
    assert list(workspace.decodes.iterdir()) == []


def test_a_search_wants_all_words_in_prompt_model_or_settings(workspace):
    one, two = (put(workspace, "a red circle", seed=5), put(workspace, "A Blue square", seed=55, kind="trajectories"))
    for query, expected in (
        ("RED", [one]),
        ("square blue", [two]),
        ("red square", []),
        ("seed 5", [two, one]),
        ("steps 16", [two, one]),
        ("demo circle", [one]),
        ("", [two, one]),
    ):
        assert list_stored(workspace, query=query) == expected, query
    assert list_stored(workspace, "trajectories") == [two]


def test_damaged_ones_are_counted_and_hide_no_other(workspace):
    whole = put(workspace)
    for name, text in (("cut", "{"), ("list", "[]"), ("other", '{"format": 9}'), ("odd", '"text"')):
        (workspace.decodes / name).mkdir()
        (workspace.decodes / name / "about.json").write_text(text)
    (workspace.decodes / "empty").mkdir()
    (workspace.decodes / "note.txt").write_text("mine")
    assert list_stored(workspace) == [whole] and count_damaged(workspace) == 5
    with pytest.raises(InputError, match="damaged"):
        open_stored(workspace, "cut")


def test_a_deleted_one_is_gone_and_only_it(workspace):
    one, two = put(workspace), put(workspace)
    delete_stored(workspace, one.id)
    assert list_stored(workspace) == [two] and len(list(workspace.decodes.iterdir())) == 1
    with pytest.raises(InputError, match="deleted"):
        delete_stored(workspace, one.id)


@pytest.mark.parametrize("id", ["", ".", "..", "../decodes", "a/b", ".hidden", "missing"])
def test_an_id_names_a_stored_decode_and_nothing_else(workspace, id):
    put(workspace)
    (workspace.decodes / ".hidden").mkdir()
    with pytest.raises(InputError):
        open_stored(workspace, id)
    with pytest.raises(InputError):
        delete_stored(workspace, id)


def test_what_a_killed_process_left_is_swept_and_what_is_young_stays(workspace):
    put(workspace)
    for name, age in ((".old", 100_000), (".young", 10)):
        (workspace.decodes / name).mkdir()
        os.utime(workspace.decodes / name, (time.time() - age,) * 2)
    put(workspace)
    assert {p.name for p in workspace.decodes.iterdir() if p.name.startswith(".")} == {".young"}


def test_no_two_decodes_of_one_moment_share_a_name(workspace):
    assert len({put(workspace).id for _ in range(5)}) == 5


def test_a_workspace_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "decodes").write_text("a file")
    with pytest.raises(InputError, match="file"):
        begin(Workspace(tmp_path), "decode", "a", {})


def test_listing_again_reads_only_what_changed(workspace, monkeypatch):
    kept = [put(workspace, f"prompt {number}") for number in range(5)]
    list_stored(workspace)
    read, reads = [], store.read_printable
    monkeypatch.setattr(store, "read_printable", lambda path: read.append(path) or reads(path))
    assert len(list_stored(workspace)) == 5 and count_damaged(workspace) == 0 and read == []
    about = kept[2].path / "about.json"
    about.write_text(about.read_text().replace("prompt 2", "another prompt"))
    (kept[3].path / "thumbnail.png").unlink()
    kept[4].record_path.rmdir()
    assert {stored.prompt for stored in list_stored(workspace)} == {
        "prompt 0",
        "prompt 1",
        "another prompt",
        "prompt 3",
    }
    assert len(read) == 2 and count_damaged(workspace) == 1
    assert open_stored(workspace, kept[3].id).thumbnail is None
