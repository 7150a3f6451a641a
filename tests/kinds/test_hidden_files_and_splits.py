"""Names that are never data, and names of splits: one row per instance."""

import pytest

from dream.data.formats import is_hidden, is_lfs_pointer

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


def test_a_pointer_of_git_lfs_is_known_by_its_first_line() -> None:
    assert is_lfs_pointer(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    assert not is_lfs_pointer(b"version 2 of the cat")
