"""Loggers next to a run's own files: what they get, what is missing, and that their failure ends nothing."""

import csv
import sys
import types

import pytest

from dream.__main__ import main
from dream.errors import InputError
from dream.training import run_log
from dream.training.loggers import check_loggers, flat_numbers
from tests.dream.training.training_small import run_training, small_config


def test_loggers_get_the_rows_of_the_run_and_its_settings(tmp_path, monkeypatch):
    said: list[tuple] = []
    service = types.ModuleType("trackio")
    service.init = lambda **about: said.append(("init", about))
    service.log = lambda numbers, step: said.append((step, numbers))
    service.finish = lambda: said.append(("finish",))
    service.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "trackio", service)
    out = tmp_path / "run"
    run_training(out, small_config(steps=4), loggers=("csv", "trackio"))
    rows = run_log.read_metrics(out, "train")
    (name, about), *logged, last = said
    assert name == "init" and about["config"]["masking/std"] == 0.45 and about["name"] == "run" and last == ("finish",)
    assert [step for step, _ in logged] == [row["step"] for row in rows] == [2, 4]
    assert logged[1][1]["train/generative_loss"] == rows[1]["generative_loss"]
    with next((out / "logs" / "csv").rglob("metrics.csv")).open() as file:
        table = list(csv.DictReader(file))
    assert float(table[-1]["train/generative_loss"]) == rows[-1]["generative_loss"] and table[-1]["step"] == "4"
    run_training(out, small_config(steps=4), loggers=(), overwrite=True)
    assert not (out / "logs").exists()


def test_a_logger_that_fails_ends_nothing(tmp_path, monkeypatch, capsys):
    service = types.ModuleType("wandb")

    def refuse(**_):
        raise OSError("no key")

    service.init, service.__spec__ = refuse, types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "wandb", service)
    result = run_training(tmp_path / "run", small_config(steps=2), loggers=("wandb",))
    assert result.step == 2 and "the logger wandb failed and is left out (no key)" in capsys.readouterr().err


def test_a_logger_that_is_not_there_is_said_before_anything_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = ["train", "--preset", "tiny", "--data", "shapes", "--steps", "1", "--out", str(tmp_path / "run")]
    assert main([*arguments, "--log", "csv,tensorboard"]) == 2
    assert "--log tensorboard needs the package tensorboard: pip install tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="unknown logger 'tensorbord'; did you mean 'tensorboard'"):
        check_loggers(["tensorbord"])


def test_only_numbers_are_logged():
    tree = {"loss": 1.5, "by_ratio": {"0.25": 2.0}, "ratios": [0.1], "name": "x", "none": None, "flag": True}
    assert dict(flat_numbers(tree, "train/")) == {"train/loss": 1.5, "train/by_ratio/0.25": 2.0}


def test_tensorboard_reads_what_its_logger_wrote(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    run_training(out, small_config(steps=4), loggers=("tensorboard",))
    events = EventAccumulator(str(out / "logs" / "tensorboard"))
    events.Reload()
    rows = run_log.read_metrics(out, "train")
    for name in ("generative_loss", "lr"):
        scalars = events.Scalars(f"train/{name}")
        assert [scalar.step for scalar in scalars] == [row["step"] for row in rows]
        assert [scalar.value for scalar in scalars] == pytest.approx([row[name] for row in rows])
