"""Work in pieces: the same for any number of ranks, made once, and gone on with after a kill."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from dream.errors import InputError
from dream.evaluation import pieces
from dream.evaluation.pieces import FOLDER, EvaluationRank, in_pieces, kept_pieces
from dream.evaluation.results import read_results
from tests.dream.training.test_launch_lines import finish, free_port, shell
from tests.dream.training.training_small import run_training, small_config

ONCE = "dream evaluate --model run --tasks {tasks} --out {out} {sets}"
SETS = {
    "prompts": "prompts.count=10 prompts.candidates=2",
    "generation": "generation.count=12 generation.batch=4",
    "choosing": "choosing.count=8 choosing.candidates=2 choosing.alternatives=4 choosing.scores=cosine",
    "inpainting": "inpainting.pictures=6 inpainting.batch_size=2",
    "headroom": "headroom.count=4 headroom.candidates=2 headroom.halves=1",
    "selection": "selection.count=6 selection.candidates=2",
    "knn": "knn.train_count=600 knn.test_count=300",
    "losses": "losses.pool=16 losses.pictures=48",
    "edits": "edits.count=600",
    "zero_shot": "zero_shot.test_count=600",
    "retrieval": "retrieval.pools=4 retrieval.pool=16",
}
TIMED = ("seconds", "pictures painted a second", "cost", "time")


def doubled(made: list[int]):
    def make(item: int) -> dict[str, torch.Tensor]:
        made.append(item)
        return {"twice": torch.tensor([2 * item]), "half": torch.tensor(item / 2, dtype=torch.float64)}

    return make


def values(found) -> list[tuple[int, float]]:
    return [(int(piece["twice"]), float(piece["half"])) for piece in found]


def test_outside_of_an_evaluation_it_is_a_plain_loop():
    made: list[int] = []
    assert values(in_pieces(iter(range(3)), doubled(made))) == [(0, 0.0), (2, 0.5), (4, 1.0)] and made == [0, 1, 2]


def test_a_stopped_question_goes_on_where_it_was_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "WORTH_KEEPING", 0.0)
    made: list[int] = []

    def stops(item: int) -> dict[str, torch.Tensor]:
        if item == 2:
            raise KeyboardInterrupt
        return doubled(made)(item)

    with pytest.raises(KeyboardInterrupt), kept_pieces(tmp_path, ["a"], EvaluationRank()):
        in_pieces(range(4), stops)
    with kept_pieces(tmp_path, ["another"], EvaluationRank()):
        in_pieces(range(2), doubled([]))
    damaged = sorted((tmp_path / FOLDER).rglob("*.safetensors"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-3])
    with kept_pieces(tmp_path, ["a"], EvaluationRank()):
        assert values(in_pieces(range(4), doubled(made))) == [(2 * i, i / 2) for i in range(4)]
        assert values(in_pieces(range(2), doubled([]))) == [(0, 0.0), (2, 0.5)]  # another list of the same question
    assert made == [0, 1, 1, 2, 3] and list(tmp_path.iterdir()) == []


def test_pieces_that_are_quick_are_not_kept_and_a_refusal_leaves_none(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt), kept_pieces(tmp_path, ["a"], EvaluationRank()):
        in_pieces(range(3), doubled([]))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(pieces, "WORTH_KEEPING", 0.0)
    with pytest.raises(InputError), kept_pieces(tmp_path, ["a"], EvaluationRank()):
        in_pieces(range(3), doubled([]))
        raise InputError("no")
    assert list(tmp_path.iterdir()) == []


def test_what_makes_a_piece_may_itself_work_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "WORTH_KEEPING", 0.0)

    def outer(item: int) -> dict[str, torch.Tensor]:
        return {"sum": torch.tensor(sum(twice for twice, _ in values(in_pieces(range(item), doubled([])))))}

    with kept_pieces(tmp_path, ["a"], EvaluationRank()):
        assert [int(piece["sum"]) for piece in in_pieces(range(4), outer)] == [0, 0, 2, 6]
        assert len(list((tmp_path / FOLDER).rglob("*.safetensors"))) == 4


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a small model `run`, and what one process measures of it."""
    folder = tmp_path_factory.mktemp("place")
    run_training(folder / "run", small_config(steps=4, evaluations=1))
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return folder


def line(out: str, tasks: tuple[str, ...] = tuple(SETS)) -> str:
    sets = "--set " + " ".join(SETS[task] for task in tasks)
    return ONCE.format(tasks=",".join(tasks), out=out, sets=sets)


def ranked(text: str, world: int) -> str:
    return text.replace("dream ", f"torchrun --nproc-per-node {world} --master-port {free_port()} -m dream ", 1)


def measured(folder: Path) -> list[tuple]:
    """What was measured, but for times."""
    (path,) = folder.glob("*.json")
    return [
        (m.name, json.dumps({k: v for k, v in m.where.items() if k not in TIMED}), m.estimate)
        for entry in read_results(path).entries
        for m in entry.measures
        if not any(word in f"{m.name} {sorted(m.where)}" for word in TIMED)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 4])
def test_ranks_measure_what_one_process_does(place, world):
    if not (place / "one").exists():
        finish([shell(line("one"), place, "one")], place)
    said = finish([shell(ranked(line(f"on{world}"), world), place, f"on{world}")], place)
    one, many = measured(place / "one"), measured(place / f"on{world}")
    assert {entry.task for entry in read_results(place / "one/run.json").entries} == set(SETS)
    assert len(one) > 50 and sorted(map(repr, many)) == sorted(map(repr, one))
    assert not (place / f"on{world}" / FOLDER).exists() and "Traceback" not in said


@pytest.mark.slow
def test_an_evaluation_that_is_killed_goes_on_and_ends_with_the_same(place):
    many = "prompts.count=600 prompts.steps=16"
    wanted = line("killed", ("prompts",)).replace(SETS["prompts"], many)
    process, deadline = shell(ranked(wanted, 2), place, "killed"), time.monotonic() + 300
    while len(list((place / "killed").rglob("*.safetensors"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = {path: path.stat().st_mtime_ns for path in (place / "killed").rglob("*.safetensors")}
    assert left and not (place / "killed/run.json").exists()
    finish([shell(ranked(wanted, 2), place, "killed")], place)
    finish([shell(wanted.replace("--out killed", "--out whole"), place, "whole")], place)
    assert measured(place / "killed") == measured(place / "whole") and not (place / "killed" / FOLDER).exists()
