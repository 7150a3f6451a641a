"""Settings of tasks: what they refuse, and that stored ones are still understood."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from dream.errors import InputError
from dream.evaluation.results import changed_fields, plain
from dream.evaluation.settings import FROM_0, UP_TO_1, TaskSettings, at_least
from dream.evaluation.tasks import TASKS, chosen_settings
from dream.fields import Positive

STORED = sorted((Path(__file__).parents[3] / "results" / "comparison").glob("*.json"))


@dataclass(frozen=True)
class SampleSettings(TaskSettings, task="sample"):
    count: Annotated[int | None, at_least(2)] = None
    lr: Positive = 0.1
    ratios: Annotated[tuple[float, ...], FROM_0] = (0.0, 0.5)
    kept: Annotated[float, UP_TO_1] = 1.0
    head: Literal["linear", "conv"] = "linear"

    def _conflicts(self, name):
        if self.count == 13:
            yield f"{name}.count must not be 13"

    def measure(self, pretrained, data="shapes", seed=0, progress=None):
        return []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 1}, "sample.count must be at least 2, got 1"),
        ({"lr": 0.0}, "sample.lr must be above 0, got 0.0"),
        ({"lr": float("nan")}, "sample.lr must be above 0, got nan"),
        ({"ratios": ()}, "sample.ratios must be one or more numbers, each in [0, 1), got ()"),
        ({"ratios": (0.5, 1.0)}, "sample.ratios must be one or more numbers, each in [0, 1), got (0.5, 1.0)"),
        ({"kept": 0.0}, "sample.kept must be in (0, 1], got 0.0"),
        ({"head": "mlp"}, "sample.head must be one of linear, conv, got 'mlp'"),
        (
            {"count": 13, "kept": 2, "head": ""},
            "sample.kept must be in (0, 1], got 2; sample.head must be one of linear, conv, got ''",
        ),
        ({"count": 13}, "sample.count must not be 13"),
    ],
)
def test_every_problem_is_named_with_its_field_range_and_value(changes, message):
    with pytest.raises(InputError) as raised:
        SampleSettings(**changes)
    assert str(raised.value) == message


def test_the_name_of_a_task_is_no_setting():
    with pytest.raises(InputError, match="knows no key 'knn.task'"):
        chosen_settings([TASKS["knn"]], ["knn.task=probe"])


@pytest.mark.parametrize("name", TASKS)
def test_every_number_of_a_task_has_bounds(name):
    """Numbers without bounds would be checked nowhere."""
    settings = TASKS[name].defaults()
    for field, value in vars(settings).items():
        numbers = value if isinstance(value, tuple) else (value,)
        if all(type(number) in (int, float) for number in numbers) and numbers:
            with pytest.raises(InputError, match=rf"{name}\.{field} must be"):
                type(settings)(**{field: (-1,) if isinstance(value, tuple) else -1})


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_settings_in_stored_results_are_those_of_today(path):
    """A setting that was added since then counts as its default (`TaskResult.same_question`)."""
    for entry in json.loads(path.read_text())["entries"]:
        task = TASKS[entry["task"]]
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in entry["settings"].items()}
        settings = task.load()(**values)
        assert plain(settings) == plain(task.defaults()) | entry["settings"]
        assert list(changed_fields(settings, task.defaults()).items()) == list(entry["changed"].items())
