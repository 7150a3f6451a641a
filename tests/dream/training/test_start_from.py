"""A training that starts from a model begins with that model's averaged weights, vocabulary and settings."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from dream.__main__ import main
from dream.decoding.paint import paint
from dream.decoding.settings import DecodeSettings
from dream.pretrained import load_pretrained
from dream.training import run_log
from dream.training.checkpoint import averaged_weights, checkpoint_folder, latest_checkpoint, read_state
from tests.dream.training.training_small import run_training, small_config, write_pictures


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> Path:
    """A run of three steps, whose averages differ from its weights."""
    out = tmp_path_factory.mktemp("runs") / "parent"
    run_training(out, small_config(steps=3))
    return out


def go_on(out: Path, model: Path, *more: str) -> int:
    """`dream train --start-from MODEL` for two steps on a single CPU."""
    options = ["--out", str(out), "--start-from", str(model), "--accelerator", "cpu", "--devices", "1"]
    return main(["train", *options, *more])


def test_it_begins_with_the_averaged_weights_and_the_words_of_the_model(parent, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 40)
    assert go_on(tmp_path / "child", parent, "--data", str(pictures), "--steps", "2") == 0
    first = averaged_weights(checkpoint_folder(tmp_path / "child", 0))
    before = averaged_weights(latest_checkpoint(parent))
    assert all(torch.equal(first[name], before[name]) for name in before)
    words = "tokenizer/tokenizer.json"
    assert (tmp_path / "child" / words).read_bytes() == (parent / words).read_bytes()


def test_it_keeps_the_settings_and_begins_where_the_warm_up_ended(parent, tmp_path):
    assert go_on(tmp_path / "child", parent, "--data", "shapes", "--steps", "2", "--set", "train.lr=1e-4") == 0
    theirs, ours = (
        read_state(latest_checkpoint(parent)).config,
        read_state(latest_checkpoint(tmp_path / "child")).config,
    )
    assert ours.model_dict() == theirs.model_dict()
    assert ours.masking.center_start == theirs.masking.center_end
    assert ours.train.lr == 1e-4
    assert run_log.read_record(tmp_path / "child")["start_from"] == str(latest_checkpoint(parent))


def test_tuning_the_joint_space_leaves_everything_else_to_the_bit(parent, tmp_path):
    child = tmp_path / "child"
    assert go_on(child, parent, "--data", "shapes", "--steps", "2", "--set", "train.tune=joint") == 0
    before, after = averaged_weights(latest_checkpoint(parent)), averaged_weights(latest_checkpoint(child))
    parts = ("joint.", "text_tower.", "logit_scale")
    moved = {name for name in before if not torch.equal(after[name], before[name])}
    assert moved and all(name.startswith(parts) for name in moved)
    assert {part for part in parts if any(name.startswith(part) for name in moved)} == set(parts)
    prompts, settings = ["a red circle"], DecodeSettings(steps=2)
    pictures = [paint(load_pretrained(folder), prompts, settings) for folder in (parent, child)]
    assert torch.equal(*pictures)


def test_a_joint_space_of_another_size_is_drawn_anew_and_said(parent, tmp_path, capsys):
    child = tmp_path / "child"
    settings = ("train.tune=joint", "text.width=48")
    assert go_on(child, parent, "--data", "shapes", "--steps", "1", "--set", *settings) == 0
    assert "the text tower begins anew: the settings ask for another size" in capsys.readouterr().err
    before, after = averaged_weights(latest_checkpoint(parent)), averaged_weights(checkpoint_folder(child, 0))
    assert before.keys() == after.keys()
    assert {name.split(".")[0] for name in before if not torch.equal(after[name], before[name])} == {"text_tower"}
    assert go_on(tmp_path / "next", child, "--data", "shapes", "--steps", "1") == 0
    assert read_state(latest_checkpoint(tmp_path / "next")).config.train.tune == "all"


@pytest.mark.parametrize("more", [(), ("--set", "text.width=48")], ids=["all of it", "another text tower"])
def test_one_that_was_killed_before_its_first_checkpoint_starts_from_the_model_again(parent, tmp_path, more):
    child = tmp_path / "child"
    assert go_on(child, parent, "--data", "shapes", "--steps", "2", *more) == 0
    weights = averaged_weights(latest_checkpoint(child))
    shutil.rmtree(child / "checkpoints")
    (child / "metrics.jsonl").unlink()
    assert main(["train", "--out", str(child), "--resume", "--accelerator", "cpu", "--devices", "1"]) == 0
    again = averaged_weights(latest_checkpoint(child))
    assert all(torch.equal(again[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--preset", "tiny"], "leave out --preset"),
        (["--resume"], "not both"),
        (["--set", "encoder.width=64"], "encoder.width"),
        (["--set", "text.context_length=9"], "text.context_length"),
        (["--set", "train.tune=joint", "objective.contrastive_weight=0"], "train.tune=joint needs"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence_and_nothing_is_written(parent, tmp_path, capsys, more, words):
    assert go_on(tmp_path / "child", parent, "--data", "shapes", "--steps", "1", *more) != 0
    assert words in capsys.readouterr().err
    assert not (tmp_path / "child").exists()


def test_an_exported_model_can_be_started_from(parent, tmp_path):
    exported = tmp_path / "exported"
    assert main(["export", "--model", str(parent), "--out", str(exported)]) == 0
    assert go_on(tmp_path / "child", exported, "--data", "shapes", "--steps", "1") == 0
    assert json.loads((tmp_path / "child" / "config.json").read_text())["preset"] == "custom"
