"""Exported models: the averaged weights in few bits, opened as any other model."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dream.__main__ import main
from dream.config import DreamConfig
from dream.data.emoji.packages import NOTICE_FILE
from dream.errors import InputError
from dream.overrides import override
from dream.presets import preset
from dream.pretrained import SHIPPED, checkpoint_of, load_pretrained
from dream.training.loop import train
from dream.training.request import TrainRequest
from tests.dream.training.training_small import run_training, small_config, write_pictures

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "run"
    run_training(folder, small_config(steps=3))
    return folder


def test_an_exported_model_is_the_averaged_one_rounded(run, tmp_path):
    assert main(["export", "--model", str(run), "--out", str(tmp_path / "small")]) == 0
    whole, small = load_pretrained(run), load_pretrained(tmp_path / "small")
    assert small.config == whole.config and small.step == 3
    for name, tensor in whole.model.state_dict().items():
        stored = small.model.state_dict()[name]
        wanted = tensor.bfloat16().float() if tensor.is_floating_point() and tensor.ndim else tensor
        assert torch.equal(stored, wanted), name


def test_in_float32_it_is_the_same_model_in_a_third_of_the_bytes_of_a_checkpoint(run, tmp_path):
    assert main(["export", "--model", str(run), "--out", str(tmp_path / "m"), "--dtype", "float32"]) == 0
    whole, small = load_pretrained(run), load_pretrained(tmp_path / "m")
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), small.model.parameters(), strict=True))
    stored, kept = (
        sum(f.stat().st_size for f in folder.glob("*.safetensors")) for folder in (checkpoint_of(run), tmp_path / "m")
    )
    assert kept < 0.4 * stored


def test_record_and_log_of_the_run_come_along(run, tmp_path):
    main(["export", "--model", str(run), "--out", str(tmp_path / "m")])
    assert json.loads((tmp_path / "m" / "recipe.json").read_text())["legs"] == [3]
    assert (tmp_path / "m" / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()


def test_an_export_does_not_say_where_its_maker_keeps_things(run, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 40)
    request = TrainRequest(
        tmp_path / "run",
        str(pictures),
        small_config(steps=1),
        start_from=checkpoint_of(run),
        accelerator="cpu",
        devices="1",
    )
    train(request)
    assert main(["export", "--model", str(tmp_path / "run"), "--out", str(tmp_path / "m")]) == 0
    told = "".join(file.read_text() for file in (tmp_path / "m").glob("*.json*"))
    assert '"source": "pictures"' in told and str(tmp_path) not in told and str(run) not in told


def test_whoever_may_read_the_maker_s_files_may_read_the_weights(run, tmp_path):
    before = os.umask(0o027)
    try:
        assert main(["export", "--model", str(run), "--out", str(tmp_path / "m")]) == 0
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "m").iterdir() if file.is_file()} == {0o640}


def test_there_are_no_raw_weights_to_ask_for(run, tmp_path):
    main(["export", "--model", str(run), "--out", str(tmp_path / "m")])
    with pytest.raises(InputError, match="averaged weights only"):
        load_pretrained(tmp_path / "m", ema=False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dtype", "int8"], "--dtype must be one of bfloat16, float16, float32, got 'int8'"),
        (["--out", "{there}"], "exists already"),
        (["--out", "{there}", "--overwrite"], "is not an exported model"),
        (["--model", "{there}"], "is neither a run"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_lost(run, tmp_path, capsys, arguments, sentence):
    there = tmp_path / "there"
    there.mkdir()
    (there / "precious.txt").write_text("kept")
    given = [a.format(there=there) for a in arguments]
    assert main(["export", "--model", str(run), "--out", str(tmp_path / "new"), *given]) == 2
    assert sentence in capsys.readouterr().err
    assert (there / "precious.txt").read_text() == "kept"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_open_by_name_and_are_small(name):
    pretrained = load_pretrained(name)
    assert (pretrained.path / "model.safetensors").stat().st_size <= 16e6
    assert pretrained.step > 0


@pytest.mark.skipif("emoji" not in SHIPPED, reason="no model of the emoji ships")
def test_the_shipped_emoji_is_what_make_emoji_trains():
    """Leg by leg, as the Makefile has them: steps, seed, and every setting."""
    recipe = (ROOT / "Makefile").read_text().partition("\nemoji: ")[2].partition("\n\n")[0].replace("\\\n", " ")
    legs = [line.split() for line in recipe.splitlines() if " dream train " in line]
    wanted = preset("emoji")
    for leg, folder in zip(legs, ("first", "second", "third", "."), strict=True):
        stored = json.loads((SHIPPED["emoji"] / folder / "recipe.json").read_text())
        config = DreamConfig.from_dict(stored["config"])
        wanted = override(wanted, leg[leg.index("--set") + 1 :])
        text = replace(wanted.text, vocab_size=config.text.vocab_size)
        assert config.model_dict() == replace(wanted, text=text).model_dict()
        assert config.joint == wanted.joint
        for name, value in stored["config"]["data"].items():  # the first leg is older than other phrasings
            assert getattr(wanted.data, name) == value
        assert config.train.steps == int(leg[leg.index("--total-steps") + 1]) and stored["source"] == "emoji"
        assert config.train.seed == (int(leg[leg.index("--seed") + 1]) if "--seed" in leg else 0)
        same = ("tune", "batch_size", "optimizer", "lr", "muon_lr", "weight_decay", "decay", "decay_start")
        assert [getattr(config.train, name) for name in same] == [getattr(wanted.train, name) for name in same]
    assert load_pretrained("emoji").config == config
    assert (config.decode, config.head) == (wanted.decode, wanted.head)
    assert (SHIPPED["emoji"] / "NOTICE").read_bytes() == NOTICE_FILE.read_bytes()


def test_the_shipped_demo_is_what_make_demo_trains():
    config = load_pretrained("demo").config
    wanted = preset("demo")
    text = replace(wanted.text, vocab_size=config.text.vocab_size)  # as many as the captions have
    assert config == replace(wanted, text=text)
    record = json.loads((SHIPPED["demo"] / "recipe.json").read_text())
    assert record["source"] == "shapes" and record["legs"] == [config.train.steps]
