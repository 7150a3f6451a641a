"""The comparison at an equal budget: its plan, its commands, means over seeds, and all of it in small."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dream.errors import InputError
from dream.evaluation.results import read_results, write_results
from dream.evaluation.statistics import Estimate
from dream.evaluation.table import text_table
from dream.overrides import override
from dream.presets import preset
from dream.training.run_log import RunLog
from tests.dream.training.training_small import settings, small_config
from tests.workbench.evaluate.sample_results import named, results
from workbench import comparison
from workbench.comparison import write_report
from workbench.jobs.side_by_side import Command, last_log_line, run_side_by_side
from workbench.means import mean_over_seeds, over_seeds
from workbench.palette import OBJECTIVES
from workbench.variants import MAIN, VARIANTS, ComparisonPlan, slug


def failing(*words, capsys):
    code = comparison.main([str(word) for word in words])
    return code, capsys.readouterr().err


# the plan


def test_every_variant_is_a_configuration_that_differs_from_every_other():
    configs = {
        name: override(preset("tiny", variant.objective), variant.assignments) for name, variant in VARIANTS.items()
    }
    assert len({json.dumps(config.to_dict()) for config in configs.values()}) == len(VARIANTS)
    assert all(configs[name].model_dict() == configs["dream"].model_dict() for name in MAIN)
    assert configs["dream, constant masking"].masking.schedule == "constant"
    assert configs["dream, no groups"].masking.groups == 1
    assert set(MAIN) <= set(OBJECTIVES)


def test_all_runs_of_a_plan_have_the_same_budget_and_differ_by_variant_and_seed(tmp_path):
    plan = ComparisonPlan(minutes=3.0, runs=tmp_path, assignments=("train.samples=0",))
    commands = [comparison._training(plan, *member) for member in plan.members()]
    assert len({" ".join(c.arguments) for c in commands}) == len({c.name for c in commands}) == 21
    assert all(c.arguments[c.arguments.index("--minutes") + 1] == "3" for c in commands)
    assert [seed for _, seed in plan.members()] == sorted(seed for _, seed in plan.members())
    equal_steps = comparison._training(ComparisonPlan(minutes=None, steps=50, runs=tmp_path), "clip", 0).arguments
    assert "--minutes" not in equal_steps and equal_steps[equal_steps.index("--steps") + 1] == "50"


def test_a_finished_run_is_kept_and_a_stopped_one_goes_on(tmp_path):
    plan = ComparisonPlan(variants=("dream",), seeds=(0,), runs=tmp_path)
    folder = plan.folder("dream", 0)
    folder.mkdir(parents=True)
    log = RunLog(folder)
    log.record({"config": {}})
    log.heartbeat("stopped", 5, 10)
    assert comparison._training(plan, "dream", 0).arguments == ["train", "--out", str(folder), "--resume"]
    assert not comparison._finished(folder) and comparison._share(folder) == 0.5
    log.heartbeat("finished", 10, 10)
    assert comparison._finished(folder)


def test_runs_of_another_plan_are_not_mixed_in(tmp_path):
    comparison._check(ComparisonPlan(runs=tmp_path / "runs", out=tmp_path / "out"))
    comparison._check(ComparisonPlan(seeds=(5,), runs=tmp_path / "runs", out=tmp_path / "out"))
    with pytest.raises(InputError, match=r"runs of another plan .their minutes is 10.0, this one's 3.0"):
        comparison._check(ComparisonPlan(minutes=3.0, runs=tmp_path / "runs", out=tmp_path / "out"))
    (tmp_path / "runs" / "plan.json").write_text("{")
    with pytest.raises(InputError, match="plan.json is damaged"):
        comparison._check(ComparisonPlan(runs=tmp_path / "runs", out=tmp_path / "out"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--variants", "dreem"], "unknown variant 'dreem'"),
        (["--seeds", "0,x"], "--seeds must be whole numbers"),
        (["--seeds", "-1"], "seeds of at least 0"),
        (["--jobs", "0"], "--jobs must be above 0"),
        (["--minutes", "0"], "--minutes must be above 0"),
        (["--minutes", "1", "--steps", "1"], "not allowed with"),
        (["--tasks", "prob"], "did you mean 'probe'"),
        (["--minuets", "1"], "did you mean '--minutes'"),
    ],
)
def test_bad_input_is_one_sentence(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, err = failing(*words, capsys=capsys)
    assert code == 2 and said in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


# means over seeds


def test_the_interval_over_seeds_is_students():
    values = [0.71, 0.78, 0.74, 0.9]
    found = over_seeds([Estimate(v, v - 0.01, v + 0.01, 300) for v in values])
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high), abs=1e-4)
    assert found.count == 4 and found.interval == "95 % Student interval, n = 4 runs"


def test_one_seed_keeps_its_own_interval_and_what_is_no_number_is_left_out():
    one, none = Estimate(0.5, 0.4, 0.6, 300), Estimate(float("nan"), float("nan"), float("nan"), 0)
    assert over_seeds([one]) == over_seeds([none, one]) == one


def test_runs_that_agree_exactly_have_no_interval_and_shares_stay_shares():
    one = Estimate(0.5, 0.4, 0.6, 300)
    same = over_seeds([one, one])
    assert same.value == 0.5 and not same.has_interval and same.count == 2
    wide = over_seeds([Estimate(v, v - 0.01, 1.0, 300, "wilson") for v in (0.9, 0.99)])
    assert wide.high == 1.0 and 0 <= wide.low < 0.9


def test_measures_that_some_runs_lack_are_means_of_the_others():
    found = mean_over_seeds("both", "runs", [results("dream"), results("clip")])
    counts = {e.task: {m.estimate.count for m in e.measures} for e in found.entries}
    assert counts["probe"] == {2} and counts["selection"] == {300}
    assert found.name == "both"


def test_the_report_is_a_table_and_figures_that_stand_alone(tmp_path):
    plan = ComparisonPlan(variants=("dream", "clip"), seeds=(0, 1), runs=tmp_path / "runs", out=tmp_path / "out")
    for variant in plan.variants:
        for seed in plan.seeds:
            write_results(plan.out, named(results(variant), f"{variant}-{seed}"))
    written = write_report(plan, threads=2)
    assert {path.name for path in written} == {
        "table.md",
        "models.html",
        "mask-ratio.html",
        "selection.html",
        "paper.html",
    }
    table = (plan.out / "table.md").read_text()
    assert "10 minutes with 2 threads" in table and "means over seeds 0, 1" in table
    assert "| accuracy | 0.900 (no interval) | 0.850 (no interval) |" in table
    assert "plotly" in (plan.out / "models.html").read_text()
    assert text_table([read_results(plan.out / "means" / "clip.json")])


def test_every_world_has_a_comparison_of_its_own():
    emoji = comparison._parsed(["--preset", "emoji"])[0]
    assert emoji.data == "emoji" and (emoji.runs.name, emoji.out.name) == ("comparison-emoji", "comparison-emoji")
    shapes = comparison._parsed([])[0]
    assert shapes == ComparisonPlan() and shapes.data == "shapes"
    assert not {emoji.runs, emoji.out} & {shapes.runs, shapes.out}
    given = comparison._parsed(["--preset", "tiny", "--data", "emoji", "--out", "here"])[0]
    assert (given.preset, given.data, str(given.out)) == ("tiny", "emoji", "here")
    for variant, seed in emoji.members():
        words = comparison._training(emoji, variant, seed).arguments
        assert words[words.index("--data") + 1] == words[words.index("--preset") + 1] == "emoji"


def test_a_table_of_both_has_the_rows_of_the_other_comparison_first(tmp_path):
    first = ComparisonPlan(("dream",), (0,), runs=tmp_path / "runs", out=tmp_path / "shapes")
    write_results(first.out, named(results("dream"), "dream-0"))
    second = replace(first, variants=("dream", "clip"), out=tmp_path / "emoji", beside=first.out)
    for variant in second.variants:
        found = results(variant)
        of_emoji = tuple(replace(entry, data="emoji:val") for entry in found.entries)
        write_results(second.out, named(replace(found, entries=of_emoji), f"{variant}-0"))
    with pytest.raises(InputError, match="holds no comparison"):
        comparison._check(second)
    write_report(first, threads=1)
    comparison._check(second)
    assert second.out / "both.md" in write_report(second, threads=1)
    lines = (second.out / "both.md").read_text().splitlines()
    shapes, emoji = (
        [at for at, line in enumerate(lines) if f"probe on {data}" in line] for data in ("shapes", "emoji:val")
    )
    assert shapes and emoji and min(shapes) < min(emoji)
    assert "emoji:val" not in (first.out / "table.md").read_text()


def test_names_of_variants_are_names_of_folders():
    assert [slug(name) for name in ("dream", "dream, no groups")] == ["dream", "dream-no-groups"]


# side by side


def test_commands_run_a_few_at_a_time_and_failures_are_told(tmp_path):
    commands = [Command(str(i), ["--version"], tmp_path / f"{i}.log") for i in range(3)]
    commands.append(Command("bad", ["nonsense"], tmp_path / "logs" / "bad.log"))
    seen = []
    failed = run_side_by_side(commands, 2, 1, lambda waiting, running: seen.append(len(running)))
    assert [command.name for command in failed] == ["bad"] and max(seen) == 2
    assert last_log_line(commands[0]).startswith("dream-workbench")
    assert "unknown command 'nonsense'" in last_log_line(failed[0])
    assert last_log_line(Command("none", [], tmp_path / "none.log")) == ""


# the whole of it, in small

WORDS = [
    "--tasks",
    "retrieval,prompts",
    "--set-task",
    "retrieval.pool=8",
    "retrieval.pools=2",
    "prompts.count=4",
    "--threads",
    "1",
    "--seeds",
    "0",
    "--set",
    *settings(small_config())[1:],
]


def places(folder):
    return ["--runs", str(folder / "runs"), "--out", str(folder / "out")]


@pytest.mark.slow
def test_a_small_comparison_is_trained_evaluated_and_not_done_twice(tmp_path, capsys):
    words = [*WORDS, "--variants", "dream;clip", "--steps", "2", "--jobs", "2", *places(tmp_path)]
    assert comparison.main(words) == 0, capsys.readouterr().err
    table = (tmp_path / "out" / "table.md").read_text()
    assert "retrieval on shapes" in table and "clip: skipped" in table
    metrics = tmp_path / "runs" / "clip" / "seed-0" / "metrics.jsonl"
    trained = metrics.stat().st_mtime_ns
    assert comparison.main(words) == 0
    assert "2 of 2 runs are already finished" in capsys.readouterr().err
    assert metrics.stat().st_mtime_ns == trained


@pytest.mark.slow
def test_a_stopped_comparison_goes_on(tmp_path):
    words = [*WORDS, "--variants", "dream", "--steps", "60", *places(tmp_path)]
    command = [sys.executable, "-m", "workbench.comparison", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    metrics = tmp_path / "runs" / "dream" / "seed-0" / "metrics.jsonl"
    begin = time.monotonic()
    while not metrics.exists() and time.monotonic() - begin < 120:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130 and "run the same command again" in err
    assert comparison._finished(metrics.parent) is False
    assert comparison.main(words) == 0 and comparison._finished(metrics.parent)
