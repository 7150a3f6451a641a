"""The command `dream evaluate` as a whole: what it measures, what it keeps, and what it refuses."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Annotated

import pytest

from dream.__main__ import main
from dream.data.report import BROKEN_PICTURE, DataReport
from dream.errors import InputError
from dream.evaluation import tasks
from dream.evaluation.event_log import read_events
from dream.evaluation.events import EvaluationEnded, TaskAnswered, TaskAsked, TaskAtWork, TaskCached
from dream.evaluation.results import read_results
from dream.evaluation.settings import TaskSettings, at_least
from dream.evaluation.statistics import Estimate, Measure
from dream.evaluation.tasks import JOINT, PAINTING, PROMPTING, TASKS, Task
from dream.presets import preset
from dream.training import checkpoint
from dream.training.live_tensors import model_tensors
from tests.dream.evaluation.evaluation_small import small_pretrained
from tests.dream.training.training_small import write_pictures


def save(folder, pretrained, config=None):
    """A checkpoint of the model."""
    state = checkpoint.TrainingState(3, config or pretrained.config, "shapes", None)
    tensors = model_tensors(pretrained.model)
    averages = {name: tensors[name] for name, _ in pretrained.model.named_parameters()}
    checkpoint.write_checkpoint(folder, state, {"model": tensors, "ema": averages}, pretrained.tokenizer)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "small", small_pretrained(None))


@pytest.fixture(scope="module")
def without_contrast(tmp_path_factory):
    """A model that was trained to paint only."""
    pretrained = small_pretrained(None)
    objective = replace(pretrained.config.objective, contrastive_weight=0.0)
    config = replace(pretrained.config, objective=objective)
    return save(tmp_path_factory.mktemp("models") / "painter", pretrained, config)


ASKED: list[tuple[str, str]] = []
"""(task, data) of the fake tasks that were really run."""


@dataclass(frozen=True)
class CountSettings(TaskSettings, task="count"):
    """Of the fake tasks."""

    size: Annotated[int, at_least(1)] = 5
    names: tuple[str, ...] = ("a", "b")

    def measure(self, pretrained, data="shapes", seed=0, progress=lambda done, what: None):
        ASKED.append(("count", data))
        progress(0.5, "half way")
        return [Measure("count", "size", {"data": data}, Estimate(self.size + seed, 0.0, 1.0, 9))]


@dataclass(frozen=True)
class FakeJointSettings(CountSettings, task="joint"):
    def measure(self, pretrained, data="shapes", seed=0, progress=None):
        ASKED.append(("joint", data))
        return [Measure("joint", "found", {"mask_ratio": 0.0}, Estimate(0.5, 0.4, 0.6, 9))]


@dataclass(frozen=True)
class BrokenSettings(CountSettings, task="broken"):
    def measure(self, pretrained, data="shapes", seed=0, progress=None):
        report = DataReport()
        report.add(BROKEN_PICTURE, "pictures", "bad.jpg", "truncated")
        if self.size == 99:
            raise InputError("broken: not on this set")
        return [Measure("broken", "good", {}, Estimate(1.0, 1.0, 1.0, 9))]


@dataclass(frozen=True)
class StoppedSettings(CountSettings, task="stopped"):
    def measure(self, pretrained, data="shapes", seed=0, progress=None):
        raise KeyboardInterrupt


FAKES = (
    Task("count", "counts", "", ("shapes", "captions")),
    Task("joint", "looks into the joint space", "", ("shapes",), (JOINT,)),
    Task("broken", "finds something broken", "", ("shapes", "labels"), named_only=True),
    Task("stopped", "is interrupted", "", ("shapes",), named_only=True),
)


@pytest.fixture(autouse=True)
def fakes(monkeypatch, request):
    """Tasks that take no time, but where a test asks for the true ones."""
    ASKED.clear()
    if "true_tasks" in request.fixturenames:
        return
    classes = {"count": CountSettings, "joint": FakeJointSettings, "broken": BrokenSettings, "stopped": StoppedSettings}
    monkeypatch.setattr(Task, "load", lambda self: classes[self.name])
    monkeypatch.setattr(tasks, "_ALL", FAKES)
    monkeypatch.setattr(tasks, "TASKS", {task.name: task for task in FAKES})


@pytest.fixture
def true_tasks():
    """Asks for the true tasks."""


@pytest.fixture
def evaluate(tmp_path, capsys, monkeypatch):
    """Calls the command: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main(["evaluate", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


# what it keeps


def test_what_is_measured_is_printed_and_kept_with_all_that_it_depends_on(evaluate, model, tmp_path):
    code, out, err = evaluate("--model", model, "--set", "count.size=7", "--seed", "2")
    assert code == 0, err
    assert "count on shapes, size=7, seed 2 (95 % interval)" in out and "9.000 [0.000, 1.000]" in out
    entries = {e.task: e for e in read_results(tmp_path / "results" / "small.json").entries}
    assert set(entries) == {"count", "joint"}
    entry = entries["count"]
    assert entry.settings == {"size": 7, "names": ["a", "b"]} and entry.changed == {"size": 7}
    assert (entry.seed, entry.weights, entry.step, entry.objective) == (2, "ema", 3, "dream")
    assert entry.model_id == checkpoint.weights_id(model, "ema")
    assert entry.fingerprint == {"level": 1, "size": 30, "version": 1}
    assert entry.about["device"] == "cpu" and "torch" in entry.about["versions"]
    assert entry.measures[0].estimate.value == 9


def test_a_second_call_measures_only_what_is_missing(evaluate, model):
    evaluate("--model", model, "--tasks", "count")
    code, out, err = evaluate("--model", model)
    assert code == 0 and ASKED == [("count", "shapes"), ("joint", "shapes")]
    assert "count on shapes: cached" in err and "joint on shapes: took" in err
    assert "count on shapes" in out and "joint on shapes" in out
    evaluate("--model", model, "--tasks", "count", "--overwrite")
    assert ASKED[2:] == [("count", "shapes")]


@pytest.mark.parametrize("changed", [["--set", "count.size=6"], ["--seed", "1"], ["--raw"]])
def test_another_question_is_measured_anew_and_kept_beside(evaluate, model, tmp_path, changed):
    evaluate("--model", model, "--tasks", "count")
    evaluate("--model", model, "--tasks", "count", *changed)
    evaluate("--model", model, "--tasks", "count")
    assert len(ASKED) == 2
    assert len(read_results(tmp_path / "results" / "small.json").entries) == 2


def test_other_weights_under_the_same_name_are_measured_anew(evaluate, model, tmp_path):
    other = small_pretrained(None)
    for parameter in other.model.parameters():
        parameter.data.add_(1.0)
    save(tmp_path / "other", other)
    evaluate("--model", f"x={model}", "--tasks", "count")
    evaluate("--model", f"x={tmp_path / 'other'}", "--tasks", "count")
    assert len(ASKED) == 2
    stored = read_results(tmp_path / "results" / "x.json")
    assert len(stored.entries) == 2 and len(stored.current().entries) == 1
    _, out, _ = evaluate("--show")
    assert "1 results of older weights or data are kept" in out


def test_changed_data_is_measured_anew(evaluate, model, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 3)
    for _ in range(2):
        evaluate("--model", model, "--tasks", "count", "--data", pictures)
    assert [("count", str(pictures))] == ASKED
    (pictures / "new.txt").write_text("a new one")
    evaluate("--model", model, "--tasks", "count", "--data", pictures)
    assert len(ASKED) == 2


def test_ctrl_c_loses_the_task_in_progress_and_no_other(evaluate, model, tmp_path):
    code, _, err = evaluate("--model", model, "--tasks", "count,stopped")
    assert code == 130 and "kept in results; run the same command again to continue" in err
    assert [e.task for e in read_results(tmp_path / "results" / "small.json").entries] == ["count"]


def test_the_progress_file_holds_the_last_start_whatever_is_printed(evaluate, model, tmp_path, monkeypatch):
    words = ["--model", model, "--tasks", "count,joint", "--progress", "progress.jsonl"]
    assert evaluate(*words)[0] == 0
    events = read_events(tmp_path / "progress.jsonl")
    kinds = [type(e) for e in events if not isinstance(e, TaskAtWork)]
    assert kinds == [TaskAsked, TaskAsked, TaskAnswered, TaskAnswered, EvaluationEnded]
    monkeypatch.setattr("dream.commands.evaluate.event_line", lambda event: "demo: knn on shapes: took a nap")
    assert evaluate(*words)[0] == 0
    events = read_events(tmp_path / "progress.jsonl")
    assert [type(e) for e in events] == [TaskAsked, TaskAsked, TaskCached, TaskCached, EvaluationEnded]


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"measures": []}', '{"format": 1}'])
def test_a_damaged_results_file_is_one_sentence_and_stays(evaluate, model, tmp_path, content):
    path = tmp_path / "results" / "small.json"
    path.parent.mkdir()
    path.write_text(content)
    for words in (["--model", model], ["--model", model, "--overwrite"], ["--show"]):
        code, _, err = evaluate(*words)
        assert code == 2 and "move it away" in err and err.count("\n") == 1
    assert path.read_text() == content and not ASKED


# models and tasks


def test_models_stand_side_by_side_under_their_names(evaluate, model, without_contrast):
    code, out, _ = evaluate("--model", f"one={model}", "--model", without_contrast)
    assert code == 0 and out.splitlines()[0].split() == ["one", "painter"]
    row = next(line for line in out.splitlines() if line.startswith("  size"))
    assert row.count("5.000 [0.000, 1.000]") == 2


def test_a_task_that_a_model_was_not_trained_for_is_skipped_with_the_reason(evaluate, without_contrast):
    code, out, err = evaluate("--model", without_contrast, "--tasks", "count,joint")
    assert code == 0 and ASKED == [("count", "shapes")]
    assert "painter: skipped, it was trained without the contrastive loss" in out and "skipped" in err


def test_what_the_data_does_not_allow_is_an_error_only_where_it_was_named(evaluate, model, tmp_path):
    code, out, err = evaluate("--model", model, "--tasks", "count,broken", "--set", "broken.size=99")
    assert code == 2 and err.endswith("dream: broken: not on this set\n")
    assert "skipped, broken: not on this set" in out and "5.000" in out
    assert evaluate("--model", model)[0] == 0


def test_what_is_broken_in_the_data_is_named_once(evaluate, model, tmp_path):
    words = ["--model", f"a={model}", "--model", f"b={model}", "--tasks", "broken"]
    code, _, err = evaluate(*words)
    assert code == 0 and err.count("bad.jpg: truncated") == 1
    assert "shapes: 1 problem in the data; affected samples are skipped" in err
    entry = read_results(tmp_path / "results" / "b.json").entries[0]
    assert entry.about["broken"][BROKEN_PICTURE]["pictures"]["count"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "cuont"], "unknown task 'cuont'; did you mean 'count'?"),
        (["--tasks", ","], "--tasks is empty"),
        (["--tasks", "joint", "--data", "pictures"], "task 'joint' needs an answer key"),
        (["--tasks", "count", "--data", "no/such/folder"], "no/such"),
        (["--set", "count.sise=3"], "did you mean 'count.size'?"),
        (["--set", "cuont.size=3"], "did you mean 'count'?"),
        (["--set", "count.size=x"], "count.size must be a whole number"),
        (["--set", "count.size=0"], "count.size must be at least 1"),
        (["--set", "count"], "TASK.FIELD=VALUE"),
        (["--tasks", "joint", "--set", "count.size=3"], "not among the --tasks"),
        (["--model", "x/small"], "two models are named 'small'"),
        (["--model", "a/b=c"], "without '/'"),
        (["--model", "=c"], "expected PATH or NAME=PATH"),
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--prompts", "3"], "unknown option '--prompts'"),
        (["--model", "new=nowhere"], "no such model: nowhere"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_measured(evaluate, model, tmp_path, words, said):
    code, _, err = evaluate("--model", model, *words)
    assert code == 2 and said in err and err.count("\n") == 1
    assert not (tmp_path / "results").exists() and not ASKED


def test_results_that_cannot_be_written_are_refused_before_the_work(evaluate, model, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, _, err = evaluate("--model", model, "--out", tmp_path / "file" / "results")
    assert code == 2 and "file is a file, so nothing can be written" in err
    assert (tmp_path / "file").read_text() == "mine" and not ASKED


# the table


def test_results_are_shown_without_models(evaluate, model):
    code, _, err = evaluate("--show")
    assert code == 2 and "there are no results in results" in err
    _, measured, _ = evaluate("--model", f"a={model}", "--model", f"b={model}")
    assert evaluate("--show") == (0, measured, "")
    assert evaluate("--show", "--model", "b")[1].splitlines()[0].split() == ["b"]
    assert "has no results of 'c'; it has a, b" in evaluate("--show", "--model", "c")[2]
    assert evaluate()[0] == 2


def test_markdown_has_a_table_a_task(evaluate, model):
    _, out, _ = evaluate("--model", model, "--markdown")
    assert "### count on shapes" in out and "| size | 5.000 [0.000, 1.000] |" in out


# the true tasks


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_there_and_has_settings_that_are_described(true_tasks, name):
    task = TASKS[name]
    assert task.name == name and task.about and task.seconds > 0
    settings = task.defaults()
    assert settings == type(settings)() and json.dumps(settings.__dict__)
    assert isinstance(settings, TaskSettings) and settings.task == name and settings.measure.__doc__


@pytest.mark.parametrize("objective", ["dream", "clip", "fluid", "mar", "repa"])
def test_a_model_is_asked_only_what_its_objective_teaches(true_tasks, objective):
    config = preset("tiny", objective)
    assert tasks.objective_of(config) == objective
    learned = tasks.trained_for(config)
    assert (JOINT in learned) == (objective in ("dream", "clip"))
    assert (PAINTING in learned) == (objective != "clip")
    assert (PROMPTING in learned) == (objective in ("dream", "fluid", "repa"))


def test_the_help_lists_every_task_without_torch(true_tasks):
    script = "import sys; from dream.__main__ import main\ntry: main(['evaluate', '--help'])\n"
    script += "finally: print(*sys.modules)"
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    help_text, modules = done.stdout.rsplit("\n", 2)[0], done.stdout.splitlines()[-1].split()
    assert all(f"  {name} " in help_text for name in TASKS)
    assert not {"torch", "numpy"} & set(modules)


def test_true_tasks_run_under_the_command(true_tasks, evaluate, model):
    words = ["--tasks", "retrieval,edits", "--set", "retrieval.pool=8", "retrieval.pools=2", "edits.count=20"]
    code, out, _ = evaluate("--model", model, *words)
    assert code == 0 and "text to image R@1, mask ratio 0.75" in out and "edits on shapes, count=20" in out
