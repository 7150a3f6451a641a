"""A folder's runs are listed with what their heartbeats say, or the truth where a heartbeat is stale."""

import json
import os

from dream.training.processes import process_start
from workbench.runs.folders import list_runs

ELSEWHERE = {"host": "node7", "boot": "another", "namespace": "pid:[1]", "pid": 1, "process_start": "5"}
"""A process on another machine."""


def make_run(folder, name, *, sheets=(), **beat):
    """A run's folder as training leaves it, with fields of its heartbeat."""
    (folder / name / "samples").mkdir(parents=True)
    for step in sheets:
        (folder / name / "samples" / f"step-{step:08d}.png").touch()
    (folder / name / "config.json").write_text("{}")
    if beat:
        known = {"pid": 1, "process_start": "never", "step": 0, "end": 0, "seconds_left": None, "time": 0.0}
        (folder / name / "heartbeat.json").write_text(json.dumps({**known, **beat}))


def test_lists_the_last_changed_first_with_progress_and_newest_sheet(tmp_path):
    make_run(tmp_path, "old", sheets=(5, 10), status="finished", step=20, end=20, time=1000.0)
    make_run(tmp_path, "new", status="stopped", step=7, end=90, time=2000.0)
    (tmp_path / "not-a-run").mkdir()
    new, old = list_runs(tmp_path)
    assert (new.path.name, new.status, new.step, new.end, new.sheet) == ("new", "stopped", 7, 90, None)
    assert (old.path.name, old.status, old.changed) == ("old", "finished", 1000.0)
    assert old.sheet is not None and old.sheet.name == "step-00000010.png"


def test_a_run_whose_process_is_gone_was_killed(tmp_path):
    me = os.getpid()
    make_run(tmp_path, "alive", status="running", time=2.0, pid=me, process_start=process_start(me))
    make_run(tmp_path, "gone", status="running", time=1.0, pid=me, process_start="another time")
    assert [run.status for run in list_runs(tmp_path)] == ["running", "killed"]


def test_a_run_without_a_heartbeat_is_starting(tmp_path):
    make_run(tmp_path, "young")
    assert [(run.status, run.step) for run in list_runs(tmp_path)] == [("starting", 0)]


def test_no_folder_means_no_runs(tmp_path):
    assert list_runs(tmp_path / "runs") == []


def test_runs_in_folders_of_folders_are_found_and_nothing_inside_of_a_run(tmp_path):
    make_run(tmp_path, "comparison/dream/seed-0", status="finished", time=1.0)
    make_run(tmp_path, "comparison/dream/seed-0/checkpoints/inner", status="finished", time=1.0)
    make_run(tmp_path, "a/b/c/too-deep", status="finished", time=1.0)
    make_run(tmp_path, ".hidden", status="finished", time=1.0)
    assert [str(run.path.relative_to(tmp_path)) for run in list_runs(tmp_path)] == ["comparison/dream/seed-0"]


def test_a_damaged_run_is_listed_with_a_sentence(tmp_path):
    for name, content in (("half", b"{half"), ("bytes", b"\xff\xfe\x00"), ("lacking", b"{}")):
        make_run(tmp_path, name, status="finished", time=1.0)
        (tmp_path / name / "config.json").write_bytes(content)
    make_run(tmp_path, "beat", status="finished", time=1.0)
    (tmp_path / "beat" / "heartbeat.json").write_text("{")
    (tmp_path / "beat" / "samples" / "step-odd.png").touch()
    runs = {run.path.name: run for run in list_runs(tmp_path)}
    assert set(runs) == {"half", "bytes", "lacking", "beat"}
    assert all(run.problem and "\n" not in run.problem for run in runs.values())


def test_a_run_that_trains_elsewhere_says_where_and_one_that_went_silent_there_was_killed(tmp_path):
    make_run(tmp_path, "there", status="running", time=2.0, **ELSEWHERE)
    make_run(tmp_path, "silent", status="running", time=1.0, **ELSEWHERE)
    for name in ("there", "silent"):
        (tmp_path / name / ".claim-1.json").write_text(json.dumps({**ELSEWHERE, "token": "theirs"}))
    os.utime(tmp_path / "silent" / ".claim-1.json", (0, 0))
    there, silent = list_runs(tmp_path)
    assert (there.status, silent.status, silent.elsewhere) == ("running", "killed", "")
    assert there.elsewhere.startswith("on host 'node7' (process 1,")
