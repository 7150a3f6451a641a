"""Results on disk, what a source is, the table, and the paper's figures beside ours."""

import json
import math
import multiprocessing
import os
from dataclasses import replace

import numpy as np
import pytest

from dream.data.report import BROKEN_PICTURE, DataReport, reports_made
from dream.errors import InputError
from dream.evaluation.fingerprint import fingerprint, paths_in
from dream.evaluation.paper import METRICS, PUBLISHED, metric_of, published_for
from dream.evaluation.results import (
    Results,
    TaskResult,
    add_entry,
    read_folder,
    read_results,
    results_path,
    write_results,
)
from dream.evaluation.statistics import Estimate, Measure, share
from dream.evaluation.table import grouped, markdown_table, text_table
from dream.presets import tiny

NAN = Estimate(math.nan, math.nan, math.nan, 0)


def measure(task="probe", name="accuracy", value=0.5, **where):
    return Measure(task, name, where, Estimate(value, value - 0.1, value + 0.1, 10))


def entry(*measures, **fields):
    known = TaskResult("probe", "shapes", {"count": 3}, {}, 0, "ema", "abc", {"level": 1}, "dream", 7)
    return replace(known, measures=measures, **fields)


# on disk


def test_what_is_written_is_what_is_read(tmp_path):
    odd = entry(Measure("probe", "nothing", {"ratios": [0.1]}, NAN), measure(label="shape"), time=2.0)
    write_results(tmp_path, Results("a", "runs/a", (odd, entry(skipped="why"))))
    found = read_results(tmp_path / "a.json")
    assert (found.name, found.model) == ("a", "runs/a")
    assert found.entries[0].measures[1] == odd.measures[1] and found.entries[1] == entry(skipped="why")
    assert math.isnan(found.entries[0].measures[0].estimate.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_json_cannot_write_is_damage(tmp_path, number):
    write_results(tmp_path, Results("a", "runs/a", (entry(measure(label="shape")),)))
    path = tmp_path / "a.json"
    path.write_text(path.read_text().replace('"label": "shape"', f'"label": {number}'))
    with pytest.raises(InputError, match="not finite"):
        read_results(path)


def test_a_setting_that_older_results_do_not_have_counts_as_its_default():
    old = entry(settings={"count": 3})
    assert old.same_question(entry(settings={"count": 3, "form": "both"}))
    assert not old.same_question(entry(settings={"count": 3, "form": "names"}, changed={"form": "names"}))
    assert not old.same_question(entry(settings={"count": 4, "form": "both"}))
    of_form = entry(settings={"count": 3, "form": "names"}, changed={"form": "names"})
    assert not of_form.same_question(old) and of_form.same_question(of_form)


def test_results_of_an_earlier_version_open_without_a_kind_of_interval(tmp_path):
    found = share(np.arange(40) < 9, "prompts")
    write_results(tmp_path, Results("m", "demo", (entry(Measure("knn", "accuracy", {}, found)),)))
    path = results_path(tmp_path, "m")
    assert read_results(path).entries[0].measures[0].estimate == found
    tree = json.loads(path.read_text())
    for measure in tree["entries"][0]["measures"]:
        del measure["kind"], measure["rows"]
    path.write_text(json.dumps(tree))
    old = read_results(path)
    assert old.entries[0].measures[0].estimate == replace(found, kind="", rows="")
    assert not grouped([old])[0].notes


def test_an_entry_takes_the_place_of_the_one_that_answers_the_same_question(tmp_path):
    add_entry(tmp_path, "a", "runs/a", entry(measure(value=0.1)))
    add_entry(tmp_path, "a", "runs/a", entry(measure(value=0.2)))
    for changed in ({"seed": 1}, {"settings": {"count": 4}}, {"model_id": "new"}, {"fingerprint": {"level": 2}}):
        add_entry(tmp_path, "a", "runs/a", entry(measure(), **changed))
    (found,) = read_folder(tmp_path)
    assert len(found.entries) == 5
    assert found.find(entry()).measures[0].estimate.value == 0.2
    assert found.find(entry(task="knn")) is None


def add_twenty(folder, seeds):
    for seed in seeds:
        add_entry(folder, "a", "runs/a", entry(measure(), seed=seed))


def test_three_processes_that_add_twenty_results_each_keep_sixty(tmp_path):
    context = multiprocessing.get_context("fork")
    shares = [range(first, first + 20) for first in (0, 20, 40)]
    processes = [context.Process(target=add_twenty, args=(tmp_path, seeds)) for seeds in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert sorted(each.seed for each in read_results(tmp_path / "a.json").entries) == list(range(60))


def test_what_was_skipped_is_asked_again():
    assert Results("a", "", (entry(skipped="no joint space"),)).find(entry()) is None


def test_only_the_newest_weights_are_current():
    old, new = entry(measure(value=0.1), time=1.0), entry(measure(value=0.2), time=2.0, model_id="new")
    raw = entry(measure(value=0.3), time=1.0, weights="raw", model_id="raw")
    assert Results("a", "", (old, new, raw)).current().entries == (new, raw)
    again = replace(new, fingerprint={"level": 2}, time=3.0)
    assert Results("a", "", (new, again)).current().entries == (again,)


def test_what_was_measured_last_is_current_although_the_clock_was_put_back():
    old, new = entry(measure(value=0.1), time=9e3), entry(measure(value=0.2), time=2.0)
    other = replace(new, model_id="other", time=1.0)
    assert Results("a", "", (old, new)).current().entries == (new,)
    assert Results("a", "", (old, new, other)).current().entries == (other,)


def test_a_hub_set_is_the_same_where_its_revision_is_not_known():
    here = entry(fingerprint={"name": "a/b", "revision": "1"})
    assert here.same_question(entry(fingerprint={"name": "a/b", "revision": None}))
    assert not here.same_question(entry(fingerprint={"name": "a/b", "revision": "2"}))
    assert not here.same_question(entry(fingerprint={"name": "a/c", "revision": None}))


# what a source is


def test_the_names_of_the_few_shot_sets_stand_for_their_data(tmp_path, monkeypatch):
    monkeypatch.setattr("dream.evaluation.fingerprint._revision", lambda name: None)
    assert fingerprint("cifar10", tiny()) == {"cifar10": {"name": "uoft-cs/cifar10", "revision": None}}
    assert len(fingerprint("few-shot-14", tiny())) == 14
    (tmp_path / "cars" / "train").mkdir(parents=True)
    (tmp_path / "cars" / "train" / "a.png").write_bytes(b"1")
    found = fingerprint(f"few-shot-14:{tmp_path}", tiny())
    assert found == {"cars": fingerprint(str(tmp_path / "cars"), tiny())}
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        fingerprint("cifar11", tiny())


def test_a_set_of_a_collection_counts_its_revision_only_where_both_are_known():
    here = entry(fingerprint={"a": {"name": "x", "revision": "1"}})
    assert here.same_question(entry(fingerprint={"a": {"name": "x", "revision": None}}))
    assert not here.same_question(entry(fingerprint={"a": {"name": "x", "revision": "2"}}))
    assert not here.same_question(entry(fingerprint={"a": {"name": "y", "revision": None}}))


def test_a_fingerprint_changes_with_the_files_and_with_nothing_else(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("one")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    first = fingerprint(str(tmp_path), tiny())
    assert first == fingerprint(str(tmp_path), tiny()) == fingerprint(f"hf:{tmp_path}", tiny())
    assert first["files"] == 2
    os.utime(tmp_path / "a" / "x.txt", (1, 1))
    second = fingerprint(str(tmp_path), tiny())
    (tmp_path / "a" / "x.txt").rename(tmp_path / "a" / "y.txt")
    third = fingerprint(str(tmp_path), tiny())
    assert len({d["hash"] for d in (first, second, third)}) == 3


def test_shapes_are_told_apart_by_level_and_size_and_shards_by_their_files(tmp_path):
    assert fingerprint("shapes", tiny()) == {"level": 1, "size": 30, "version": 1}
    for name in ("s-0.tar", "s-1.tar", "other.txt"):
        (tmp_path / name).write_bytes(b"x" * 10)
    assert fingerprint(str(tmp_path / "s-{0..1}.tar"), tiny())["bytes"] == 20
    with pytest.raises(InputError, match="no file matches"):
        fingerprint(str(tmp_path / "t-*.tar"), tiny())


def test_reports_made_in_a_block_are_known_to_who_asked():
    outside = DataReport()
    with reports_made() as found:
        first, second = DataReport(), DataReport()
    DataReport()
    assert found == [first, second] and outside not in found
    first.add(BROKEN_PICTURE, "s", "a", "torn")
    second.add(BROKEN_PICTURE, "s", "a", "torn")
    second.add(BROKEN_PICTURE, "s", "b")
    first.join(second)
    assert first.total == 2


# the table


def columns():
    mine = entry(measure(label="shape", form="lars"), measure(label="ground", form="lars"), objective="clip")
    return [Results("a", "", (mine,)), Results("b", "", (entry(skipped="no probe"),))]


def test_conditions_of_all_rows_are_said_once():
    (group,) = grouped(columns())
    assert group.heading == "probe on shapes, form lars"
    assert list(group.rows) == ["accuracy, label shape", "accuracy, label ground"]
    assert group.notes == ["b: skipped, no probe"]


def test_a_condition_of_zero_is_one_and_false_goes_without_saying():
    (group,) = grouped([Results("a", "", (entry(measure(mask_ratio=0, x=False), measure(mask_ratio=0.5)),))])
    assert list(group.rows) == ["accuracy, mask ratio 0", "accuracy, mask ratio 0.5"]


def test_models_that_saw_different_data_are_told_so():
    other = entry(measure(), fingerprint={"level": 2})
    (group,) = grouped([Results("a", "", (entry(measure()),)), Results("b", "", (other,))])
    assert group.notes == ['not the same data: a {"level": 1}; b {"level": 2}']


def test_settings_seeds_and_raw_weights_have_a_heading_of_their_own():
    special = entry(measure(), changed={"count": 3, "names": ["a", "b"]}, seed=2, weights="raw")
    headings = [group.heading for group in grouped([Results("a", "", (entry(measure()), special))])]
    assert headings == ["probe on shapes", "probe on shapes, count=3, names=a,b, seed 2, raw weights"]


def test_the_paper_stands_beside_with_its_model_and_data_set():
    lines = text_table(columns())
    assert "paper (on its own data)" in lines[0]
    assert lines[2].endswith("0.500 [0.400, 0.600]                     -  CLIP 0.716 (ImageNet-1K)")
    assert "| accuracy, label shape | 0.500 [0.400, 0.600] | - | CLIP 0.716 (ImageNet-1K) |" in markdown_table(
        columns()
    )
    knn = [Results("a", "", (entry(measure("knn"), task="knn"),))]
    assert "paper" not in "\n".join(text_table(knn) + markdown_table(knn))


def test_a_long_label_goes_over_lines_and_its_numbers_stand_in_the_column():
    long = {f"condition_{i}": i for i in range(12)}
    rows = (measure(name="plain"), measure(name="long", value=0.25, **long))
    lines = text_table([Results("demo", "demo", (entry(*rows),))])
    assert max(map(len, lines)) < 100
    assert {line.index("[") for line in lines if "[" in line} == {lines[2].index("[")}
    assert " ".join(" ".join(lines[3:]).split()).startswith("long, condition 0 0, condition 1 1,")


def test_what_has_no_value_is_called_undefined():
    auc = Measure("selection", "AUC", {}, NAN)  # no candidate was wrong
    lines = text_table([Results("demo", "demo", (entry(auc),))])
    assert lines[-1].split() == ["AUC", "undefined"]


def test_nothing_is_an_empty_table():
    assert text_table([]) == [""] and markdown_table([]) == []


# the paper


def test_the_papers_table_has_a_figure_for_each_model_that_can_have_one():
    counts = {m: sum(p.model == m and p.metric in METRICS for p in PUBLISHED) for m in ("MAR", "CLIP", "DREAM")}
    assert counts == {"MAR": 5, "CLIP": 5, "DREAM": 7}
    assert all(p.source for p in PUBLISHED)


def test_published_figures_are_of_the_models_objective_or_of_dream():
    probe = measure(form="lars")
    assert [(p.model, p.value) for p in published_for(probe, ["clip", "mar", "clip"])] == [
        ("CLIP", 0.716),
        ("MAR", 0.507),
    ]
    assert [p.model for p in published_for(measure("generation", "FID"), ["clip"])] == ["DREAM"]
    assert published_for(measure(form="logistic")) == [] and metric_of(measure("knn")) is None


def test_a_shift_has_the_figure_of_its_own_set_only():
    assert metric_of(measure("robustness", shift="imagenet-r")).data == "ImageNet-R"
    assert metric_of(measure("robustness", shift="worn")) is None
    assert metric_of(measure("robustness", "accuracy unshifted", shift="imagenet-r")) is None


def test_what_settings_name_on_disk_counts_by_its_content(tmp_path):
    (tmp_path / "weights").write_text("one")
    named = {"weights": str(tmp_path / "weights"), "sets": [str(tmp_path)], "form": "lars", "count": 3}
    first = paths_in(named)
    assert set(first) == {"weights", "sets"}
    (tmp_path / "weights").write_text("another")
    assert not first.items() & paths_in(named).items()
