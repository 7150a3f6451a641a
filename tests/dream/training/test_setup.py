"""What a training says of its data at its start, and keeps of them in its record."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dream.config import DreamConfig
from dream.console import Console
from dream.errors import InputError
from dream.presets import tiny
from dream.training.request import TrainingStart, TrainRequest
from dream.training.setup import data_facts
from tests.dream.training.training_small import run_training, small_config, write_pictures

CONFIG = tiny()
FACTS = {"train": {"shards": 3, "rows": 24, "names": "a"}}


def said(
    folder: Path, source: Any, *, config: DreamConfig = CONFIG, resume: bool = False
) -> tuple[str, dict[str, Any]]:
    out = io.StringIO()
    start = TrainingStart(config, "d", resumed=resume)
    facts = data_facts(source, TrainRequest(folder), start, Console(True, out))
    return out.getvalue(), facts


def source(facts: dict[str, Any] = FACTS, fault: str = "", notes: tuple[str, ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(name="d", facts=lambda: facts, contrast_fault=fault, notes=notes)


def test_data_without_contrast_are_said_to_be_so_if_the_objective_asks_for_it(tmp_path: Path) -> None:
    without = replace(CONFIG, objective=replace(CONFIG.objective, contrastive_weight=0.0))
    assert said(tmp_path, source(fault="all equal"))[0] == "d: all equal\n"
    assert said(tmp_path, source(fault="all equal"), config=without)[0] == ""
    assert said(tmp_path, source(notes=("no validation",)))[0] == "no validation\n"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"source": "d", "data": FACTS}, ""),
        ({"source": "d"}, ""),  # of a version that kept nothing
        ({"source": "other", "data": {}}, ""),
        ({"source": "d", "data": {"train": {**FACTS["train"], "rows": 30}}}, "train has 24 samples (before: 30)"),
        ({"source": "d", "data": {"train": {**FACTS["train"], "shards": 4}}}, "train has 3 shards (before: 4)"),
        ({"source": "d", "data": [1]}, ""),
    ],
)
def test_a_resumed_run_says_in_one_line_how_its_data_changed(
    tmp_path: Path, record: dict[str, Any], message: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"config": {}, **record}))
    text, facts = said(tmp_path, source(), resume=True)
    assert message in text and text.count("\n") == bool(message)
    assert facts == {"data": FACTS, **({"data_changed": message} if message else {})}


def test_epochs_become_steps_by_the_number_of_samples(tmp_path):
    config = replace(
        small_config(batch_size=8), train=replace(small_config().train, batch_size=8, steps=None, epochs=1.5)
    )
    source = str(write_pictures(tmp_path / "pictures", 24))
    result = run_training(tmp_path / "run", config, source=source)
    held_out = 6  # a quarter of a small source
    assert result.step == result.end == math.ceil(1.5 * (24 - held_out) / 8)
    with pytest.raises(InputError, match="'shapes' has no end"):
        run_training(tmp_path / "shapes", config)
    assert not (tmp_path / "shapes").exists()
