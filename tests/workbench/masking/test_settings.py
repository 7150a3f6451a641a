"""Settings of the masking survive as assignments, command and Python; impossible ones are refused."""

import shlex
from dataclasses import replace

import pytest

from dream.config import MaskingConfig, ObjectiveConfig
from dream.errors import InputError
from dream.masking import ratio_distribution
from dream.overrides import override
from dream.presets import preset
from workbench.masking.settings import assignments, check_masking, command, idle_reset, preset_of, presets, python

MASKINGS = {found.name: found.masking for found in presets()}
MASKINGS["odd numbers"] = MaskingConfig(center_start=-0.15, std=0.1 + 0.2, groups=32, generation_share=3 / 32)
OBJECTIVE = ObjectiveConfig(min_visible=0.1, min_masked=0.6)
each_masking = pytest.mark.parametrize("masking", MASKINGS.values(), ids=MASKINGS)
each_size = pytest.mark.parametrize("size", ["tiny", "base"])


@each_masking
@each_size
def test_the_command_parses_back_to_the_same_masking(masking, size):
    base = preset(size)
    words = shlex.split(command(assignments(masking, OBJECTIVE, base), size).replace("\\\n", " "))
    assert words[:4] == ["dream", "train", "--preset", size]
    config = override(base, words[words.index("--set") + 1 :])
    assert config.masking == masking
    assert (config.objective.min_visible, config.objective.min_masked) == (0.1, 0.6)


@each_masking
@each_size
def test_the_python_text_makes_the_same_configuration(masking, size):
    names: dict = {}
    exec(python(masking, OBJECTIVE, size), names)
    objective = replace(preset(size).objective, min_visible=0.1, min_masked=0.6)
    assert names["config"] == replace(preset(size), masking=masking, objective=objective)


def test_a_presets_own_masking_needs_no_assignment():
    base = preset("tiny")
    assert assignments(base.masking, base.objective, base) == []
    assert "--set" not in command([])


@each_masking
def test_resetting_what_a_schedule_does_not_read_changes_no_distribution(masking):
    busy = replace(masking, hold=0.1, warmup_end=0.6, center_start=0.2, shape="cosine")
    for progress in (0.0, 0.3, 1.0):
        assert ratio_distribution(progress, idle_reset(busy)) == ratio_distribution(progress, busy)
    assert idle_reset(idle_reset(busy)) == idle_reset(busy)


def test_presets_have_different_names_and_are_recognised():
    assert len({found.name for found in presets()}) == len(presets())
    for found in presets():
        assert preset_of(found.masking) == found.name
        assert idle_reset(found.masking) == found.masking
        check_masking(found.masking, ObjectiveConfig())
    assert preset_of(MaskingConfig(std=0.31)) is None


@pytest.mark.parametrize(
    ("masking", "words"),
    [
        (MaskingConfig(low=0.8, high=0.2), "masking.low must not be above masking.high"),
        (MaskingConfig(hold=0.9, warmup_end=0.5), "masking.hold must not be above"),
    ],
)
def test_refuses_what_training_refuses(masking, words):
    with pytest.raises(InputError, match=words):
        check_masking(masking, ObjectiveConfig())
