"""A form is the command that is run; a training's state is what its job and its run say together."""

import dataclasses
import json
import os
import shlex
import time
from pathlib import Path

import pytest

from dream.errors import InputError
from dream.presets import tiny
from dream.training.run_log import RunLog
from workbench.jobs import queue as launch
from workbench.jobs.job import command_line, job_file
from workbench.jobs.queue import enqueue, list_jobs
from workbench.runs.notes import Note, read_note, write_note
from workbench.runs.trainings import (
    TrainForm,
    assignments_in,
    check_form,
    delete_training,
    form_config,
    free_name,
    list_trainings,
    resume_arguments,
    resume_training,
    start_training,
    stop_training,
    train_arguments,
)
from workbench.runs.words import state_words
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A workspace whose queue nobody works off."""
    monkeypatch.setattr(launch, "_start_supervisor", lambda workspace: None)
    return Workspace(tmp_path)


def make_run(workspace: Workspace, name: str, status: str = "stopped", message: str = "", step: int = 5) -> Path:
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    log = RunLog(folder)
    log.record({"config": tiny().to_dict(), "source": "shapes", "legs": [10], "history": [], "preset": "tiny"})
    log.heartbeat(status, step, 10, message=message)  # type: ignore[arg-type]
    return folder


def set_job(workspace: Workspace, job, **changes) -> None:
    file = job_file(workspace, job.id)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def the_one(workspace: Workspace):
    (training,) = list_trainings(workspace)
    return training


# the form


def test_the_command_is_what_dream_understands_as_the_form(workspace):
    from argparse import ArgumentParser

    from dream.commands import train

    form = TrainForm(
        "my run",
        preset="demo",
        objective="clip",
        budget="steps",
        amount=40,
        seed=3,
        assignments=("masking.std=0.3", "train.lr=1e-3"),
        devices="2",
        strategy="ddp",
        precision="bf16-mixed",
    )
    line = shlex.split(command_line(train_arguments(workspace, form)))
    assert line[:2] == ["dream", "train"]
    parser = ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(line[2:])
    assert (args.out, args.data, args.steps, args.seed) == (Path("runs/my run"), "shapes", 40, 3)
    assert (args.preset, args.objective, args.assignments) == ("demo", "clip", list(form.assignments))
    assert (args.devices, args.strategy, args.precision, args.accelerator) == ("2", "ddp", "bf16-mixed", "auto")


def test_lines_of_settings_pass_over_empty_ones_and_remarks():
    assert assignments_in("\n masking.std=0.3 \n# a remark\n\ntrain.lr=1\n") == ("masking.std=0.3", "train.lr=1")


def test_a_misspelt_setting_is_said_with_the_nearest():
    with pytest.raises(InputError, match="masking.std"):
        form_config(TrainForm("a", assignments=("masking.sdt=1",)))


@pytest.mark.parametrize("name", ["", " ", "..", "../x", "/etc", ".hidden", "-x", "a/../.."])
def test_a_name_that_leads_elsewhere_is_refused(workspace, name):
    with pytest.raises(InputError, match="name"):
        check_form(workspace, TrainForm(name))


def test_a_folder_that_holds_something_is_refused_in_a_sentence(workspace):
    make_run(workspace, "there")
    with pytest.raises(InputError, match="runs/there already holds a run: choose another name"):
        start_training(workspace, TrainForm("there"))
    (workspace.runs / "other").mkdir()
    (workspace.runs / "other" / "file").touch()
    with pytest.raises(InputError, match="contains other files"):
        start_training(workspace, TrainForm("other"))
    assert list_jobs(workspace) == []


@pytest.mark.parametrize(
    "change", [{"source": "/etc"}, {"source": "nowhere"}, {"source": ""}, {"amount": 0.0}, {"precision": "16"}]
)
def test_whatever_does_not_fit_is_said_before_anything_is_queued(workspace, change):
    with pytest.raises(InputError):
        start_training(workspace, dataclasses.replace(TrainForm("a"), **change))
    assert list_jobs(workspace) == [] and not workspace.runs.exists()


def test_two_starts_of_one_name_make_one_job(workspace):
    start_training(workspace, TrainForm("a"))
    with pytest.raises(InputError, match="already in the queue"):
        start_training(workspace, TrainForm("a"))
    assert len(list_jobs(workspace)) == 1 and free_name(workspace, "a") == "a-2"


# states


def test_waiting_ones_are_numbered_in_their_order_before_what_has_ended(workspace):
    make_run(workspace, "old", "finished")
    for name in ("first", "second"):
        start_training(workspace, TrainForm(name))
    found = list_trainings(workspace)
    assert [(t.name, t.state, t.place) for t in found] == [
        ("first", "queued", 1),
        ("second", "queued", 2),
        ("old", "finished", 0),
    ]


def test_a_job_that_runs_is_starting_until_the_run_says_that_it_trains(workspace):
    from dream.training.processes import process_start

    job = start_training(workspace, TrainForm("a"))
    me = {"pid": 1, "process_start": process_start(1)}
    set_job(workspace, job, state="running", started=time.time(), **me)
    assert the_one(workspace).state == "starting"
    time.sleep(0.01)
    make_run(workspace, "a", "running")
    assert the_one(workspace).state == "running"
    set_job(workspace, job, stop_asked=time.time())
    assert the_one(workspace).state == "stopping"


def test_a_failed_start_says_the_last_words_of_its_log(workspace):
    job = start_training(workspace, TrainForm("a"))
    job.log.write_text("reading\ndream: no space left\n")
    set_job(workspace, job, state="failed", started=1.0, ended=2.0)
    assert (the_one(workspace).state, the_one(workspace).sentence) == ("failed", "no space left")


def test_a_run_from_a_terminal_says_how_it_stands(workspace):
    make_run(workspace, "a", "failed", message="step 3: the loss is nan")
    assert (the_one(workspace).state, the_one(workspace).sentence) == ("failed", "step 3: the loss is nan")


def test_a_run_that_went_on_in_a_terminal_counts_more_than_its_old_job(workspace):
    job = start_training(workspace, TrainForm("a"))
    set_job(workspace, job, state="stopped", started=1.0, ended=2.0)
    make_run(workspace, "a", "finished")
    assert the_one(workspace).state == "finished"


def test_a_damaged_run_says_what_is_damaged(workspace):
    (make_run(workspace, "a") / "config.json").write_text("{half")
    assert the_one(workspace).state == "damaged" and "not JSON" in the_one(workspace).sentence


# actions


def test_resume_and_extension_keep_devices_and_say_so_much_more(workspace):
    job = start_training(workspace, TrainForm("a", devices="2", strategy="ddp"))
    set_job(workspace, job, state="stopped", started=1.0, ended=2.0)
    make_run(workspace, "a")
    training = the_one(workspace)
    plain = ("train", "--out", "runs/a", "--resume")
    assert resume_arguments(workspace, training) == (*plain, "--devices", "2", "--strategy", "ddp")
    assert resume_arguments(workspace, training, "steps", 50.0)[4:6] == ("--steps", "50")
    assert resume_training(workspace, training, "minutes", 1.5).arguments[4:6] == ("--minutes", "1.5")
    with pytest.raises(InputError, match="already in the queue"):
        resume_training(workspace, training)


def test_delete_takes_the_run_its_jobs_and_notes_and_leaves_other_files(workspace):
    folder = make_run(workspace, "a")
    (folder / "mine.txt").touch()
    job = enqueue(workspace, "train", "a", ("train",), folder)
    with pytest.raises(InputError, match="queued: stop it first"):
        delete_training(workspace, the_one(workspace))
    stop_training(workspace, the_one(workspace))
    write_note(workspace, "a", Note(("good",)))
    delete_training(workspace, the_one(workspace))
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    assert list_trainings(workspace) == [] and read_note(workspace, "a") == Note() and not job.log.exists()


# trainings of other machines


def hold(folder: Path, age: float = 0.0) -> None:
    """Lets a training of another machine hold the folder."""
    about = {"host": "node7", "boot": "another", "namespace": "pid:[1]", "pid": 1234, "process_start": "5"}
    (folder / ".claim-1.json").write_text(json.dumps({**about, "token": "theirs"}))
    os.utime(folder / ".claim-1.json", (time.time() - age, time.time() - age))


@pytest.mark.parametrize("status", ["running", "finished"])
def test_a_held_run_is_neither_stopped_nor_deleted_nor_resumed_from_here(workspace, status):
    folder = make_run(workspace, "a", status)
    hold(folder)
    training = the_one(workspace)
    before = sorted(folder.rglob("*"))
    for action in (stop_training, delete_training, resume_training):
        with pytest.raises(InputError, match=r"is being trained on host 'node7' \(process 1234"):
            action(workspace, training)
    assert sorted(folder.rglob("*")) == before and list_jobs(workspace) == []


def test_a_run_that_trains_elsewhere_is_running_and_says_where(workspace):
    hold(make_run(workspace, "a", "running"))
    training = the_one(workspace)
    assert training.state == "running" and training.elsewhere.startswith("on host 'node7'")
    kind, words = state_words(training)
    assert kind == "information" and words.startswith("Training on host 'node7'") and "stopped there only" in words


def test_a_silent_claim_hinders_neither_a_new_run_nor_deleting(workspace):
    (workspace.runs / "new").mkdir(parents=True)
    hold(workspace.runs / "new", age=100.0)
    check_form(workspace, TrainForm("new"))
    hold(workspace.runs / "new")
    with pytest.raises(InputError, match="node7"):
        check_form(workspace, TrainForm("new"))
    hold(make_run(workspace, "old", "running"), age=100.0)
    (old,) = (each for each in list_trainings(workspace) if each.name == "old")
    assert old.state == "killed" and old.elsewhere == ""
    delete_training(workspace, old)
    assert not old.path.exists()
