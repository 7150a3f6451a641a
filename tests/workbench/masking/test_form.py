"""A form's values mean the masking that they were made of, whatever its schedule reads."""

from dataclasses import replace

import pytest

from dream.config import ObjectiveConfig
from dream.presets import tiny
from workbench.masking.form import masking_settings_of, values_of
from workbench.masking.settings import idle_reset, presets


@pytest.mark.parametrize("found", presets(), ids=lambda found: found.name)
def test_there_and_back_is_the_same(found):
    objective = replace(tiny().objective, min_visible=0.4)
    said = masking_settings_of(values_of(found.masking, objective, 7), objective)
    assert said.masking == idle_reset(found.masking) and said.objective == objective
    assert said.grid == 7 and said.num_tokens == 49


def test_fewer_groups_than_were_for_generation_are_all_for_it():
    values = values_of(tiny().masking, ObjectiveConfig(), 5) | {"groups": 2, "for_generation": 3}
    assert masking_settings_of(values, ObjectiveConfig()).masking.generation_share == 1.0


def test_a_grid_that_is_not_given_is_left_alone():
    assert "grid" not in values_of(tiny().masking, ObjectiveConfig())
