"""What is asked for before it is measured: names, the command, which tasks fit, what is wrong in settings."""

import pytest

from dream.commands.evaluate import _models
from dream.errors import InputError
from dream.evaluation.tasks import TASKS, chosen_settings
from dream.presets import preset
from workbench.evaluate.fields import all_settings, matching
from workbench.evaluate.plan import (
    GROUPS,
    QUICK,
    QUICK_SETTINGS,
    EvaluationPlan,
    checked,
    complaints,
    first_look,
    model_column,
    named_apart,
    named_sources,
    split_assignments,
    verdicts,
)
from workbench.workspace import open_workspace


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return open_workspace(tmp_path)


def test_every_task_is_in_one_group():
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(TASKS)
    assert set(QUICK) <= set(TASKS) and not any(TASKS[name].named_only for name in QUICK)


def test_the_first_look_is_a_command_that_the_command_line_takes(here):
    plan = checked(here, first_look())
    assert plan.arguments()[:5] == ("evaluate", "--model", "demo", "--tasks", ",".join(QUICK))
    assert plan.arguments()[-len(QUICK_SETTINGS) :] == QUICK_SETTINGS
    chosen_settings([TASKS[name] for name in QUICK], QUICK_SETTINGS)


def test_what_is_at_its_default_goes_unsaid_and_nothing_else():
    plain = EvaluationPlan(("demo",), ("knn",))
    assert plain.arguments() == ("evaluate", "--model", "demo", "--tasks", "knn")
    full = EvaluationPlan(("demo",), ("knn",), ("a", "b"), ("knn.k=3",), 2, True, True, "results/x").arguments()
    for words in ("--data a", "--data b", "--out results/x", "--set knn.k=3", "--seed 2"):
        at = [i for i in range(len(full) - 1) if " ".join(full[i : i + 2]) == words]
        assert len(at) == 1, words
    assert "--raw" in full and "--overwrite" in full


def test_columns_are_named_as_the_command_names_them(here):
    words = ["demo", "runs/a", "runs/b/checkpoints/step-00000100", "x=runs/c"]
    assert [model_column(word) for word in words] == list(_models(words))


def test_two_models_of_one_name_are_told_apart(here):
    words = named_apart(here, ["runs/a", "other/a", " runs/a "])
    assert words == ("runs/a", "other a=other/a")
    assert list(_models(list(words))) == ["a", "other a"]
    with pytest.raises(InputError, match="two models are named 'x'"):
        named_apart(here, ["x=runs/a", "x=runs/b"])
    with pytest.raises(InputError, match="column's name"):
        named_apart(here, ["a/b=runs/b"])


def test_the_few_shot_sets_go_by_name_and_their_folder_stays_inside(here):
    folder = here.root / "sets"
    (folder / "cars").mkdir(parents=True)
    assert named_sources(here, ["cifar10", "few-shot-14"]) == ("cifar10", "few-shot-14")
    assert named_sources(here, ["few-shot-14:sets"]) == (f"few-shot-14:{folder}",)
    for word in ("few-shot-14:/etc", "few-shot-14:nowhere"):
        with pytest.raises(InputError):
            named_sources(here, [word])


def test_a_path_outside_of_the_workspace_is_refused_wherever_it_stands(here):
    for plan in (
        EvaluationPlan(("/etc/passwd",), ("knn",)),
        EvaluationPlan(("x=../run",), ("knn",)),
        EvaluationPlan(("demo",), ("knn",), ("/etc",)),
        EvaluationPlan(("demo",), ("knn",), out="/tmp/elsewhere"),
        EvaluationPlan(("demo",), ("generation",), assignments=("generation.inception=/etc/passwd",)),
        EvaluationPlan(("demo",), ("robustness",), assignments=("robustness.shifted=hf:a/b,../c",)),
    ):
        with pytest.raises(InputError, match="outside of the workspace"):
            checked(here, plan)


def test_what_is_missing_is_said_before_anything_starts(here):
    here.results.mkdir()
    (here.results / "file").write_text("")
    for plan, words in (
        (EvaluationPlan(tasks=("knn",)), "choose a model"),
        (EvaluationPlan(("demo",)), "at least one task"),
        (EvaluationPlan(("demo",), ("knn",), ()), "choose the data"),
        (EvaluationPlan(("runs/none",), ("knn",)), "no such model"),
        (EvaluationPlan(("demo",), ("knn",), ("nowhere",)), "there is no"),
        (EvaluationPlan(("demo",), ("edits",), ("hf:a/b",)), "needs an answer key"),
        (EvaluationPlan(("demo",), ("knn",), assignments=("knn.kk=3",)), "did you mean 'knn.k'"),
        (EvaluationPlan(("demo",), ("knn",), out="results/file"), "is a file"),
        (EvaluationPlan(("demo",), ("knn",), out="runs"), "below results"),
    ):
        with pytest.raises(InputError, match=words):
            checked(here, plan)


def test_a_plan_speaks_of_the_workspace_by_short_paths(here):
    (here.root / "pictures").mkdir()
    plan = checked(
        here, EvaluationPlan(("demo",), ("knn",), (str(here.root / "pictures"), "pictures"), out="results/a")
    )
    assert (plan.sources, plan.out) == (("pictures",), "results/a")


# which tasks fit


def test_a_task_fits_the_models_that_were_trained_for_it_and_the_data_that_it_takes():
    configs = {name: preset("tiny", name) for name in ("dream", "clip", "mar")}
    found = verdicts(configs, ["shapes"])
    assert found["retrieval"].models == ("dream", "clip")
    assert found["selection"].models == ("dream",) and found["knn"].models == ("dream", "clip", "mar")
    assert any(reason.startswith("mar: it was trained without") for reason in found["prompts"].reasons)
    assert all(verdict.fits and verdict.sources == ("shapes",) for verdict in found.values())
    tar = verdicts(configs, ["shard-000.tar"])
    assert not tar["edits"].fits and "needs an answer key" in tar["edits"].reasons[0]
    assert tar["losses"].fits and not tar["probe"].fits
    assert not any(verdict.fits for verdict in verdicts({}, ["shapes"]).values())


# settings


def test_each_assignment_that_is_wrong_is_named_in_the_commands_own_words():
    wrong = complaints(["knn", "edits"], ["knn.k=1,x", "edits.count=10", "edit.count=3", "knn.pool=all"])
    assert len(wrong) == 3
    assert "whole number" in wrong[0] and "did you mean 'edits'" in wrong[1] and "knn.pool" in wrong[2]
    assert complaints(["knn"], ["edits.count=3"]) == [
        "--set edits.count=3: 'edits' is not among the --tasks to measure"
    ]
    assert "selection.count" in complaints(["selection"], ["selection.count=1"])[0]
    assert complaints(["knn"], []) == []


def test_assignments_are_one_a_line():
    assert split_assignments(" knn.k=3 \n\n# note\n--set edits.count=4") == ["knn.k=3", "edits.count=4"]


def test_every_setting_is_listed_with_a_default_that_the_command_takes_and_most_with_a_text():
    settings = all_settings()
    assert {setting.task for setting in settings} == set(TASKS)
    assert complaints(list(TASKS), [setting.assignment for setting in settings]) == []
    assert sum(bool(setting.about) for setting in settings) == len(settings)
    inherited = next(setting for setting in settings if setting.key == "depth.epochs")
    assert inherited.about


def test_settings_are_found_by_all_words_of_a_query():
    found = matching(all_settings(), "Mask share", ["losses", "retrieval"])
    assert [setting.key for setting in found] == ["losses.mask_ratios", "retrieval.mask_ratios"]
    assert matching(all_settings(), "nothing of this") == []


def test_a_matlab_file_is_a_source_that_depth_alone_takes(here):
    (here.root / "nyu.mat").write_bytes(b"")
    assert named_sources(here, ["nyu.mat"]) == ("nyu.mat",)
    fits = verdicts({"demo": preset("tiny")}, ["nyu.mat"])
    assert [name for name, fit in fits.items() if fit.sources] == ["depth"]
