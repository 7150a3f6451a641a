"""The results that are there: folders, damaged files, models that changed since, and the tables and files."""

import csv
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from dream.evaluation.results import Results, write_results
from dream.evaluation.statistics import Measure, mean, share
from dream.evaluation.table import grouped
from dream.pretrained import SHIPPED, weights_file
from dream.training import checkpoint
from tests.workbench.evaluate.sample_results import all_results, entry, estimate, named, results
from workbench.evaluate import table
from workbench.evaluate.results import of_task, read_shelf, result_folders, selected, sources_in, standing, tasks_in
from workbench.workspace import open_workspace


@pytest.fixture
def here(tmp_path):
    return open_workspace(tmp_path)


def test_folders_are_those_that_hold_results_the_own_one_first(here):
    assert result_folders(here) == []
    for folder in ("results/b/deep", "results", "results/a"):
        write_results(here.root / folder, results("dream"))
    (here.root / "results" / "plan").mkdir()
    (here.root / "results" / "plan" / "plan.json").write_text('{"minutes": 3}')
    assert result_folders(here) == ["results", "results/a", "results/b/deep"]


def test_a_damaged_file_is_named_and_the_others_are_read(here):
    write_results(here.results, results("dream"))
    (here.results / "torn.json").write_text('{"format": 2, "name"')
    (here.results / "old.json").write_text('{"format": 1}')
    (here.results / "other.json").write_text('{"minutes": 3}')
    shelf = read_shelf(here.results)
    assert [result.name for result in shelf.results] == ["dream"]
    assert {path.name for path, _ in shelf.damaged} == {"torn.json", "old.json"}
    assert any("damaged" in why for _, why in shelf.damaged)
    assert any("another format version" in why for _, why in shelf.damaged)


def test_a_file_that_was_written_again_is_read_again(here):
    write_results(here.results, results("dream"))
    assert len(read_shelf(here.results).results[0].entries) > 1
    write_results(here.results, Results("dream", "runs/dream", results("dream").entries[:1]))
    assert len(read_shelf(here.results).results[0].entries) == 1


# weights then and now


def measured(model: str, model_id: str, **fields) -> Results:
    return Results("m", model, (entry("knn", [], model_id=model_id, **fields),))


def test_a_model_is_the_same_changed_or_unknown(here):
    folder = here.root / "runs" / "demo"
    shutil.copytree(SHIPPED["demo"], folder)
    now = checkpoint.weights_id(folder, weights_file(folder))
    step = checkpoint.read_state(folder).step
    same = standing(here, measured("runs/demo", now, step=step))
    changed = standing(here, measured("runs/demo", "another", step=7))
    assert same.state == "same" and f"step {step:,}" in same.sentence
    assert changed.state == "changed" and "step 7 then" in changed.sentence
    gone = standing(here, measured("runs/gone", now))
    assert gone.state == "unknown" and "no such model" in gone.sentence
    assert standing(here, measured("/etc", now)).state == "unknown"
    assert standing(here, measured("demo", now, step=step)).state == "same"
    assert standing(here, Results("m", "demo")).state == "unknown"


def test_the_newest_entry_says_what_was_measured_and_the_older_are_counted(here):
    old = entry("knn", [], model_id="old", time=1.0)
    new = entry("knn", [], model_id="new", time=2.0)
    found = standing(here, Results("m", "demo", (new, old)))
    assert found.state == "changed" and found.older == 1


# what is shown


def test_what_is_shown_is_of_the_chosen_models_and_data():
    other = replace(results("clip").entries[0], data="sets/birds")
    both = [results("dream"), Results("clip", "", (*results("clip").entries, other))]
    assert sources_in(both) == ["shapes", "sets/birds"]
    (clip,) = selected(both, ["clip"], "sets/birds")
    assert [e.data for e in clip.entries] == ["sets/birds"]
    assert tasks_in(of_task(both, "probe")) == ["probe"]
    assert "selection" in tasks_in(both)


def test_a_section_says_the_kinds_of_its_intervals_and_why_some_numbers_have_none():
    counted = share(np.arange(64) < 9, "prompts")
    measures = [Measure("knn", name, {}, e) for name, e in (("a", counted), ("b", mean([1.0, 2.0], "prompts")))]
    (section,) = table.sections([Results("m", "demo", (entry("knn", measures),))])
    assert section.notes == ("95 % Wilson interval, n = 64 prompts", "too few prompts for an interval: 2")
    assert [row["m"] for row in section.rows] == [str(counted), "1.500 (no interval)"]
    rows = list(
        csv.DictReader(io.StringIO(table.table_csv([Results("m", "demo", (entry("knn", measures),))]).decode()))
    )
    assert [(row["kind"], row["rows"]) for row in rows] == [("wilson", "prompts"), ("too few rows", "prompts")]
    assert rows[1]["low"] == rows[1]["high"] == ""


def test_the_table_has_every_measure_of_every_model_with_its_interval():
    found = [result.current() for result in all_results()]
    shown = table.sections(found)
    assert sum(len(s.rows) for s in shown) == sum(len(group.rows) for group in grouped(found))
    probe = next(section for section in shown if section.task == "probe")
    assert probe.columns == (table.MEASURE, "dream", "clip", "fluid", "mar", table.PAPER)
    assert probe.rows[0]["clip"] == "0.850 [0.830, 0.870]"
    assert "CLIP 0.716" in probe.rows[0][table.PAPER] and "ImageNet-1K" in probe.rows[0][table.PAPER]
    prompts = next(section for section in shown if section.task == "prompts")
    assert prompts.rows[0]["clip"] == "–" and table.PAPER not in prompts.columns
    assert any("skipped, it cannot paint" in note for note in prompts.notes)
    order = [section.task for section in shown]
    assert order.index("retrieval") < order.index("probe") < order.index("selection")


def test_a_search_keeps_the_rows_with_all_its_words():
    found = table.sections([results("dream")], "R@1 0.75")
    assert [section.task for section in found] == ["retrieval"]
    assert all("0.75" in row[table.MEASURE] for row in found[0].rows) and len(found[0].rows) == 2
    assert table.sections([results("dream")], "no such row") == []


def test_what_is_no_number_is_undefined():
    nan = estimate(float("nan"))
    measure = replace(results("dream").entries[0].measures[0], estimate=nan)
    assert table.measure_cell(measure) == "undefined"


def test_files_hold_every_measure_and_read_back():
    found = [results("dream").current(), named(results("clip"), "other").current()]
    rows = list(csv.DictReader(io.StringIO(table.table_csv(found).decode())))
    assert len(rows) == sum(len(e.measures) for result in found for e in result.entries)
    probe = next(row for row in rows if row["task"] == "probe" and row["model"] == "other")
    assert float(probe["low"]) < float(probe["value"]) < float(probe["high"])
    assert probe["paper"] == "CLIP 0.716"
    tree = json.loads(table.table_json(found))
    assert list(tree) == ["dream", "other"] and len(tree["dream"]) == len(found[0].entries)
    assert table.table_markdown(found).decode().startswith("### retrieval on shapes")
