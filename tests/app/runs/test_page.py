"""The Runs page: every run in a table, chosen ones over each other, and nothing damaged breaks it."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.text import as_text
from dream.decoding import pictures
from dream.overrides import override
from dream.presets import tiny
from dream.training import run_log
from dream.training.run_log import RunLog
from tests.app.opening import page_of
from workbench.runs.notes import Note, read_note, write_note
from workbench.runs.trainings import delete_trainings, list_trainings
from workbench.workspace import Workspace

PROMPTS = ["a red circle", "a blue square", "a green cross", "a yellow star"]


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path)


def make_run(workspace: Workspace, name: str, *assignments: str, seed: int = 0) -> Path:
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    log = RunLog(folder)
    config = override(tiny(), assignments).to_dict()
    log.record({"config": config, "source": "shapes", "legs": [20], "history": [], "preset": "tiny"})
    log.row("validation", 0, loss=2.0, **{"text_to_image_r1_at_0.00": 0.25, "retrieval_among": 64})
    for step in (10, 20):
        log.row("train", step, contrastive_loss=1.0, generative_loss=0.5, samples_per_second=64.0, lr=1e-3)
    log.heartbeat("finished", 20, 20)
    panels = [pictures.SheetPanel(np.full((3, 30, 30), 40 * i, np.uint8), p) for i, p in enumerate(PROMPTS)]
    sheet = pictures.draw_sheet(pictures.panel_rows(panels, 4), heading="step 20")
    about = {"prompts": PROMPTS, "settings": {"seed": seed}}
    pictures.save_png(sheet, folder / "samples" / "step-00000020.png", about)
    return folder


def opened(**state) -> AppTest:
    app = page_of("runs")
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def text_of(app: AppTest) -> str:
    assert not app.exception
    parts = (app.markdown, app.caption, app.info, app.error, app.warning, app.subheader)
    return "\n".join(str(element.value) for part in parts for element in part)


def test_without_runs_it_says_where_they_come_from(workspace):
    app = opened()
    assert "No runs yet" in text_of(app) and app.button(key="do.runs.train")


@pytest.mark.parametrize("also", [True, False], ids=["one is left", "none is left"])
def test_a_folder_deleted_under_the_page_is_named_and_leaves_the_others(workspace, also):
    folders = [make_run(workspace, name) for name in ("a", "b")]
    app = opened(**{"in.runs.chosen": ["a", "b"]})
    assert not app.warning
    for folder in folders[: 1 if also else 2]:
        shutil.rmtree(folder)
    words = text_of(app.run())
    assert ("a is no longer there: it was deleted or renamed" in words) if also else ("No runs yet" in words)
    assert not also or app.multiselect(key="in.runs.chosen").value == ["b"]


def test_the_table_holds_what_each_run_reached(workspace):
    make_run(workspace, "a")
    write_note(workspace, "a", Note(("good",)))
    row = opened().dataframe[0].value.iloc[0]
    assert (row["run"], row["state"], row["step"], row["loss"], row["R@1"]) == ("a", "finished", 20, 2.0, 0.25)
    assert row["pictures/s"] == 64.0 and list(row["tags"]) == ["good"]


def test_two_runs_lie_over_each_other_and_only_what_differs_is_listed(workspace):
    make_run(workspace, "a"), make_run(workspace, "b", "masking.std=0.3")
    app = opened()
    assert set(app.multiselect(key="in.runs.chosen").value) == {"a", "b"}
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert {a["text"] for a in figure["layout"]["annotations"]} == {"Contrastive loss", "a", "b"}
    differing = app.dataframe[1].value
    assert list(differing["field"]) == ["masking.std"] and set(differing.loc[0, ["a", "b"]]) == {"0.45", "0.3"}


def test_the_same_prompts_are_shown_side_by_side(workspace):
    make_run(workspace, "a"), make_run(workspace, "b", seed=1)
    app = opened()
    assert len(app.image) == 2 * len(PROMPTS)
    assert "4 common prompts, painted with different seeds" in text_of(app)


def test_what_was_handed_over_is_chosen_and_what_is_gone_is_not(workspace):
    for name in "abc":
        make_run(workspace, name)
    app = opened(**{"handed.runs": {"runs": ["c", "gone"]}})
    assert app.multiselect(key="in.runs.chosen").value == ["c"]
    assert "Choose a second run" in text_of(app)
    app.multiselect(key="in.runs.chosen").set_value([]).run()
    assert "No runs chosen" in text_of(app)


def test_tags_and_notes_are_kept_and_seen_by_another_tab(workspace):
    make_run(workspace, "a")
    first, second = opened(), opened()
    first.text_area(key="in.runs.text.a").set_value("runs well").run()
    assert read_note(workspace, "a") == Note((), "runs well")
    second.run()
    assert second.text_area(key="in.runs.text.a").value == "runs well"
    assert read_note(workspace, "a") == Note((), "runs well")
    first.multiselect(key="in.runs.tags.a").set_value(["kept"]).run()
    second.text_area(key="in.runs.text.a").set_value("runs very well").run()
    assert read_note(workspace, "a") == Note(("kept",), "runs very well")


def test_the_way_on_leads_to_decode_with_this_model(workspace):
    folder = make_run(workspace, "a")
    assert opened().button(key="do.runs.decode.a").disabled
    (folder / "checkpoints" / "step-00000020").mkdir(parents=True)
    (folder / "checkpoints" / "step-00000020" / "state.json").write_text("{}")
    assert not opened().button(key="do.runs.decode.a").disabled


@pytest.mark.parametrize("file", ["config.json", "heartbeat.json", "metrics.jsonl", "samples/step-00000020.png"])
def test_a_damaged_run_is_in_the_table_and_breaks_nothing(workspace, file):
    make_run(workspace, "good")
    (make_run(workspace, "bad") / file).write_bytes(b"\xff{half")
    app = opened(**{"in.runs.chosen": ["good", "bad"]})
    text = text_of(app)
    assert ("**bad** is damaged" in text) == (file in ("config.json", "heartbeat.json"))
    assert set(app.dataframe[0].value["run"]) == {"good", "bad"}


def test_names_tags_and_notes_are_shown_as_they_are_written(workspace):
    name = "![x](http:__127.0.0.1:9_p.png) **b** $x^2$"
    make_run(workspace, name), make_run(workspace, "b")
    text = text_of(opened())
    assert as_text(name) in text and f"**{name}**" not in text


def test_the_compared_runs_and_the_metric_are_in_the_address(workspace):
    for name in "abc":
        make_run(workspace, name)
    app = opened()
    app.multiselect(key="in.runs.chosen").set_value(["a", "c"]).run()
    assert app.query_params["in.runs.chosen"] == ["a", "c"]
    again = page_of("runs")
    again.query_params["in.runs.chosen"] = ["c", "gone"]
    again.query_params["in.runs.metric"] = "no metric"
    again.run()
    assert again.multiselect(key="in.runs.chosen").value == ["c"] and "gone is no longer there" in text_of(again)
    assert len(again.get("plotly_chart")) == 4


def test_one_metric_can_be_shown_large(workspace):
    make_run(workspace, "a")
    assert len(opened(**{"in.runs.metric": "Generative loss"}).get("plotly_chart")) == 1


def test_runs_without_differences_are_named_and_never_called_the_same(workspace):
    make_run(workspace, "a"), make_run(workspace, "b")
    text = text_of(opened())
    assert "no recorded setting, source, preset or device differs" in text and "the same." not in text


def test_a_record_that_cannot_be_read_is_left_out_of_the_differences_by_name(workspace):
    make_run(workspace, "a"), make_run(workspace, "b")
    (workspace.runs / "b" / "config.json").write_text("{half")
    text = text_of(opened(**{"in.runs.chosen": ["a", "b"]}))
    assert "b is left out: its record cannot be read" in text and "differs" not in text


def test_many_runs_are_deleted_at_once_except_those_that_are_trained(workspace, monkeypatch):
    for name in "abc":
        make_run(workspace, name)
    holders = {workspace.runs / "b": SimpleNamespace(words="here")}
    monkeypatch.setattr(run_log, "find_training", holders.get)
    deleted, refused = delete_trainings(workspace, list_trainings(workspace))
    assert sorted(deleted) == ["a", "c"] and refused == ["b is being trained here: stop it first"]
    assert [path.name for path in workspace.runs.iterdir()] == ["b"]
