"""Where sources lie, and whether they changed."""

import os

from tests.workbench.search.search_small import captioned_folder, tar_of
from workbench.sources.places import list_sources, source_stamp
from workbench.workspace import Workspace


def test_the_stamp_changes_with_the_files(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 2)
    tar = tar_of(tmp_path / "a.tar", folder)
    before = source_stamp(str(folder)), source_stamp(str(tar))
    assert before == (source_stamp(str(folder)), source_stamp(str(tar)))
    (folder / "new.txt").write_text("new")
    os.utime(tar, (1, 1))
    assert before[0] != source_stamp(str(folder)) and before[1] != source_stamp(str(tar))


def test_the_workspace_lists_folders_and_shards_but_not_its_own(tmp_path):
    folder = captioned_folder(tmp_path / "pictures" / "cats", 2)
    tar_of(tmp_path / "pictures" / "a.tar", folder)
    captioned_folder(tmp_path / "runs" / "one", 1)
    assert list_sources(Workspace(tmp_path)) == ["shapes", "emoji", "pictures/*.tar", "pictures/cats"]
