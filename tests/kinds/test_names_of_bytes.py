"""Files and folders whose names are bytes that are not UTF-8: the command line takes them, pages leave them out."""

import json
import os
import shutil
from pathlib import Path

import pytest

from dream.__main__ import main
from dream.decoding.pictures import read_about
from dream.pretrained import load_pretrained
from tests.app.opening import page_of
from tests.dream.decoding.decode_fakes import save_run, small_pretrained
from workbench.checkpoints.finder import find_checkpoints
from workbench.runs.folders import list_runs, record_or_problem
from workbench.sources.places import list_sources
from workbench.workspace import Workspace

NAMES = {"Latin-1": b"caf\xe9", "half a character": b"x\xed\xa0\xbd", "cut": b"\xf0\x9f\x90"}


@pytest.fixture(scope="module", params=NAMES)
def workspace(request, tmp_path_factory) -> Workspace:
    """A workspace with a good run, one in a folder of that name, and pictures in another."""
    root, name = tmp_path_factory.mktemp("workspace"), os.fsdecode(NAMES[request.param])
    save_run(small_pretrained(), root / "runs" / "good")
    shutil.copytree(root / "runs" / "good", root / "runs" / name)
    record = json.loads((root / "runs" / "good" / "config.json").read_text())
    (root / "runs" / "good" / "config.json").write_text(json.dumps({**record, "source": "data/caf\udce9"}))
    (root / name).mkdir()
    (root / name / "a.tar").touch()
    (root / name / "a.safetensors").touch()
    return Workspace(root)


def odd_run(workspace: Workspace) -> Path:
    """The run with the odd name."""
    (path,) = (path for path in workspace.runs.iterdir() if path.name != "good")
    return path


def test_a_model_opens_and_paints_into_such_names(workspace, capsys):
    run = odd_run(workspace)
    assert load_pretrained(run).model_id == load_pretrained(workspace.runs / "good").model_id
    out = workspace.root / f"{run.name}.png"
    arguments = ["--prompt", "a red circle", "--steps", "2", "--out", str(out), "--overwrite"]
    assert main(["decode", "--model", str(run), *arguments]) == 0
    assert str(run) in read_about(out)["model"]
    assert capsys.readouterr().err.isascii()


def test_pages_list_what_they_can_show(workspace):
    assert [run.path.name for run in list_runs(workspace.runs)] == ["good"]
    assert list_sources(workspace) == ["shapes", "emoji"]
    assert all("good" in str(found.path) for found in find_checkpoints(workspace.root))


@pytest.mark.parametrize("name", ["runs", "train", "decode", "data", "checkpoints", "home", "evaluate"])
def test_pages_open_next_to_such_names(workspace, name, monkeypatch):
    monkeypatch.setenv("DREAM_WORKSPACE", str(workspace.root))
    app = page_of("" if name == "home" else name).run()
    assert not app.exception and not app.error


def test_halves_inside_a_runs_record_are_shown_without_them(workspace):
    record, problem = record_or_problem(workspace.runs / "good")
    assert record["source"] == "data/caf?" and not problem
