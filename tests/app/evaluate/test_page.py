"""The Evaluate page in each of its states: nothing, a form that is wrong or right, jobs, results, damage."""

import dataclasses
import json
import shutil
import time

import pytest
from streamlit.testing.v1 import AppTest

from app.text import as_text
from dream.evaluation.event_log import EventLog
from dream.evaluation.events import Question, TaskAsked, TaskAtWork
from dream.evaluation.results import Results, write_results
from dream.evaluation.statistics import Measure, mean, share
from dream.evaluation.tasks import TASKS
from dream.pretrained import SHIPPED
from tests.app.opening import page_of
from tests.workbench.evaluate.sample_results import all_results, entry, results
from workbench.evaluate.plan import QUICK
from workbench.figures.paper import published_metrics
from workbench.jobs import queue as launch
from workbench.jobs.job import log_tail, write_job
from workbench.workspace import open_workspace

KNN = Question("demo", "knn", "shapes")
SETTINGS = "in.evaluate.settings"
VIEWS = ("Mask ratio", "Side by side", "Selection", "Edits", "Retrieval", "Next to the paper")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A workspace whose queue nobody works off."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "_start_supervisor", lambda workspace: None)
    return open_workspace(tmp_path)


def opened(part: str = "Results", view: str = "") -> AppTest:
    app = page_of("evaluate")
    app.session_state["in.evaluate.part"] = part
    if view:
        app.session_state["in.evaluate.view"] = view
    return app.run()


def shown(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    kinds = (app.title, app.markdown, app.caption, app.info, app.warning, app.error, app.code)
    return "\n".join(element.value for elements in kinds for element in elements)


def options_of(group) -> list[str]:
    """The labels of pills or segments."""
    return [option.content for option in group.proto.options]


def bar(app: AppTest) -> str:
    """The text of the progress bar."""
    return app.get("progress")[0].proto.text


def job(here, state: str, log: str = "", **fields):
    """A job of the queue in some state."""
    made = launch.enqueue(
        here, "evaluate", "demo: knn", ("evaluate", "--model", "demo", "--tasks", "knn"), here.results
    )
    made.log.write_text(log)
    known = {"started": time.time() - 5, "ended": None if state in ("queued", "running") else time.time()}
    made = dataclasses.replace(made, state=state, **(known | fields))
    write_job(here, made)
    return made


def fill(here, found=None) -> None:
    for result in found or all_results():
        write_results(here.results, result)


# nothing


def test_where_nothing_was_measured_a_first_look_is_one_click(here):
    app = opened()
    assert "no results yet" in shown(app)
    app.button(key="do.evaluate.first").click().run()
    (queued,) = launch.list_jobs(here)
    assert queued.arguments[:5] == ("evaluate", "--model", "demo", "--tasks", ",".join(QUICK))
    text = shown(app)
    assert "queued" in text and "5 tasks to measure" in text and "as soon as it is done" in text


def test_before_anything_is_measured_the_papers_numbers_stand_there_each_with_a_button(here):
    app = opened()
    assert "The paper's numbers" in shown(app)
    assert len(app.get("plotly_chart")) == len(published_metrics())
    assert "0.727" in app.dataframe[0].value.to_string()
    number = [metric.task for metric in published_metrics()].index("few_shot")
    app.button(key=f"do.evaluate.yours.{number}").click().run()
    assert "dream evaluate --model demo --tasks few_shot" in shown(app)


def test_the_form_is_one_click_away(here):
    app = opened()
    app.button(key="do.evaluate.own").click().run()
    assert "dream evaluate --model demo" in shown(app)


# the form


def test_every_task_is_listed_with_what_it_asks(here):
    app = opened("Measure")
    labels = [box.label for box in app.checkbox]
    for task in TASKS.values():
        assert any(f"**{task.name}** {task.about}" in label for label in labels)
    for widgets in (app.checkbox, app.multiselect, app.selectbox, app.number_input, app.text_area, app.button):
        assert all(widget.help for widget in widgets if widget.key and ".evaluate." in widget.key)


def test_the_command_follows_the_form_and_starts(here):
    app = opened("Measure")
    app.button(key="do.evaluate.none").click().run()
    assert app.button(key="do.evaluate.start").disabled and "at least one task" in shown(app).lower()
    app.checkbox(key="in.evaluate.task.edits").check()
    app.text_area(key=SETTINGS).set_value("edits.count=10")
    app.number_input(key="in.evaluate.seed").set_value(3).run()
    command = "dream evaluate --model demo --tasks edits --set edits.count=10 --seed 3"
    assert command in shown(app)
    app.button(key="do.evaluate.start").click().run()
    assert [job.command for job in launch.list_jobs(here)] == [command]


def test_a_wrong_setting_is_named_at_once_in_the_commands_words(here):
    app = opened("Measure")
    app.text_area(key=SETTINGS).set_value("retrieval.pols=3\nedits.count=x\nprobe.epochs=2").run()
    text = shown(app)
    assert "did you mean 'retrieval.pools'" in text and "edits.count must be a whole number" in text
    assert "not selected or do not fit: probe.epochs=2" in text
    assert app.button(key="do.evaluate.start").disabled


def test_tasks_that_do_not_fit_say_why_and_are_not_asked(here):
    app = opened("Measure")
    (here.root / "pictures").mkdir()
    app.multiselect(key="in.evaluate.sources").set_value(["pictures"]).run()
    assert "needs an answer key" in shown(app)
    assert app.checkbox(key="in.evaluate.task.edits").disabled
    assert "--tasks losses,retrieval,zero_shot,knn --data pictures" in shown(app)


def test_a_matlab_file_is_taken_by_depth_alone(here):
    (here.root / "nyu.mat").write_bytes(b"")
    app = opened("Measure")
    app.multiselect(key="in.evaluate.sources").set_value(["nyu.mat"]).run()
    assert "not a .tar" not in shown(app)
    assert not app.checkbox(key="in.evaluate.task.depth").disabled
    assert app.checkbox(key="in.evaluate.task.retrieval").disabled


def test_a_wrong_path_is_one_sentence(here):
    app = opened("Measure")
    app.multiselect(key="in.evaluate.models").set_value(["demo", "runs/none", "/etc/passwd"]).run()
    text = shown(app)
    assert "No such model" in text and "outside of the workspace" in text
    assert app.button(key="do.evaluate.start").disabled


def test_settings_are_searched_and_added(here):
    app = opened("Measure")
    app.session_state["do.evaluate.fields.open"] = True
    app.run()
    app.text_input(key="in.evaluate.search").set_value("knn neighbours").run()
    listed = next(each.value for each in app.dataframe if "setting" in each.value)
    assert list(listed["setting"]) == ["knn.k"] and list(listed["default"]) == ["1,5,20"]
    assert app.button(key="do.evaluate.add").disabled


def test_models_of_another_page_are_chosen(here):
    shutil.copytree(SHIPPED["demo"], here.runs / "mine")
    app = page_of("evaluate")
    app.session_state["handed.evaluate"] = {"models": ["runs/mine", "demo"]}
    app.run()
    assert "--model runs/mine --model demo" in shown(app)


# jobs


def test_a_running_evaluation_shows_the_task_at_work_and_the_time_left(here, monkeypatch):
    monkeypatch.setattr(launch, "_ended_unseen", lambda *_: False)
    running = job(here, "running", pid=1)
    log = EventLog(running.progress)
    for event in (TaskAsked(KNN), TaskAtWork(KNN, 0.4, "features", 8.0)):
        log.write(event)
    app = opened()
    assert "running" in shown(app) and "▸ knn 40%" in shown(app)
    assert bar(app) == "demo: knn on shapes, features · 8 s left in all"


def test_what_the_command_prints_changes_nothing_on_the_page(here, monkeypatch):
    monkeypatch.setattr(launch, "_ended_unseen", lambda *_: False)
    running = job(here, "running", pid=1, started=time.time() - 7200)  # shown in minutes, the same for half a minute
    log = EventLog(running.progress)
    for event in (TaskAsked(KNN), TaskAtWork(KNN, 0.4, "features", 8.0)):
        log.write(event)
    seen = set()
    for printed in ("", "demo: knn on shapes: took 3 s\n", "knn auf Formen: fertig\n", "\x00\r\n" * 9):
        running.log.write_text(printed)
        app = opened()
        seen.add((shown(app), bar(app)))
    assert len(seen) == 1


def test_a_running_job_of_an_earlier_version_shows_its_tasks_waiting(here, monkeypatch):
    monkeypatch.setattr(launch, "_ended_unseen", lambda *_: False)
    job(here, "running", "demo: knn on shapes  40% features, 8 s left in all\n", pid=1)
    app = opened()
    assert "○ knn" in shown(app) and bar(app) == "Opening the models"


def test_a_running_evaluation_is_stopped_and_a_queued_one_taken_out(here):
    queued = job(here, "queued", started=None)
    app = opened()
    app.button(key=f"do.evaluate.stop.{queued.id}").click().run()
    assert launch.find_job(here, queued.id).state == "stopped"
    assert "Results of finished tasks are kept" in shown(app)


def test_a_failed_evaluation_says_why_and_can_go_on_or_be_forgotten(here):
    failed = job(here, "failed", "a line\ndream: no such model: runs/x\n")
    app = opened()
    assert "no such model: runs/x" in shown(app) and "a line" in shown(app)
    app.button(key=f"do.evaluate.again.{failed.id}").click().run()
    (again,) = launch.list_jobs(here)
    assert again.state == "queued" and again.arguments == failed.arguments
    lost = job(here, "killed", "demo: knn on shapes, 5 s left in all\n")
    app = opened()
    assert "ended without a message" in shown(app) and "Its last output" in shown(app)
    app.button(key=f"do.evaluate.forget.{lost.id}").click().run()
    assert lost.id not in {each.id for each in launch.list_jobs(here)}


def test_finished_evaluations_are_folded_away(here):
    job(here, "finished", "demo: knn on shapes: took 3 s\n")
    fill(here)
    app = opened()
    assert any("Earlier evaluations (1)" in expander.label for expander in app.expander)


# results


def test_the_page_begins_with_what_moves_with_the_mask_ratio(here):
    fill(here)
    app = opened()
    assert "Retrieval and losses by mask ratio" in shown(app)
    assert app.get("plotly_chart") and not app.dataframe


def test_names_of_results_jobs_and_data_are_text(here):
    typed = "![x](http://127.0.0.1:9/p.png) **b** $x^2$ :red[r] <b>h</b>"
    name = typed.partition("p.png)")[2].replace("/", "").strip()  # of a file
    entries = tuple(dataclasses.replace(each, data=typed) for each in results("dream").entries)
    fill(here, [Results(name, typed, entries), results("clip")])
    made = job(here, "failed", f"dream: {typed}\n")
    write_job(here, dataclasses.replace(made, name=typed))
    app = opened(view="Table")
    assert not app.exception
    kinds = (app.markdown, app.caption, app.error, app.warning, app.info)
    text = "\n".join(element.value for elements in kinds for element in elements)
    options = [option for group in app.get("button_group") for option in options_of(group)]
    assert as_text(name) in options
    assert as_text(typed) in text and not any(mark in text for mark in ("![x](", "**b**", "$x^2$", ":red[r]"))


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("part", "Measure", lambda app: "do.evaluate.start" in {button.key for button in app.button}),
        ("view", "Table", lambda app: len(app.dataframe) > 0),
        ("view", "No such view", lambda app: "Retrieval and losses" in shown(app)),
        ("shown", "clip", lambda app: app.session_state["in.evaluate.shown"] == ["clip"]),
        ("shown", "nobody", lambda app: len(app.session_state["in.evaluate.shown"]) == 4),
        ("picked", "probe", lambda app: app.session_state["in.evaluate.picked"] == ["probe"]),
    ],
)
def test_the_address_says_what_is_shown(here, key, value, read):
    fill(here)
    app = page_of("evaluate")
    if key == "picked":
        app.query_params["in.evaluate.view"] = "Table"
    app.query_params[f"in.evaluate.{key}"] = value
    app.run()
    shown(app)
    assert read(app)


@pytest.mark.parametrize(
    "line",
    [
        "retrieval.pool=0",
        "retrieval.pools=-1",
        "losses.pictures=0",
        "edits.count=-3",
        "knn.k=1e99",
        "losses.pictures=nan",
    ],
)
def test_settings_out_of_range_are_refused_in_a_sentence(here, line):
    app = opened("Measure")
    app.text_area(key=SETTINGS).set_value(line).run()
    assert app.error and line.partition("=")[0].replace("_", r"\_") in app.error[0].value
    assert app.button(key="do.evaluate.start").disabled


@pytest.mark.parametrize("seed", [-1.0, 1e30, 0.5])
def test_a_seed_out_of_range_is_refused_in_a_sentence(here, seed):
    app = opened("Measure")
    app.number_input(key="in.evaluate.seed").set_value(seed).run()
    assert "Seed must be a whole number" in shown(app)
    assert app.button(key="do.evaluate.start").disabled


def test_the_table_stands_beside_the_papers_figures(here):
    fill(here)
    app = opened(view="Table")
    text = shown(app)
    tables = [each.value for each in app.dataframe]
    probe = next(each for each in tables if any("DREAM 0.727" in str(cell) for cell in each.iloc[0]))
    assert list(probe.columns[1:5]) == ["clip", "dream", "fluid", "mar"]
    assert "compare orders, not values" in text and "it cannot paint" in text
    app.text_input(key="in.evaluate.query").set_value("R@1 0.75").run()
    assert len(app.dataframe) == 1 and len(app.dataframe[0].value) == 2
    app.text_input(key="in.evaluate.query").set_value("no such thing").run()
    assert "No row contains all of these words" in shown(app) and not app.dataframe


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_is_a_figure_in_the_pages_theme(here, view):
    fill(here)
    app = opened(view=view)
    shown(app)
    charts = app.get("plotly_chart")
    assert len(charts) > 1
    assert json.loads(charts[0].proto.spec)["data"]


def test_a_view_without_its_task_offers_to_measure_it(here):
    fill(here)
    app = opened(view="Robustness")
    assert "robustness was not measured" in shown(app)
    app.button(key="do.evaluate.offer").click().run()
    assert app.session_state["in.evaluate.task.robustness"] and not app.session_state["in.evaluate.task.knn"]


def test_models_can_be_left_out(here):
    fill(here)
    app = opened(view="Table")
    app.session_state["in.evaluate.shown"] = ["clip"]
    app.run()
    assert app.dataframe and all(list(each.value.columns)[1] == "clip" for each in app.dataframe)


def test_results_of_folders_below_are_shown_too(here):
    fill(here)
    write_results(here.results / "other", results("mar"))
    app = opened(view="Table")
    app.selectbox(key="in.evaluate.folder").set_value("results/other").run()
    assert list(app.dataframe[0].value.columns)[1] == "mar"


def test_damaged_results_are_named_and_skipped(here):
    fill(here, [results("dream")])
    (here.results / "torn.json").write_text("{")
    text = shown(opened(view="Table"))
    assert "results/torn.json is skipped" in text and "retrieval on shapes" in text
    (here.results / "dream.json").write_text("")
    assert "No results file of this folder can be read" in shown(opened())


def test_a_model_that_changed_since_is_named_and_measured_again(here):
    old = Results("mine", "demo", (entry("knn", results("dream").entries[2].measures, model_id="old"),))
    fill(here, [old])
    app = opened()
    assert "The model mine has changed since it was measured" in shown(app)
    app.button(key="do.evaluate.stale").click().run()
    assert "dream evaluate --model mine=demo --tasks knn" in shown(app)


@pytest.mark.slow
def test_an_evaluation_is_started_followed_and_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = open_workspace(tmp_path)
    app = opened("Measure")
    app.button(key="do.evaluate.none").click().run()
    app.checkbox(key="in.evaluate.task.retrieval").check()
    app.text_area(key=SETTINGS).set_value("retrieval.pools=1").run()
    app.button(key="do.evaluate.start").click().run()
    end = time.monotonic() + 120
    while launch.list_jobs(here)[0].active and time.monotonic() < end:
        time.sleep(0.5)
    assert launch.list_jobs(here)[0].state == "finished", log_tail(launch.list_jobs(here)[0])
    app.run()
    assert app.get("plotly_chart") and "Retrieval and losses by mask ratio" in shown(app)


def test_below_the_numbers_stand_the_kinds_of_intervals_and_why_some_have_none(here):
    found = share([True] * 9 + [False], "prompts"), mean([1.0, 2.0, 4.0], "prompts")
    measures = [Measure("knn", f"accuracy {i}", {}, estimate) for i, estimate in enumerate(found)]
    write_results(here.results, Results("demo", "demo", (entry("knn", measures),)))
    captions = [caption.value for caption in opened(view="Table").caption]
    assert "95 % Wilson interval, n = 10 prompts" in captions and "too few prompts for an interval: 3" in captions


def test_with_more_than_two_models_the_figures_of_choosing_show_one(here):
    fill(here)
    app = opened(view="Selection")
    models = app.segmented_control(key="in.evaluate.selection_of")
    assert len(options_of(models)) > 2
    panels = len(app.get("plotly_chart"))
    models.set_value(models.options[1]).run()
    assert not app.exception and len(app.get("plotly_chart")) == panels <= 8
