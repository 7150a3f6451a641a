"""A model whose head paints in one pass trains, resumes, is exported and paints as any other."""

from dataclasses import replace

import pytest
import torch

from dream.__main__ import main
from dream.decoding.paint import paint
from dream.decoding.settings import DecodeSettings
from dream.pretrained import load_pretrained
from dream.training.checkpoint import latest_checkpoint, read_tensors
from tests.dream.training.test_resume import stop_after
from tests.dream.training.training_small import run_training, small_config


def energy(**changes):
    config = small_config(**changes)
    return replace(config, head=replace(config.head, objective="energy"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("energy") / "run"
    run_training(run, energy(steps=6))
    return run


def test_a_resumed_training_equals_one_that_never_stopped(trained, tmp_path, monkeypatch):
    stop_after(monkeypatch, 3)
    run_training(tmp_path / "run", energy(steps=6))
    monkeypatch.undo()
    run_training(tmp_path / "run", resume=True)
    whole, parts = (read_tensors(latest_checkpoint(run), "model") for run in (trained, tmp_path / "run"))
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())


def test_it_is_exported_and_paints_in_one_pass(trained, tmp_path):
    assert main(["export", "--model", str(trained), "--out", str(tmp_path / "small")]) == 0
    model = load_pretrained(tmp_path / "small")
    settings = DecodeSettings.of(model.config.decode)
    assert settings.head(model.config.head).sampling_steps == 1
    one, other = (paint(model, ["a red circle"], replace(settings, seed=seed)) for seed in (0, 1))
    assert not torch.equal(one, other)


def test_there_is_nothing_to_distil(trained, tmp_path, capsys):
    assert main(["distil", "--model", str(trained), "--out", str(tmp_path / "few"), "--data", "shapes"]) == 2
    assert "one step already" in capsys.readouterr().err
