"""Publishing: a card that says what is known, a folder that every command opens, and the hub through its own client."""

import inspect
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi

from dream.__main__ import main
from dream.errors import InputError, RunError
from dream.evaluation.results import TaskResult, add_entry
from dream.evaluation.statistics import Estimate, Measure
from dream.pretrained import SHIPPED, checkpoint_of, load_pretrained
from dream.publishing.folder import data_words
from dream.training import checkpoint
from dream.weights import hub_models as hub


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The shipped model `demo`, published with a measure and a sheet; its folder, and a foreign measure left out."""
    root = tmp_path_factory.mktemp("published")
    name = checkpoint.weights_id(SHIPPED["demo"], "model")
    measure = Measure("edits", "accuracy", {}, Estimate(0.9, 0.8, 0.95, 100, "wilson", "pairs"))
    for model_id, task in ((name, "edits"), ("other", "probe")):
        entry = TaskResult(task, "shapes", {}, {}, 0, "ema", model_id, {}, measures=(measure,), time=1.0)
        add_entry(root / "results", "demo", "demo", entry)
    arguments = ["publish", "--model", "demo", "--out", str(root / "model"), "--results", str(root / "results")]
    arguments += ["--prompt", "a red circle on a [white] background", "--dtype", "float32", "--name", "Shapes"]
    assert main(arguments) == 0
    return root


def test_the_card_names_data_licence_measures_use_and_limits(published):
    card = (published / "model" / "README.md").read_text()
    front, body = card.split("---\n", 2)[1:]
    assert 'license: "mit"' in front and 'pipeline_tag: "text-to-image"' in front
    assert body.startswith("\n# Shapes\n") and "5.8 million parameters" in body
    assert "0.900" in body and "[0.800, 0.950]" in body and "probe" not in body
    assert "![a red circle on a (white) background](sheet.png)" in body and (published / "model/sheet.png").is_file()
    assert "Drawn by this project's own program" in body and "## Intended use and limits" in body
    assert str(published) not in card


def test_the_folder_opens_as_the_same_model(published):
    ours, theirs = load_pretrained("demo").model.state_dict(), load_pretrained(published / "model").model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


class Hub:
    """A hub in a folder, called as huggingface_hub's own client."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create_repo(self, repo_id, *, repo_type=None, exist_ok=False):
        (self.root / repo_id).mkdir(parents=True, exist_ok=exist_ok)

    def upload_folder(self, *, repo_id, folder_path, commit_message=None):
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)

    def snapshot_download(self, repo_id, *, revision=None, allow_patterns=None, etag_timeout=10, max_workers=8):
        if revision or not (self.root / repo_id).is_dir():
            raise OSError(f"404: no {repo_id}")
        target = self.root / "cache" / repo_id
        for pattern in allow_patterns:
            for file in (self.root / repo_id).glob(pattern):
                place = target / file.relative_to(self.root / repo_id)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)
        return str(target)


@pytest.mark.parametrize("name", ["create_repo", "upload_folder", "snapshot_download"])
def test_the_stand_in_is_called_as_the_client_can_be(name):
    theirs = inspect.signature(getattr(HfApi, name)).parameters
    assert set(inspect.signature(getattr(Hub, name)).parameters) <= set(theirs)


def test_a_model_goes_to_the_hub_and_comes_back_by_its_name(published, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hub, "_client", lambda: Hub(tmp_path))
    (published / "model" / "evil.pkl").write_bytes(b"x")
    assert hub.upload(published / "model", "me/shapes") == "me/shapes"
    folder = checkpoint_of(Path("hf:me/shapes"))
    assert folder == tmp_path / "cache/me/shapes" and not (folder / "evil.pkl").exists()
    arguments = ["--prompt", "a red circle on a white background", "--steps", "2", "--out", str(tmp_path / "x.png")]
    assert main(["decode", "--model", "hf:me/shapes", *arguments]) == 0 and (tmp_path / "x.png").is_file()
    with pytest.raises(
        InputError, match="cannot fetch the model 'hf:me/other' from the hub .404: no me/other.*--model"
    ):
        checkpoint_of(Path("hf:me/other"))
    with pytest.raises(InputError, match="is named hf:owner/name"):
        checkpoint_of(Path("hf:../etc"))
    (tmp_path / "me/empty").mkdir()
    with pytest.raises(InputError, match="is not a model of this project"):
        hub.fetch("hf:me/empty", Hub(tmp_path))


def test_where_no_hub_may_be_asked_a_model_on_it_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DREAM_LOCAL_MODELS", "1")
    with pytest.raises(InputError, match="'hf:me/shapes' is on the hub; no hub was asked.*download its folder"):
        hub.fetch("hf:me/shapes", Hub(tmp_path))


def test_a_failed_upload_says_where_the_model_is(published):
    class Closed:
        def create_repo(self, *_, **__):
            raise OSError("401 Unauthorized")

    with pytest.raises(RunError, match=r"the model is in .*401 Unauthorized.*hf auth login"):
        hub.upload(published / "model", "me/shapes", Closed())
    with pytest.raises(InputError, match="--hub must be owner/name"):
        hub.upload(published / "model", "shapes", Closed())


def test_data_of_others_need_a_word_on_their_licence():
    assert data_words("shapes", "") and "NOTICE" in data_words("emoji:train", "")
    with pytest.raises(InputError, match=r"trained on 'cc3m'.*--data-licence"):
        data_words("/home/me/cc3m", "")
    assert data_words("/home/me/cc3m", "CC BY 4.0") == "CC BY 4.0"
