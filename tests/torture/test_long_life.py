"""What earlier versions wrote opens for ever: one packed workspace per version of the formats."""

import tarfile
from pathlib import Path

import pytest

from dream.decoding.record import load_record
from dream.evaluation.results import read_folder
from dream.pretrained import load_pretrained
from dream.training import run_log
from dream.training.checkpoint import latest_checkpoint
from tests.dream.training.training_small import run_training
from tests.torture.make_golden import GOLDEN, PROMPT
from workbench.checkpoints.files import open_checkpoint
from workbench.decode.export import decode_json
from workbench.decode.player_data import player_data
from workbench.runs.feed import RunFeed
from workbench.runs.notes import Note, read_note
from workbench.runs.trainings import list_trainings
from workbench.store import count_damaged, list_stored
from workbench.workspace import Workspace


@pytest.fixture(params=sorted(GOLDEN.glob("*.tar.xz")), ids=lambda path: path.name.removesuffix(".tar.xz"))
def workspace(request, tmp_path) -> Workspace:
    assert request.param.stat().st_size < 300_000
    with tarfile.open(request.param) as tar:
        tar.extractall(tmp_path, filter="data")
    return Workspace(tmp_path / "workspace")


def test_a_run_of_an_earlier_version_is_listed_opened_and_goes_on(workspace):
    run = workspace.runs / "small"
    (training,) = list_trainings(workspace)
    assert (training.state, training.run.step) == ("finished", 4)
    assert list(RunFeed(run).curves()[1].steps) == [2, 4]
    assert [row["step"] for row in run_log.read_metrics(run, "validation")] == [0, 4]
    assert load_pretrained(run).step == 4
    assert open_checkpoint(latest_checkpoint(run)).problems == ()
    assert run_training(run, resume=True, total_steps=6).step == 6


def test_decodes_results_and_notes_of_an_earlier_version_open(workspace):
    (stored,) = list_stored(workspace)
    assert stored.prompt == PROMPT and count_damaged(workspace) == 0
    assert load_record(stored.record_path).previews[3].shape == (1, 1, 3, 16, 16)
    assert player_data(stored) and decode_json(stored)
    (results,) = read_folder(workspace.results)
    assert results.name == "dream" and len(results.entries) > 5
    assert read_note(workspace, "small") == Note(("good",), "a note")


def test_each_format_is_kept_once():
    assert [path for path in Path(GOLDEN).iterdir() if not path.name.endswith(".tar.xz")] == []
