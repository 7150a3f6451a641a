"""Going on equals not having stopped, to the bit, however the run ended."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dream.errors import InputError
from dream.files import WRITING
from dream.overrides import override
from dream.training import run_log
from dream.training.checkpoint import checkpoint_folder, list_checkpoints, read_state
from tests.dream.training.training_small import (
    command,
    run_training,
    settings,
    small_config,
    start,
    weights,
    write_pictures,
)


def same(a: Path, b: Path) -> bool:
    """Whether weights, averages and moments of two runs are equal to the bit."""
    for name in ("model", "ema", "optimizer"):
        ours, theirs = weights(a, name), weights(b, name)
        if ours.keys() != theirs.keys() or not all(torch.equal(ours[key], theirs[key]) for key in ours):
            return False
    return True


def steps_of(run: Path) -> list[int]:
    return [row["step"] for row in run_log.read_metrics(run, "train")]


def test_stopping_and_going_on_is_not_having_stopped(tmp_path, monkeypatch):
    run_training(tmp_path / "whole", small_config(steps=9))
    stop_after(monkeypatch, 4)
    assert run_training(tmp_path / "parts", small_config(steps=9)).step == 5
    monkeypatch.undo()
    assert run_training(tmp_path / "parts", resume=True).step == 9
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert steps_of(tmp_path / "parts") == [2, 4, 5, 6, 8, 9]


def stop_after(monkeypatch, step):
    """Sends SIGTERM in the step after `step`."""
    from dream.training import loop

    whole_step = loop.apply_step

    def stopping(run, number, factor):
        whole_step(run, number, factor)
        if number == step - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop, "apply_step", stopping)


def test_a_stored_source_goes_on_in_mid_epoch(tmp_path, monkeypatch):
    pictures = str(write_pictures(tmp_path / "pictures", 90))
    config = small_config(
        steps=9
    )  # 16 of 68 pictures a step: the stop falls into the first epoch, the end into the third
    from dream.training.loop import train
    from dream.training.request import TrainRequest

    def run(name, **request):
        return train(TrainRequest(out=tmp_path / name, source=pictures, accelerator="cpu", devices="1", **request))

    run("whole", config=config)
    stop_after(monkeypatch, 2)
    assert run("parts", config=config).step == 3
    monkeypatch.undo()
    run("parts", resume=True)
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_rows_after_the_checkpoint_are_trained_again_and_told_once(tmp_path):
    run_training(tmp_path / "run", small_config(steps=6))
    reference = run_log.read_metrics(tmp_path / "run", "train")
    shutil.rmtree(checkpoint_folder(tmp_path / "run", 6))
    run_training(tmp_path / "run", resume=True)
    rows = run_log.read_metrics(tmp_path / "run", "train")
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert [row["loss"] for row in rows] == [row["loss"] for row in reference]


def test_a_run_without_a_checkpoint_starts_again_and_comes_out_the_same(tmp_path):
    run_training(tmp_path / "whole", small_config(steps=4))
    run_training(tmp_path / "killed", small_config(steps=4))
    shutil.rmtree(tmp_path / "killed/checkpoints")
    (tmp_path / "killed/metrics.jsonl").unlink()
    run_training(tmp_path / "killed", resume=True)
    assert same(tmp_path / "whole", tmp_path / "killed")
    assert steps_of(tmp_path / "killed") == [2, 4]


def test_a_run_killed_while_it_was_measuring_takes_a_budget(tmp_path):
    run_training(tmp_path / "run", small_config(steps=4))
    log = run_log.RunLog(tmp_path / "run")
    record = run_log.read_record(tmp_path / "run")
    record["config"]["train"]["steps"], record["config"]["train"]["minutes"] = None, 60.0
    log.record({**record, "legs": None})
    shutil.rmtree(tmp_path / "run/checkpoints")
    (tmp_path / "run/metrics.jsonl").unlink()
    assert run_training(tmp_path / "run", resume=True, steps=5).end == 5


def test_steps_go_on_for_so_many_more_with_the_schedule_at_its_end(tmp_path):
    run_training(tmp_path / "run", small_config(steps=6))
    result = run_training(tmp_path / "run", resume=True, steps=4)
    assert (result.step, result.end) == (10, 10)
    assert run_log.read_record(tmp_path / "run")["legs"] == [6, 10]
    rows = run_log.read_metrics(tmp_path / "run", "train")
    assert [row["progress"] for row in rows[-2:]] == [1.0, 1.0]
    assert rows[-1]["lr_factor"] < rows[-2]["lr_factor"] <= 0.5


def test_fewer_steps_than_planned_leave_the_schedule_as_it_was(tmp_path, monkeypatch):
    run_training(tmp_path / "whole", small_config(steps=9))
    stop_after(monkeypatch, 2)
    run_training(tmp_path / "parts", small_config(steps=9))
    monkeypatch.undo()
    assert run_training(tmp_path / "parts", resume=True, steps=3).step == 6
    assert run_training(tmp_path / "parts", resume=True).step == 9
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_an_extension_that_is_stopped_goes_on_exactly(tmp_path, monkeypatch):
    for name in ("whole", "parts"):
        run_training(tmp_path / name, small_config(steps=4))
    run_training(tmp_path / "whole", resume=True, steps=5)
    stop_after(monkeypatch, 6)
    run_training(tmp_path / "parts", resume=True, steps=5)
    monkeypatch.undo()
    assert run_training(tmp_path / "parts", resume=True).step == 9
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_says_how_to_go_on(tmp_path):
    run_training(tmp_path / "run", small_config(steps=2))
    with pytest.raises(InputError, match="finished at step 2.*--minutes"):
        run_training(tmp_path / "run", resume=True)


def test_what_was_half_written_when_a_training_had_ended_is_swept_at_the_next_start(tmp_path):
    run_training(tmp_path / "run", small_config(steps=2))
    left = tmp_path / "run" / f".heartbeat.json.bd35da34{WRITING}"
    left.write_text("half")
    assert run_training(tmp_path / "run", resume=True, auto=True).step == 2
    assert not left.exists()


def test_going_on_from_an_earlier_checkpoint_sets_later_ones_aside(tmp_path):
    run_training(tmp_path / "run", small_config(steps=6, evaluations=3, keep_last=9))
    reference = weights(tmp_path / "run")
    path = checkpoint_folder(tmp_path / "run", 6) / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    files = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="step-00000004"):
        run_training(tmp_path / "run", resume=True, steps=1)
    assert files == {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    run_training(tmp_path / "run", resume=True, checkpoint="step-00000004")
    assert (tmp_path / "run/set-aside/step-00000006/model.safetensors").is_file()
    assert all(torch.equal(weights(tmp_path / "run")[key], reference[key]) for key in reference)
    with pytest.raises(InputError, match="no checkpoint 'step-7'; it has step-00000000"):
        run_training(tmp_path / "run", resume=True, checkpoint="step-7", steps=1)


def test_what_makes_another_training_is_refused_and_the_rest_may_change(tmp_path):
    config = small_config(steps=2)
    run_training(tmp_path / "run", config)
    for change, key in (
        ("encoder.width=64", "encoder.width"),
        ("train.seed=5", "train.seed"),
        ("train.optimizer=adamw", "train.optimizer"),
    ):
        with pytest.raises(InputError, match=key):
            run_training(tmp_path / "run", override(config, [change]), resume=True, steps=1)
    run_training(tmp_path / "run", override(config, ["train.lr=0.001"]), resume=True, steps=1)
    assert run_log.read_record(tmp_path / "run")["config"]["train"]["lr"] == 0.001
    assert read_state(list_checkpoints(tmp_path / "run")[-1]).config.train.lr == 0.001


def test_another_source_starts_from_its_beginning_and_says_so(tmp_path, capsys):
    from dream.training.loop import train
    from dream.training.request import TrainRequest

    pictures = str(write_pictures(tmp_path / "pictures", 90))
    run_training(tmp_path / "run", small_config(steps=2))
    train(TrainRequest(tmp_path / "run", pictures, resume=True, steps=1, accelerator="cpu", devices="1"))
    assert "another source" in capsys.readouterr().err
    assert run_log.read_record(tmp_path / "run")["source"] == pictures


def test_ranks_with_orders_of_their_own_begin_the_data_anew_and_say_so(tmp_path, capsys):
    run_training(tmp_path / "run", small_config(steps=2))
    path = list_checkpoints(tmp_path / "run")[-1] / "state.json"
    tree = json.loads(path.read_text())
    assert tree.pop("position") == {"batch": 2}
    path.write_text(json.dumps({**tree, "positions": [{"epoch": 1}, {"epoch": 2}]}))
    run_training(tmp_path / "run", resume=True, steps=1)
    assert "ranks had orders of their own: the data starts anew" in capsys.readouterr().err
    assert read_state(list_checkpoints(tmp_path / "run")[-1]).position == {"batch": 1}


def test_objectives_without_text_or_contrast_resume_too(tmp_path, monkeypatch):
    from dream.presets import clip, mar

    for objective in (clip, mar):
        whole, parts = tmp_path / f"whole-{objective.__name__}", tmp_path / f"parts-{objective.__name__}"
        run_training(whole, objective(small_config(steps=5)))
        stop_after(monkeypatch, 2)
        run_training(parts, objective(small_config(steps=5)))
        monkeypatch.undo()
        run_training(parts, resume=True)
        assert same(whole, parts)


@pytest.mark.slow
def test_sigkill_between_checkpoints_costs_nothing_but_time(tmp_path):
    config = replace(small_config(steps=60, log_every=1), encoder=replace(small_config().encoder, dropout=0.1))
    run_training(tmp_path / "whole", config)
    arguments = ["train", "--data", "shapes", "--out", str(tmp_path / "run"), "--accelerator", "cpu", *settings(config)]
    process = start(command(*arguments), tmp_path / "log", OMP_NUM_THREADS="1")
    try:
        wait_for(lambda: len(run_log.read_metrics(tmp_path / "run")) >= 20, process, tmp_path / "log")
    finally:
        process.kill()
        process.wait()
    assert [path.name for path in list_checkpoints(tmp_path / "run")] == ["step-00000000"]
    assert run_training(tmp_path / "run", resume=True).step == 60
    assert same(tmp_path / "whole", tmp_path / "run")
    assert steps_of(tmp_path / "run") == list(range(1, 61))


def wait_for(condition, process, log, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)
