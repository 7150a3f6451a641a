"""Runs are compared by their best numbers, by fields that differ, and by the same prompts' pictures."""

import dataclasses
import json

import numpy as np
import pytest

from dream.decoding import pictures
from dream.overrides import override
from dream.presets import tiny
from dream.training.run_log import RunLog
from workbench.runs.compare import common_prompts, cut_sheet, differences, glance, sheet_at, sheet_steps

PROMPTS = ["a red circle", "a very long caption of a thing that needs several lines to be said", "b", "c", "d", "e"]


def make_run(folder, *assignments, **record):
    folder.mkdir(parents=True)
    config = override(tiny(), assignments)
    RunLog(folder).record({"config": config.to_dict(), "source": "shapes", "preset": "tiny", **record})
    return folder


def paint(folder, step, prompts=PROMPTS, seed=0):
    rng = np.random.default_rng(step)
    painted = rng.integers(0, 256, (len(prompts), 3, 30, 30), dtype=np.uint8)
    panels = [pictures.SheetPanel(p, text) for p, text in zip(painted, prompts, strict=True)]
    sheet = pictures.draw_sheet(pictures.panel_rows(panels, 4), heading=f"step {step}")
    about = {"prompts": list(prompts), "settings": {"seed": seed}}
    pictures.save_png(sheet, folder / "samples" / f"step-{step:08d}.png", about)
    return painted


def test_a_glance_holds_the_best_of_the_validations_and_the_last_speed(tmp_path):
    rows = [
        {"kind": "validation", "step": 0, "loss": 3.0, "text_to_image_r1_at_0.00": 0.5},
        {"kind": "train", "step": 10, "lr": 1.0, "samples_per_second": 50.0},
        {"kind": "validation", "step": 10, "loss": 2.0, "text_to_image_r1_at_0.00": 0.4},
    ]
    log = tmp_path / "metrics.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"kind": "train", "st')
    assert glance(log) == (2.0, 0.5, None, 50.0)
    assert glance(tmp_path / "none") == (None, None, None, None)


def test_only_fields_that_differ_are_listed(tmp_path):
    a = make_run(tmp_path / "a", parameters=1000)
    b = make_run(tmp_path / "b", "masking.std=0.3", parameters=1000, device="cuda")
    rows = differences({"a": a, "b": b})
    assert {row["field"]: (row["a"], row["b"]) for row in rows} == {
        "device": ("–", "cuda"),
        "masking.std": ("0.45", "0.3"),
    }
    assert differences({"a": a, "again": a}) == []


def test_a_damaged_record_does_not_make_everything_differ(tmp_path):
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    (b / "config.json").write_text("{")
    assert differences({"a": a, "b": b}) == []


def test_pictures_cut_out_of_a_sheet_are_those_that_were_painted(tmp_path):
    run = make_run(tmp_path / "a")
    painted = paint(run, 10)
    sheet = sheet_at("a", run, 10)
    assert list(sheet.tiles) == PROMPTS and sheet.seed == 0
    for prompt, picture in zip(PROMPTS, painted, strict=True):
        np.testing.assert_array_equal(
            np.asarray(sheet.tiles[prompt]), np.asarray(pictures.enlarged_for_screen(picture))
        )


@pytest.mark.parametrize("count", [1, 2, 4, 5, 8])
def test_sheets_of_any_number_of_prompts_are_cut(tmp_path, count):
    run = make_run(tmp_path / "a")
    paint(run, 1, [f"prompt {i}" for i in range(count)])
    found = len(sheet_at("a", run, 1).tiles)
    assert found == (count if count >= 3 else 0)  # a sheet has a least width, so of two it is shown whole


def test_the_last_sheet_up_to_a_step_is_shown_and_the_first_before_it(tmp_path):
    run = make_run(tmp_path / "a")
    for step in (10, 20):
        paint(run, step)
    assert [sheet_at("a", run, step).step for step in (5, 10, 15, 99)] == [10, 10, 10, 20]
    assert sheet_steps([run, tmp_path / "none"]) == [10, 20]
    assert sheet_at("none", tmp_path / "none", 5) is None


def test_a_sheet_that_cannot_be_cut_is_shown_whole(tmp_path):
    run = make_run(tmp_path / "a")
    paint(run, 10)
    (run / "samples" / "step-00000020.png").write_bytes(b"half a picture")
    sheet = sheet_at("a", run, 20)
    assert sheet.tiles == {} and sheet.step == 20
    assert (
        cut_sheet(
            pictures.draw_sheet([pictures.SheetRow([pictures.SheetPanel(np.zeros((3, 8, 8), np.uint8))])]), PROMPTS
        )
        == {}
    )


def test_common_prompts_are_those_of_all(tmp_path):
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    paint(a, 1, ["x", "y", "z"]), paint(b, 1, ["z", "other", "x"])
    sheets = [sheet_at("a", a, 1), sheet_at("b", b, 1)]
    assert common_prompts(sheets) == ["x", "z"] and common_prompts([]) == []
    assert dataclasses.is_dataclass(sheets[0])
