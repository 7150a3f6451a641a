"""The workspace keeps what users type inside, unless its settings say otherwise."""

import json

import pytest

from dream.errors import InputError
from workbench.workspace import LOG_BYTES, open_workspace


@pytest.mark.parametrize("text", ["runs/a", "./runs/../runs/a", "runs"])
def test_a_path_inside_is_taken_from_the_workspace(tmp_path, text):
    path = open_workspace(tmp_path).path(text)
    assert path.is_absolute() and path.is_relative_to(tmp_path)


@pytest.mark.parametrize("text", ["..", "../x", "/etc/passwd", "runs/../../x", "~"])
def test_a_path_outside_is_refused_until_the_settings_allow_it(tmp_path, text):
    workspace = open_workspace(tmp_path)
    with pytest.raises(InputError, match="outside of the workspace"):
        workspace.path(text)
    workspace.own.mkdir()
    (workspace.own / "settings.json").write_text('{"outside": true}')
    assert open_workspace(tmp_path).path(text).is_absolute()


def test_a_link_that_leads_outside_is_refused(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    with pytest.raises(InputError, match="outside of the workspace"):
        open_workspace(inside).path("link/file")


@pytest.mark.parametrize("text", ["shapes", "hf:owner/name", "hf:owner/name:train"])
def test_sources_that_are_no_paths_stay_as_they_are(tmp_path, text):
    assert open_workspace(tmp_path).source(f" {text} ") == text


def test_patterns_of_shards_keep_their_pattern_and_stay_inside(tmp_path):
    workspace = open_workspace(tmp_path)
    assert workspace.source("data/a-{00..03}.tar") == f"{tmp_path}/data/a-{{00..03}}.tar"
    assert workspace.source(f"{tmp_path}/a-*.tar") == f"{tmp_path}/a-*.tar"
    for text in ("/data/a-{00..03}.tar", "../a-*.tar", "data/*/../../../x.tar", "/*.tar"):
        with pytest.raises(InputError):
            workspace.source(text)


def test_a_shipped_models_name_is_no_path(tmp_path):
    workspace = open_workspace(tmp_path)
    assert workspace.model("demo") == "demo"
    (tmp_path / "demo").mkdir()
    assert workspace.model("demo") == str(tmp_path / "demo")


@pytest.mark.parametrize("text", ["{", "[]", '{"outside": "yes"}', "3"])
def test_damaged_settings_are_told(tmp_path, text):
    (tmp_path / ".workbench").mkdir()
    (tmp_path / ".workbench" / "settings.json").write_text(text)
    with pytest.raises(InputError, match="is damaged"):
        open_workspace(tmp_path)


def test_a_workspace_must_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="is not a folder"):
        open_workspace()


def test_failures_are_logged_with_their_details_and_the_log_stays_small(tmp_path):
    workspace = open_workspace(tmp_path)
    workspace.own.mkdir()
    workspace.log.write_text("x" * (LOG_BYTES + 1))
    details = workspace.note_failure(ZeroDivisionError("by zero"))
    assert "ZeroDivisionError: by zero" in details
    assert details in workspace.log.read_text() and workspace.log.stat().st_size < LOG_BYTES


def test_paths_are_shown_from_the_workspace_on(tmp_path):
    workspace = open_workspace(tmp_path)
    assert workspace.shown(tmp_path / "runs" / "a") == "runs/a"
    assert workspace.shown("/elsewhere/a") == "/elsewhere/a"
    assert json.loads('"runs"') == workspace.shown(workspace.runs)
