"""The Train page: its form is the command that is run, and every state of a training is shown as it is."""

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.text import as_text
from dream.presets import tiny
from dream.training.optim import gentler
from dream.training.run_log import RunLog
from tests.app.opening import page_of
from workbench.jobs import queue as launch
from workbench.jobs.job import job_file, write_job
from workbench.jobs.queue import enqueue, list_jobs
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """The workspace that the app is opened in; nobody works off its queue."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "_start_supervisor", lambda workspace: None)
    return Workspace(tmp_path)


def opened(**state) -> AppTest:
    app = page_of("train")
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def text_of(app: AppTest) -> str:
    """Everything that is said on the page."""
    assert not app.exception
    parts = (app.markdown, app.caption, app.info, app.error, app.warning, app.success, app.code)
    return "\n".join(str(element.value) for part in parts for element in part)


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def make_run(workspace: Workspace, name: str, status: str, rows: int = 3, **beat) -> Path:
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    log = RunLog(folder)
    log.record({"config": tiny().to_dict(), "source": "shapes", "legs": [40], "history": [], "preset": "tiny"})
    for step in range(10, 10 * rows + 1, 10):
        log.row(
            "train",
            step,
            contrastive_loss=1.0,
            generative_loss=0.5,
            samples_per_second=64.0,
            lr=1e-3,
            mask_ratios=[0.2, 0.8],
            grad_norm=1.0,
            generative_share=0.5,
            contrastive_share=0.5,
        )
    log.heartbeat(status, 10 * rows, 40, 60.0, **beat)
    return folder


def test_the_form_stands_for_a_command_and_starting_queues_exactly_it(workspace):
    app = opened()
    command = app.code[0].value
    assert command == ("dream train --preset tiny --objective dream --data shapes --minutes 10 --out runs/shapes")
    app.text_input(key="in.train.name").set_value("mine").run()
    app.text_area(key="in.train.assignments").set_value("masking.std=0.3").run()
    command = app.code[0].value
    assert command.endswith("--out runs/mine --set masking.std=0.3") and "1 setting accepted" in text_of(app)
    app.button(key="do.train.start").click().run()
    (job,) = list_jobs(workspace)
    assert (job.command, job.state, job.name) == (command, "queued", "mine")
    assert "Queued: it is next" in text_of(app) and app.selectbox(key="in.train.watch").value == "mine"


def test_a_wrong_setting_is_said_at_once_and_cannot_be_started(workspace):
    app = opened()
    app.text_area(key="in.train.assignments").set_value("masking.sdt=0.3").run()
    assert "did you mean 'masking.std'" in app.error[0].value
    assert app.button(key="do.train.start").disabled


@pytest.mark.parametrize(("source", "said"), [("nowhere", "nowhere"), ("/etc", "outside of the workspace")])
def test_a_wrong_source_is_said_in_a_sentence(workspace, source, said):
    app = opened()
    app.text_input(key="in.train.source").set_value(source).run()
    for _ in range(50):
        if app.error:
            break
        time.sleep(0.1)
        app.run()
    assert any(said in error.value for error in app.error) and not app.exception
    assert list_jobs(workspace) == []


def test_what_another_page_hands_over_fills_the_form(workspace):
    given = {"assignments": ["masking.std=0.3", "masking.groups=4"], "preset": "demo", "source": "shapes"}
    make_run(workspace, "old", "finished")
    app = opened(**{"handed.train": given, "in.train.view": "Watch"})
    assert app.text_area(key="in.train.assignments").value == "masking.std=0.3\nmasking.groups=4"
    assert app.selectbox(key="in.train.preset").value == "demo"
    assert app.code[0].value.endswith("--set masking.std=0.3 masking.groups=4")


def test_all_settings_can_be_searched(workspace):
    app = opened()
    app.text_input(key="in.train.query").set_value("spread truncation").run()
    assert list(app.dataframe[0].value["field"]) == ["masking.std"]
    app.text_input(key="in.train.query").set_value("no such thing").run()
    assert "No field matches these words" in text_of(app)


def test_a_name_that_is_taken_is_refused_with_a_way_out(workspace):
    make_run(workspace, "shapes", "finished")
    app = opened(**{"in.train.view": "Set up"})
    assert app.text_input(key="in.train.name").value == "shapes-2"
    app.text_input(key="in.train.name").set_value("shapes").run()
    app.button(key="do.train.start").click().run()
    assert "already holds a run: choose another name" in text_of(app) and list_jobs(workspace) == []


def test_a_second_tab_cannot_start_the_same_run_again(workspace):
    first, second = opened(), opened()
    first.button(key="do.train.start").click().run()
    second.button(key="do.train.start").click().run()
    assert len(list_jobs(workspace)) == 1 and "is already in the queue" in text_of(second)


def test_nothing_to_watch_says_what_to_do(workspace):
    assert "No training yet" in text_of(opened(**{"in.train.view": "Watch"}))


def test_a_training_that_runs_is_shown_first_with_its_numbers_and_figures(workspace):
    make_run(workspace, "old", "finished")
    make_run(workspace, "now", "running")
    app = opened()
    text = text_of(app)
    assert app.selectbox(key="in.train.watch").value == "now" and "▶ running" in text
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Step"] == "30" and metrics["Pictures / s"] == "64" and metrics["Time per step"] == "1,000 ms"
    assert metrics["Time left"] == "1 min"
    assert len(app.get("plotly_chart")) == 7 and "Stop" in labels(app) and "Delete permanently" not in labels(app)


def test_what_is_logged_later_appears(workspace):
    folder = make_run(workspace, "now", "running")
    app = opened()
    RunLog(folder).row("train", 40, contrastive_loss=0.9, generative_loss=0.25)
    app.run()
    assert {metric.label: metric.value for metric in app.metric}["Generative"] == "0.250"


@pytest.mark.parametrize(
    ("status", "said", "offered"),
    [
        ("stopped", "Stopped. Resume continues", {"Resume", "Go on", "Delete permanently"}),
        ("failed", "Failed: The loss is nan", {"Resume", "Go on", "Delete permanently"}),
        ("finished", "Finished.", {"Go on", "Delete permanently"}),
    ],
)
def test_every_end_says_what_it_was_and_what_can_be_done(workspace, status, said, offered):
    make_run(workspace, "a", status, message="the loss is nan")
    app = opened(**{"in.train.view": "Watch"})
    assert said in text_of(app) and offered <= labels(app) and "Stop" not in labels(app)
    assert ("Resume" in labels(app)) == ("Resume" in offered)


def test_a_killed_training_says_so_and_offers_resume(workspace):
    folder = make_run(workspace, "a", "running")
    (folder / "metrics.jsonl").unlink()  # it was killed before anything was saved
    beat = json.loads((folder / "heartbeat.json").read_text())
    (folder / "heartbeat.json").write_text(json.dumps({**beat, "process_start": "another time"}))
    app = opened(**{"in.train.view": "Watch"})
    assert "Killed: Its process ended unexpectedly" in text_of(app)
    app.button(key="do.train.resume").click().run()
    (job,) = list_jobs(workspace)
    assert job.command == "dream train --out runs/a --resume" and "Queued: it is next" in text_of(app)


def test_a_finished_training_goes_on_for_so_many_steps(workspace):
    (make_run(workspace, "a", "stopped") / "metrics.jsonl").unlink()
    app = opened(**{"in.train.view": "Watch", "in.train.more.kind": "steps"})
    app.number_input(key="in.train.more.steps").set_value(70).run()
    app.button(key="do.train.extend").click().run()
    assert list_jobs(workspace)[0].command == "dream train --out runs/a --resume --steps 70"


def test_a_failed_start_shows_its_last_words_and_its_log(workspace):
    job = enqueue(workspace, "train", "a", ("train", "--out", "runs/a"), Path("runs/a"))
    job.log.write_text("reading the data\ndream: the disk is full\n")
    file = job_file(workspace, job.id)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"state": "failed", "started": 1.0, "ended": 2.0}))
    app = opened(**{"in.train.view": "Watch"})
    assert "Failed: The disk is full." in text_of(app) and "reading the data" in text_of(app)


def test_the_queue_shows_its_order_and_lets_one_be_taken_out(workspace):
    for name in ("first", "second"):
        enqueue(workspace, "train", name, ("train",), Path("runs") / name)
    app = opened()
    assert "number 1 in the queue" in text_of(app) and "number 2 in the queue" in text_of(app)
    app.button(key="do.train.queue.first").click().run()
    assert {job.name: job.state for job in list_jobs(workspace)} == {"first": "stopped", "second": "queued"}


def test_a_training_that_does_not_answer_can_be_ended(workspace):
    job = enqueue(workspace, "train", "deaf", ("train",), Path("runs") / "deaf")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    running = dataclasses.replace(job, state="running", pid=process.pid, stop_asked=time.time())
    write_job(workspace, running)
    assert "End now" not in labels(opened())
    write_job(workspace, dataclasses.replace(running, stop_asked=time.time() - 60))
    app = opened()
    app.button(key="do.train.end.deaf").click().run()
    assert process.wait(30) < 0 and not app.exception


def test_a_training_of_another_machine_is_shown_there_without_a_button_that_could_stop_it(workspace):
    folder = make_run(workspace, "a", "running")
    about = {"host": "node7", "boot": "another", "namespace": "pid:[1]", "pid": 1234, "process_start": "5"}
    (folder / ".claim-1.json").write_text(json.dumps({**about, "token": "theirs"}))
    app = opened(**{"in.train.view": "Watch"})
    assert "Training on host 'node7' (process 1234" in text_of(app) and "runs elsewhere" in text_of(app)
    assert not labels(app) & {"Stop", "Resume", "Go on", "Delete permanently"}


def test_delete_asks_first_and_then_deletes(workspace):
    folder = make_run(workspace, "a", "finished")
    app = opened(**{"in.train.view": "Watch"})
    assert "Permanently delete" in text_of(app) and folder.exists()
    app.button(key="do.train.delete").click().run()
    assert not folder.exists() and not app.exception


@pytest.mark.parametrize("file", ["config.json", "heartbeat.json", "metrics.jsonl", "report.json"])
def test_a_damaged_folder_never_breaks_the_page(workspace, file):
    folder = make_run(workspace, "a", "stopped")
    (folder / file).write_bytes(b"\xff\xfe{half")
    (folder / "samples").mkdir()
    (folder / "samples" / "step-00000010.png").write_bytes(b"no picture")
    app = opened(**{"in.train.view": "Watch"})
    text = text_of(app)
    assert ("Damaged" in text) == (file in ("config.json", "heartbeat.json"))
    assert "sheet of step 10 is damaged" in text


ODD = "![x](http://127.0.0.1:9/p.png) **b** $x^2$ :red[r] <b>h</b>"


def test_messages_and_names_are_shown_as_they_are_written(workspace):
    name = ODD.replace("/", "_")
    make_run(workspace, name, "failed", message=ODD)
    text = text_of(opened(**{"in.train.view": "Watch"}))
    assert as_text(ODD) in text and as_text(name) in text and ODD not in text and f"**{name}**" not in text


def test_a_diverged_training_is_set_up_again_with_the_settings_that_its_message_advises(workspace):
    message = f"step 2: the loss is nan; start again with them: --set {' '.join(gentler(tiny().train))}"
    make_run(workspace, "a", "failed", message=message)
    app = opened(**{"in.train.view": "Watch"})
    app.button(key="do.train.again").click().run()
    assert app.text_area(key="in.train.assignments").value.split() == gentler(tiny().train)
    assert app.segmented_control(key="in.train.view").value == "Set up" and "3 settings accepted" in text_of(app)


def test_going_on_says_from_which_step_to_which_and_for_how_long(workspace):
    make_run(workspace, "a", "stopped")
    app = opened(**{"in.train.view": "Watch"})
    assert "Trains from step 30 to about step 285, for 5 min." in text_of(app)
    app.segmented_control(key="in.train.more.kind").set_value("steps").run()
    assert "Trains from step 30 to step 530, about 8 min 20 s." in text_of(app)
    app.number_input(key="in.train.more.steps").set_value(0).run()
    assert "Steps must be a whole number" in text_of(app) and app.button(key="do.train.extend").disabled


@pytest.mark.parametrize(
    ("field", "value"), [("minutes", 0.0), ("minutes", -1.0), ("minutes", 1e9), ("seed", -1.0), ("seed", 1.5)]
)
def test_a_number_out_of_range_is_refused_in_a_sentence(workspace, field, value):
    app = opened()
    app.number_input(key=f"in.train.{field}").set_value(value).run()
    assert f"{field.capitalize()} must be a" in text_of(app) and app.button(key="do.train.start").disabled


def test_the_form_says_what_will_happen_in_one_sentence(workspace):
    assert "Trains tiny (dream) on shapes for 10 min; how many steps fit is measured first" in text_of(opened())
    make_run(workspace, "before", "finished")
    text = text_of(opened(**{"in.train.view": "Set up"}))
    assert "Trains tiny (dream) on shapes for 10 min: about 510 steps at the speed of before." in text


def test_a_run_whose_folder_is_deleted_reads_as_deleted(workspace):
    job = enqueue(workspace, "train", "a", ("train", "--out", "runs/a"), Path("runs/a"))
    job.log.write_text("step 10/40  generative 1.0\n")
    ended = dataclasses.replace(job, state="finished", started=time.time(), ended=time.time())
    write_job(workspace, ended)
    folder = make_run(workspace, "a", "finished")
    app = opened(**{"in.train.view": "Watch"})
    assert "Finished." in text_of(app)
    shutil.rmtree(folder)
    assert "Deleted: its folder is no longer there" in text_of(app.run()) and "Go on" not in labels(app)
    app.button(key="do.train.delete").click().run()
    assert list_jobs(workspace) == [] and not app.exception


def test_a_run_in_the_address_is_shown_and_one_that_is_gone_is_named(workspace):
    for name in ("a", "b"):
        make_run(workspace, name, "finished")
    app = page_of("train")
    app.query_params["in.train.watch"] = "a"
    assert app.run().selectbox(key="in.train.watch").value == "a"
    app = page_of("train")
    app.query_params["in.train.watch"] = "gone"
    app.query_params["in.train.smoothing"] = "17"
    app.run()
    assert "gone is no longer there" in text_of(app) and app.slider(key="in.train.smoothing").value == 0.8


def test_a_loss_at_chance_is_said(workspace):
    folder = make_run(workspace, "a", "running")
    for step in range(40, 400, 10):
        RunLog(folder).row("train", step, contrastive_loss=4.2, contrastive_share=1.0, samples_per_second=64.0)
    assert "at chance for" in text_of(opened())
