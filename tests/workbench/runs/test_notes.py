"""Tags and notes are kept by run, whatever its name, and a damaged file harms nobody."""

import pytest

from workbench.runs.notes import Note, all_tags, change_note, forget_notes, read_note, write_note
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def test_what_was_written_is_read_back_by_name(workspace):
    write_note(workspace, "comparison/dream/seed-0", Note((" good ", "good", "", "früh"), " läuft \n"))
    assert read_note(workspace, "comparison/dream/seed-0") == Note(("good", "früh"), "läuft")
    assert read_note(workspace, "comparison") == Note()
    write_note(workspace, "other", Note(("a",)))
    assert all_tags(workspace) == ["a", "früh", "good"]


def test_an_empty_note_leaves_nothing(workspace):
    write_note(workspace, "run", Note(("a",), "b"))
    write_note(workspace, "run", Note((" ",), " "))
    assert read_note(workspace, "run") == Note() and list((workspace.own / "notes").iterdir()) == []
    forget_notes(workspace, "run")


@pytest.mark.parametrize("content", ["", "[]", '{"tags": 3}', '{"tags": ["a"]}'])
def test_a_damaged_note_reads_as_none(workspace, content):
    write_note(workspace, "run", Note(("a",)))
    (file,) = (workspace.own / "notes").iterdir()
    file.write_text(content)
    assert read_note(workspace, "run") == Note()
    all_tags(workspace)


def test_two_tabs_lose_nothing_of_each_other(workspace):
    before = write_note(workspace, "run", Note(("a", "b"), "start"))
    change_note(workspace, "run", before, Note(("a", "b", "of one"), "start"))
    change_note(workspace, "run", before, Note(("b", "of two"), "start, by two"))
    assert read_note(workspace, "run") == Note(("b", "of one", "of two"), "start, by two")
    change_note(workspace, "run", before, Note(("a", "b"), "by a third"))
    assert read_note(workspace, "run").text == "start, by two\nby a third"
    kept = read_note(workspace, "run")
    assert change_note(workspace, "run", kept, kept) == kept
