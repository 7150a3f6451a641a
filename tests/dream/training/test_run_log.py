"""What a run leaves on disk: what is written is read back, and nothing half written is believed."""

import json
import math
import os
import subprocess
import sys
import time

import pytest

from dream.errors import InputError
from dream.training import live_tensors, run_log
from dream.training.run_log import RunLog
from tests.dream.training.training_small import run_training, small_config


def test_rows_come_back_in_order_and_by_kind(tmp_path):
    log = RunLog(tmp_path)
    log.row("train", 1, loss=0.5, mask_ratios=[0.1, 0.2])
    log.row("validation", 1, loss=0.4)
    log.row("train", 2, loss=0.3)
    assert [row["step"] for row in run_log.read_metrics(tmp_path)] == [1, 1, 2]
    assert [row["loss"] for row in run_log.read_metrics(tmp_path, "train")] == [0.5, 0.3]
    assert run_log.read_metrics(tmp_path)[0]["mask_ratios"] == [0.1, 0.2]


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    RunLog(tmp_path).row("train", 1, loss=math.nan, by={"0.5": [math.inf, 1.0]})
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    row = run_log.read_metrics(tmp_path)[0]
    assert row["loss"] is None and row["by"] == {"0.5": [None, 1.0]}


def test_a_line_that_was_cut_off_is_not_read_and_goes_on_resume(tmp_path):
    log = RunLog(tmp_path)
    for step in (2, 4, 6):
        log.row("train", step)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    assert [row["step"] for row in run_log.read_metrics(tmp_path)] == [2, 4, 6]
    log.set_aside_rows_after(4)
    log.row("train", 5)
    assert [row["step"] for row in run_log.read_metrics(tmp_path)] == [2, 4, 5]


def test_a_damaged_line_in_the_middle_hides_no_other_and_stays(tmp_path):
    log, path = RunLog(tmp_path), tmp_path / "metrics.jsonl"
    for step in (2, 4, 6):
        log.row("train", step)
    lines = path.read_bytes().split(b"\n")
    for damage in (b"{}", b"null", b"[" * 100_000, b"\xff\xfe", b'{"kind": "train", "step": "4"}'):
        path.write_bytes(b"\n".join([lines[0], damage, *lines[1:]]))
        assert [row["step"] for row in run_log.read_metrics(tmp_path)] == [2, 4, 6]
    assert log.set_aside_rows_after(6) == 1
    assert len(path.read_bytes().splitlines()) == 4


def test_rows_of_steps_that_are_trained_again_are_moved_not_lost(tmp_path):
    log = RunLog(tmp_path)
    for step in (2, 4, 6, 8):
        log.row("train", step)
    before = (tmp_path / "metrics.jsonl").read_bytes().splitlines()
    log.set_aside_rows_after(4)
    log.row("train", 6)
    log.set_aside_rows_after(4)
    aside = (tmp_path / "set-aside" / "metrics.jsonl").read_bytes().splitlines()
    assert aside[:2] == before[2:] and len(aside) == 3
    assert (tmp_path / "metrics.jsonl").read_bytes().splitlines() == before[:2]


def test_no_rows_before_the_first(tmp_path):
    RunLog(tmp_path).set_aside_rows_after(3)
    assert run_log.read_metrics(tmp_path) == []


def test_the_record_keeps_a_history(tmp_path):
    log = RunLog(tmp_path)
    log.record({"config": {}, "history": []})
    log.event("resumed", step=3)
    assert run_log.holds_run(tmp_path)
    assert [(event["event"], event["step"]) for event in run_log.read_record(tmp_path)["history"]] == [("resumed", 3)]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_folder_without_a_sound_record_is_no_run(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        run_log.read_record(tmp_path)


def test_other_ranks_write_their_data_report_only(tmp_path):
    log = RunLog(tmp_path, rank=1)
    log.row("train", 1)
    log.heartbeat("running", 1, 2)
    log.record({})
    log.report({"problems": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["report-rank1.json"]
    assert json.loads((tmp_path / "report-rank1.json").read_text()) == {"problems": 2}


def test_a_heartbeat_tells_the_living_from_the_dead(tmp_path):
    log = RunLog(tmp_path)
    assert not run_log.is_training(run_log.read_heartbeat(tmp_path))
    log.heartbeat("running", 5, 10, 3.0)
    beat = run_log.read_heartbeat(tmp_path)
    assert beat is not None and (beat.pid, beat.step, beat.end, beat.seconds_left) == (os.getpid(), 5, 10, 3.0)
    assert run_log.is_training(beat)
    log.heartbeat("finished", 10, 10)
    assert not run_log.is_training(run_log.read_heartbeat(tmp_path))


def test_a_process_that_died_or_whose_number_was_given_anew_is_not_alive(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    for pid, started in ((int(ended.stdout), "1"), (os.getpid(), "1")):
        beat = run_log.Heartbeat(pid, started, "running", 1, 2, None, 0.0)
        assert not run_log.is_training(beat)


def test_a_damaged_heartbeat_is_none(tmp_path):
    (tmp_path / "heartbeat.json").write_text('{"pid": 3}')
    assert run_log.read_heartbeat(tmp_path) is None


def test_overwriting_deletes_what_a_run_owns_and_nothing_else(tmp_path):
    for name in (*run_log.CONTENTS, "report-rank1.json", "notes.txt"):
        path = tmp_path / name
        if path.suffix:
            path.write_text("{}")
        else:
            (path / "inside").mkdir(parents=True)
    run_log.delete_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_versions_name_what_is_installed():
    found = run_log.versions()
    assert {"python", "torch", "numpy", "safetensors"} <= found.keys()
    assert all(found.values())


def test_a_slow_checkpoint_makes_the_next_ones_rarer_and_that_is_said(tmp_path, monkeypatch, capsys):
    real = live_tensors.save_checkpoint

    def slow(*arguments):
        time.sleep(0.3)
        return real(*arguments)

    monkeypatch.setattr(live_tensors, "save_checkpoint", slow)
    run_training(tmp_path / "run", small_config(steps=12, save_every=0.001))  # every 60 ms, if saving took no time
    assert "a checkpoint took 0 s: they come every" in capsys.readouterr().err
    events = [
        event for event in run_log.read_record(tmp_path / "run")["history"] if event["event"].startswith("saving")
    ]
    assert len(events) == 1 and events[0]["minutes"] >= 0.3 / 0.03 / 60
