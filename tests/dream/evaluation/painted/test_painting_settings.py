"""Every task that paints can be told to paint otherwise than the model does by itself, and says so."""

import inspect

import pytest

from dream.errors import InputError
from dream.evaluation.settings import PaintingSettings
from dream.evaluation.tasks import TASKS
from tests.dream.evaluation.evaluation_small import small_pretrained

SMALL = {
    "prompts": {"count": 4},
    "inpainting": {"pictures": 4},
    "generation": {"count": 8},
    "selection": {"count": 2, "candidates": 2},
    "headroom": {"count": 2, "candidates": 2, "halves": 1},
    "choosing": {"count": 4, "candidates": 2, "alternatives": 0, "scores": ("cosine",)},
}
OTHERWISE = {"steps": 4, "sampling_steps": 2, "guidance_scale": 1.5, "temperature": 0.9, "solver": "heun"} | {
    "last_sampling_steps": 1,
    "time_shift": 1.5,
    "guidance_low": 0.1,
    "guidance_high": 0.9,
    "coarse_steps": 2,
    "reuse": 2,
}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def test_all_tasks_that_paint_take_the_same_settings():
    assert {name for name, task in TASKS.items() if issubclass(task.load(), PaintingSettings)} == set(SMALL)
    assert {*OTHERWISE, "start_time"} == set(inspect.get_annotations(PaintingSettings))


@pytest.mark.parametrize("task", SMALL)
def test_what_is_not_the_models_own_is_a_condition_of_what_is_measured(pretrained, task):
    own = TASKS[task].load()(**SMALL[task])
    assert own.otherwise == {}
    measures = TASKS[task].load()(**SMALL[task], **OTHERWISE).measure(pretrained)
    painted = [m for m in measures if not m.name.startswith("real pictures")]
    assert painted and all(OTHERWISE.items() <= m.where.items() for m in painted)


def test_more_denoising_steps_than_training_had_are_refused(pretrained):
    with pytest.raises(InputError, match="sampling_steps must be at most"):
        TASKS["prompts"].load()(count=4, sampling_steps=100_000).measure(pretrained)


def test_a_solver_of_another_kind_of_head_is_refused(pretrained):
    with pytest.raises(InputError, match="choose euler or heun"):
        TASKS["prompts"].load()(count=4, solver="ddim").measure(pretrained)
