"""`--resume auto` and a budget for the whole: one command that starts a run, goes on with it, or finds it finished."""

import functools
import json
import operator
import os
import shutil
import signal
from pathlib import Path

import pytest

from dream.__main__ import main
from dream.errors import InputError
from dream.training import budget, run_log
from dream.training.checkpoint import latest_checkpoint, read_state
from dream.training.request import TrainRequest, check_train_request
from tests.dream.training.test_resume import same, steps_of, stop_after
from tests.dream.training.training_small import run_training, settings, small_config


def again(out, total_steps, **request):
    """What a requeued job does each time."""
    return run_training(out, small_config(), resume=True, auto=True, total_steps=total_steps, **request)


def test_one_request_starts_goes_on_and_finds_nothing_left(tmp_path, monkeypatch):
    run_training(tmp_path / "whole", small_config(steps=9))
    stop_after(monkeypatch, 4)
    assert again(tmp_path / "run", 9).step == 5
    monkeypatch.undo()
    assert again(tmp_path / "run", 9).step == 9
    assert same(tmp_path / "whole", tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    result = again(tmp_path / "run", 9)
    assert (result.step, result.end, result.stopped_by) == (9, 9, None)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert [event["event"] for event in run_log.read_record(tmp_path / "run")["history"]].count("resumed") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("legs", 4),
        ("legs", ["4"]),
        ("source", None),
        ("start_from", 7),
        ("config", []),
        ("config.train.batch_size", 10**400),
    ],
)
def test_a_record_of_other_types_is_refused_and_stays(tmp_path, name, value):
    again(tmp_path / "run", 4)
    path = tmp_path / "run" / "config.json"
    tree = json.loads(path.read_text())
    *sections, last = name.split(".")
    functools.reduce(operator.getitem, sections, tree)[last] = value
    path.write_text(content := json.dumps(tree))
    with pytest.raises(InputError):
        check_train_request(TrainRequest(out=tmp_path / "run", resume=True, steps=1))
    assert path.read_text() == content


def test_a_record_without_its_source_asks_for_it(tmp_path):
    again(tmp_path / "run", 4)
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "source"}))
    with pytest.raises(InputError, match="give --data"):
        check_train_request(TrainRequest(out=tmp_path / "run", resume=True, steps=1))


def test_a_larger_total_extends_and_a_smaller_one_ends_early(tmp_path):
    assert again(tmp_path / "run", 4).step == 4
    assert again(tmp_path / "run", 6).step == 6
    assert run_log.read_record(tmp_path / "run")["legs"] == [4, 6]
    assert again(tmp_path / "run", 5).step == 6  # already there
    with pytest.raises(InputError, match="finished at step 6"):
        run_training(tmp_path / "run", resume=True, total_steps=5)


def test_a_run_that_logged_nothing_and_has_no_checkpoint_starts_again(tmp_path):
    again(tmp_path / "whole", 4)
    again(tmp_path / "run", 4)
    shutil.rmtree(tmp_path / "run/checkpoints")
    (tmp_path / "run/metrics.jsonl").unlink()
    again(tmp_path / "run", 4)
    assert same(tmp_path / "whole", tmp_path / "run") and steps_of(tmp_path / "run") == [2, 4]


@pytest.mark.parametrize("lost", ["folder", "states", "newest state", "no folder"])
def test_checkpoints_that_cannot_be_seen_are_a_refusal_and_nothing_is_touched(tmp_path, lost):
    run = tmp_path / "run"
    run_training(run, small_config(steps=4, save_every=1e-9))
    folders = sorted((run / "checkpoints").iterdir())
    if lost == "folder":
        shutil.rmtree(run / "checkpoints")
    elif lost == "no folder":
        shutil.rmtree(run / "checkpoints")
        (run / "checkpoints").write_text("a file, which cannot be listed")
    else:
        for folder in folders if lost == "states" else folders[-1:]:
            (folder / "state.json").unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    says = {"folder": "4 steps.*gone", "no folder": "cannot be listed", "states": "lost its state.json.*--overwrite"}
    with pytest.raises(InputError, match=says.get(lost, f"lost its state.json.*--resume {folders[-2].name}")):
        again(run, 6)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    if lost == "newest state":
        assert run_training(run, resume=True, checkpoint=folders[-2].name, total_steps=6).step == 6


def test_overwriting_moves_a_run_aside_before_it_deletes_any_of_it(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run_training(run, small_config(steps=2))
    (run / "own.txt").write_text("of the user")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    rename, failing = Path.rename, "metrics.jsonl"

    def refuses(path, target):
        if path.name == failing and ".replaced-" in str(target):
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuses)
    with pytest.raises(InputError, match=r"cannot be replaced \(Permission denied.*as it was"):
        run_log.delete_run(run)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    failing = "nothing"
    run_log.delete_run(run)
    assert [path.name for path in run.iterdir()] == ["own.txt"]


def test_leftovers_of_a_killed_process_are_swept_at_the_next_start(tmp_path):
    run_training(tmp_path / "run", small_config(steps=2))
    (tmp_path / "run/checkpoints/.step-00000009-ab.writing").mkdir()
    for place in (".config.json.ab.writing", "checkpoints/.step-00000009-ab.writing/model.safetensors"):
        (tmp_path / "run" / place).write_text("half")
    again(tmp_path / "run", 3)
    assert [path for path in (tmp_path / "run").rglob("*") if path.name.endswith(".writing")] == []


def test_total_minutes_are_planned_once(tmp_path, monkeypatch):
    cost = budget.StepCost(budget.PROGRESS_POINTS, (1.0,) * 5)
    monkeypatch.setattr(budget, "measure_steps", lambda *args: cost)
    request = {"resume": True, "auto": True, "total_minutes": 0.5}
    stop_after(monkeypatch, 2)
    first = run_training(tmp_path / "run", small_config(steps=None, minutes=9.0), **request)
    monkeypatch.undo()
    assert first.step == 3 and 20 < first.end <= 30
    record = run_log.read_record(tmp_path / "run")
    assert record["config"]["train"]["minutes"] == 0.5 and record["legs"] == [first.end]
    assert run_training(tmp_path / "run", small_config(steps=None, minutes=9.0), **request).step == first.end
    with pytest.raises(InputError, match="planned to end at step .*--total-minutes 0.7"):
        run_training(tmp_path / "run", resume=True, auto=True, total_minutes=0.7)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"steps": 5}, "added each time: say the whole with --total-steps"),
        ({"minutes": 5.0}, "say the whole with --total-minutes"),
        ({"total_steps": 5, "total_minutes": 2.0}, "--total-minutes or --total-steps, not both"),
        ({"total_steps": 0}, "--total-steps must be at least 1"),
        ({"total_minutes": float("inf")}, "--total-minutes must be a finite number"),
    ],
)
def test_what_would_add_up_is_refused(tmp_path, request_, message):
    with pytest.raises(InputError, match=message):
        check_train_request(TrainRequest(tmp_path, "shapes", small_config(), resume=True, auto=True, **request_))


def test_the_command_says_the_same_each_time(tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    line = [
        "train",
        "--preset",
        "tiny",
        "--data",
        "shapes",
        "--out",
        str(out),
        "--accelerator",
        "cpu",
        "--devices",
        "1",
    ]
    line += ["--resume", "auto", "--total-steps", "3", *settings(small_config())]
    for _ in range(2):
        assert main(line) == 0
        assert "trained to step 3" in capsys.readouterr().out
    assert main([*line[:-1], "train.seed=5"]) == 2
    assert "train.seed" in capsys.readouterr().err
    assert "--total-steps" in _help(capsys) and "--resume" in _help(capsys)


def _help(capsys) -> str:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    return capsys.readouterr().out


def test_a_start_from_a_model_counts_only_where_nothing_is_yet(tmp_path, monkeypatch, capsys):
    run_training(tmp_path / "model", small_config(steps=2))
    line = ["train", "--data", "shapes", "--out", str(tmp_path / "run"), "--accelerator", "cpu", "--devices", "1"]
    line += ["--start-from", str(tmp_path / "model"), "--resume", "auto"]
    assert main([*line, "--total-steps", "2"]) == 0, capsys.readouterr().err
    assert run_log.read_record(tmp_path / "run")["start_from"]
    assert main([*line, "--total-steps", "3"]) == 0, capsys.readouterr().err
    assert read_state(latest_checkpoint(tmp_path / "run")).step == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_while_steps_are_measured_stops_without_a_plan(tmp_path, monkeypatch, number):
    def measuring(take_step, seconds, agree):
        os.kill(os.getpid(), number)
        assert agree(True)

    monkeypatch.setattr(budget, "measure_steps", measuring)
    result = run_training(tmp_path / "run", small_config(steps=None, minutes=1.0))
    beat = run_log.read_heartbeat(tmp_path / "run")
    assert result.stopped_by == number and beat is not None and beat.status == "stopped"
    assert run_log.read_record(tmp_path / "run")["legs"] is None
    monkeypatch.undo()
    assert run_training(tmp_path / "run", resume=True, auto=True, total_steps=2).step == 2
