"""The Checkpoints page: every section and state, clicks that select, and damaged files as one sentence."""

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from app.text import as_text
from dream.data.text import train_tokenizer
from tests.app.opening import page_of
from tests.dream.training.training_small import small_config
from tests.workbench.checkpoints.checkpoint_files import weights, write_pth, write_run, write_safetensors

PATH, SECTION = "in.checkpoints.path", "in.checkpoints.section"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A workspace with a run of two checkpoints and foreign files, sound and damaged."""
    root = tmp_path_factory.mktemp("workspace")
    config = small_config()
    captions = ["a red circle on a grey background"]
    tokenizer = train_tokenizer(captions, config.text.vocab_size, config.text.context_length)
    write_run(root / "runs" / "small", config, tokenizer)
    write_safetensors(root / "foreign.safetensors")
    write_pth(root / "authors.pth")
    sick = weights()
    sick["encoder.blocks.2.mlp.weight"][1] = 0.0
    sick["logit_scale"] = torch.tensor(float("nan"))
    save_file(sick, root / "sick.safetensors")
    (root / "text.safetensors").write_text("this is not a checkpoint")
    return root


def page(workspace: Path, monkeypatch, path: str | None = None, section: str | None = None) -> AppTest:
    """The page at a checkpoint and section, with nothing left to wait for."""
    monkeypatch.setenv("DREAM_WORKSPACE", str(workspace))
    app = page_of("checkpoints")
    if path is not None:
        app.session_state[PATH] = path
    if section is not None:
        app.session_state[SECTION] = section
    return settled(app)


def settled(app: AppTest) -> AppTest:
    """The page once no work runs any more."""
    app.run()
    for _ in range(100):
        if not any(work.running for work in works(app)):
            return app.run()
        time.sleep(0.05)
    raise AssertionError("work did not end")


def works(app: AppTest) -> list:
    """What the page computes in the background, or has computed."""
    keys = [f"work.checkpoints.{name}" for name in ("statistics", "difference", "paint")]
    return [app.session_state[key] for key in keys if key in app.session_state]


def text(app: AppTest) -> str:
    """Everything that is written on the page."""
    assert not app.exception
    parts = (app.title, app.caption, app.markdown, app.info, app.error, app.success, app.code)
    return "\n".join(str(element.value) for kind in parts for element in kind)


def metrics(app: AppTest) -> dict[str, str]:
    """The figures on top, by label."""
    return {metric.label: metric.value for metric in app.metric}


def charts(app: AppTest) -> int:
    """How many figures are drawn."""
    return len(app.get("plotly_chart"))


def test_opens_with_the_newest_checkpoint_of_the_workspace(workspace, monkeypatch):
    app = page(workspace, monkeypatch)
    assert app.session_state[PATH] == "runs/small/checkpoints/step-00000005"
    assert metrics(app)["Step"] == "5" and metrics(app)["Parts"] == "3"
    assert "checkpoint of a run" in text(app) and charts(app) == 2 and len(app.dataframe) == 1
    assert "RMS" in app.dataframe[-1].value.columns


def test_an_empty_workspace_shows_the_shipped_model(tmp_path, monkeypatch):
    app = page(tmp_path, monkeypatch, section="Training")
    assert app.session_state[PATH] == "demo" and metrics(app)["Step"] == "9,000"
    assert charts(app) == 2 and "Logit scale (averaged)" in metrics(app)


def test_what_was_measured_is_kept_for_the_next_session(workspace, monkeypatch):
    page(workspace, monkeypatch, "foreign.safetensors")
    app = page_of("checkpoints")
    app.session_state[PATH] = "foreign.safetensors"
    app.run()
    assert not works(app)
    assert "RMS" in app.dataframe[-1].value.columns


@pytest.mark.parametrize("section", ["Layers", "Averaged", "Difference", "Optimiser", "Positions", "Training"])
def test_every_section_of_a_run_draws_its_figures(workspace, monkeypatch, section):
    app = page(workspace, monkeypatch, "runs/small", section)
    assert charts(app) >= 1 and not app.error
    expected = {
        "Averaged": "Relative L2",
        "Difference": "Cosine",
        "Optimiser": "Optimiser steps",
        "Layers": "Non-finite",
        "Training": "Logit scale (averaged)",
    }
    if section in expected:
        assert expected[section] in metrics(app)


@pytest.mark.parametrize(
    "section", ["Parameters", "Layers", "Averaged", "Difference", "Optimiser", "Positions", "Training"]
)
def test_every_section_of_the_authors_file_opens(workspace, monkeypatch, section):
    app = page(workspace, monkeypatch, "authors.pth", section)
    assert not app.error
    if section == "Averaged":
        assert metrics(app)["Relative L2"] == "100.000%" and "Paint both" not in [b.label for b in app.button]


def test_a_click_in_the_tree_selects_the_tensor_and_one_on_a_layer_narrows_the_table(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "foreign.safetensors")
    tree = "do.checkpoints.tree.weights"
    click(app, tree, "tensor:encoder.blocks.2.mlp.weight")
    assert app.selectbox(key="in.checkpoints.tensor").value == "encoder.blocks.2.mlp.weight"
    click(app, tree, "layer:encoder.blocks.0")
    assert list(app.dataframe[-1].value["name"]) == [
        "encoder.blocks.0.attn.qkv.bias",
        "encoder.blocks.0.attn.qkv.weight",
    ]
    app.text_input(key="in.checkpoints.find").set_value("nothing like it").run()
    assert "No tensor name contains" in text(app)


def click(app: AppTest, key: str, id: str) -> None:
    """A click on a node of the tree, as the browser reports it."""
    points = [{"id": id}]
    app.session_state[key] = {"selection": {"points": points, "point_indices": [0], "box": [], "lasso": []}}
    app.run()


def test_a_click_on_a_cell_chooses_the_position(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "foreign.safetensors", "Positions")
    assert app.slider(key="in.checkpoints.position").value == 4  # the middle of 3 x 3
    points = [{"customdata": 7}]
    selection = {"points": points, "point_indices": [7], "box": [], "lasso": []}
    app.session_state["do.checkpoints.similarity"] = {"selection": selection}
    app.run()
    assert app.slider(key="in.checkpoints.position").value == 7


def test_sick_values_are_named(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "sick.safetensors", "Layers")
    assert metrics(app)["Non-finite"] == "1" and metrics(app)["Zero rows"] == "1"
    noticed = app.dataframe[-1].value
    assert dict(zip(noticed["tensor"], noticed["problems"], strict=True)) == {
        "encoder.blocks.2.mlp.weight": "1 of 4 rows zero",
        "logit_scale": "1 NaN",
    }


def test_a_difference_names_what_has_no_partner(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "foreign.safetensors", "Difference")
    app.selectbox(key="in.checkpoints.other").set_value("sick.safetensors")
    assert "Both have the same tensors" in text(settled(app))
    app.selectbox(key="in.checkpoints.other").set_value("foreign.safetensors")
    assert "same weights" in text(settled(app))
    app.selectbox(key="in.checkpoints.other").set_value("runs/small/checkpoints/step-00000005")
    app = settled(app)
    assert any(expander.label.startswith("Missing") for expander in app.expander)


def test_pictures_of_raw_and_averaged_weights_stand_side_by_side(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "runs/small", "Averaged")
    app.text_area(key="in.checkpoints.prompts").set_value("a red circle\na grey background")
    app.button(key="do.checkpoints.paint").click()
    app = settled(app)
    assert len(app.image) == 4 and text(app).count("differ by") == 2


def test_no_prompt_is_one_sentence(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "runs/small", "Averaged")
    app.text_area(key="in.checkpoints.prompts").set_value(" ")
    app.button(key="do.checkpoints.paint").click().run()
    assert [error.value for error in app.error] == ["Enter 1 to 8 prompts, one per line; got 0."]


def test_an_exported_model_says_that_it_has_averaged_weights_only(workspace, monkeypatch):
    assert "averaged weights only" in text(page(workspace, monkeypatch, "demo", "Averaged"))
    assert "No optimiser state" in text(page(workspace, monkeypatch, "demo", "Optimiser"))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("text.safetensors", "not readable"),
        ("nothing.pth", "There is no"),
        ("../outside", "outside of the workspace"),
        (" ", "No path given"),
        ("runs", "holds no checkpoint"),
    ],
)
def test_a_wrong_path_is_one_sentence(workspace, monkeypatch, path, word):
    app = page(workspace, monkeypatch, path)
    assert not app.exception and len(app.error) == 1 and word in app.error[0].value


def test_another_page_hands_a_checkpoint_over(workspace, monkeypatch):
    monkeypatch.setenv("DREAM_WORKSPACE", str(workspace))
    app = page_of("checkpoints")
    app.session_state["handed.checkpoints"] = {"path": str(workspace / "authors.pth")}
    app = settled(app)
    assert app.session_state[PATH] == "authors.pth" and "torch file" in text(app)


def test_a_large_file_waits_for_a_click(workspace, monkeypatch):
    monkeypatch.setattr("app.checkpoints.common.SMALL", 10)
    path = write_safetensors(workspace / "large.safetensors", {"a.w": torch.ones(100, 100)})
    app = page(workspace, monkeypatch, path.name, "Layers")
    assert "must be read once" in text(app) and not charts(app)
    app.button(key="do.checkpoints.statistics.start").click()
    assert charts(settled(app)) == 2


def test_values_that_are_no_numbers_and_missing_files_are_said_first(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "sick.safetensors", "Layers")
    assert "1 tensor holds values that are NaN or infinite" in app.error[0].value
    assert r"logit\_scale" in app.error[0].value
    assert not page(workspace, monkeypatch, "foreign.safetensors").error
    (workspace / "set").mkdir()
    save_file({"a": torch.ones(2)}, workspace / "set" / "model-00001-of-00002.safetensors")
    app = page(workspace, monkeypatch, "set")
    assert "model-00002-of-00002" in app.error[0].value and "missing" in app.error[0].value


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("Parameters", "part", "ema"),
        ("Parameters", "tensor", "head.out.bias"),
        ("Parameters", "find", "bias"),
        ("Difference", "other", "foreign.safetensors"),
        ("Averaged", "averaged_rows", "tensors"),
        ("Positions", "component", 2),
        ("Positions", "centred", "false"),
    ],
)
def test_the_address_opens_what_it_names(workspace, monkeypatch, section, name, value):
    monkeypatch.setenv("DREAM_WORKSPACE", str(workspace))
    app = page_of("checkpoints")
    for key, one in (("path", "runs/small"), ("section", section), (name, str(value))):
        app.query_params[f"in.checkpoints.{key}"] = one
    shown = settled(app).session_state[f"in.checkpoints.{name}"]
    assert not app.exception and not app.error
    if name == "tensor":  # the model of this test may have other names; an unknown one is the largest tensor
        assert shown in app.selectbox(key="in.checkpoints.tensor").options
    else:
        assert str(shown).lower() == str(value)


@pytest.mark.parametrize(("name", "value"), [("section", "All"), ("part", "none"), ("tensor", "x"), ("component", "0")])
def test_an_address_with_an_impossible_value_opens_the_first_view(workspace, monkeypatch, name, value):
    monkeypatch.setenv("DREAM_WORKSPACE", str(workspace))
    app = page_of("checkpoints")
    app.query_params[f"in.checkpoints.{name}"] = value
    assert not settled(app).exception and not app.error


def test_names_and_types_of_a_file_are_text(tmp_path, monkeypatch):
    evil = "![x](http://127.0.0.1:9/p.png) **b** $x$ :red[r] <b>h</b>"
    torch.save({"model": {evil: torch.full((2, 2), float("nan")), "b": torch.ones(3)}}, tmp_path / "evil.pth")
    for section in ("Parameters", "Layers", "Difference"):
        app = page(tmp_path, monkeypatch, "evil.pth", section)
        assert evil not in text(app)
        for chart in app.get("plotly_chart"):
            for trace in json.loads(chart.proto.spec)["data"]:  # ids are for clicks, and never drawn
                assert "<b>h" not in str({key: value for key, value in trace.items() if key not in ("ids", "parents")})
    assert as_text(evil) in app.error[0].value


def test_sick_tensors_come_first_in_the_table(workspace, monkeypatch):
    app = page(workspace, monkeypatch, "sick.safetensors")
    assert app.dataframe[-1].value["name"][0] == "logit_scale" and as_text("logit_scale") in app.error[0].value
