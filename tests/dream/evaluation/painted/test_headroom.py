"""The task `headroom`: what is decided at a step is found, and what is not is not."""

import numpy as np
import pytest

from dream.errors import InputError
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted.headroom import Completions, HeadroomSettings, completions, headroom_measures
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

PROMPTS = ["a red circle on a white background", "a blue square on a black background"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def measured(chance):
    """Measures of 400 prompts whose 8 candidates end well with these chances, finished 2 x 4 times each."""
    draws = np.random.default_rng(0)
    right = draws.random((400, 8, 8)) < np.asarray(chance(draws))[..., None]
    return by_name(headroom_measures(Completions(3, 0.3, right, right & False)), malformed_refused=False)


def test_where_all_is_decided_an_oracle_is_found():
    found = measured(lambda draws: draws.random((400, 8)) < 0.5)
    assert found["AUC within reach"].value == 1.0
    assert found["gain within reach"].value == pytest.approx(0.5, abs=0.03)
    assert found["spread of success"].value == pytest.approx(0.5, abs=0.02)


def test_where_nothing_is_decided_nothing_is_within_reach():
    found = measured(lambda draws: np.full((400, 8), 0.7))
    assert found["AUC within reach"].low < 0.5 < found["AUC within reach"].high
    assert found["gain within reach"].low < 0 < found["gain within reach"].high
    assert found["spread of success"].value < 0.05


def test_the_spread_is_that_of_the_chances_and_not_of_the_counts():
    found = measured(lambda draws: draws.uniform(0.4, 0.8, (400, 8)))
    assert found["spread of success"].value == pytest.approx(0.4 / np.sqrt(12), rel=0.1)
    assert found["AUC within reach"].low > 0.5 and found["gain within reach"].low > 0


def test_completions_share_what_was_decided_and_are_reproducible(pretrained):
    settings = HeadroomSettings(count=2, candidates=3, halves=2)
    found = completions(pretrained, judge_of("shapes"), PROMPTS, settings, 0.3)
    assert found.right.shape == found.well_formed.shape == (2, 3, 4)
    assert found.decoded >= 0.3 and 1 <= found.step < 5
    again = completions(pretrained, judge_of("shapes"), PROMPTS, settings, 0.3)
    assert np.array_equal(found.right, again.right)


def test_once_all_is_decoded_completions_are_alike(pretrained):
    found = completions(pretrained, judge_of("shapes"), PROMPTS, HeadroomSettings(count=2, candidates=3, halves=2), 1.0)
    assert found.decoded == 1.0 and (found.right == found.right[..., :1]).all()


def test_the_task_measures_every_share(pretrained):
    settings = HeadroomSettings(count=2, candidates=2, halves=1, shares=(0.3, 0.6))
    measures = settings.measure(pretrained)
    assert len({m.where["step"] for m in measures}) == 2
    with pytest.raises(InputError, match="needs an answer key"):
        settings.measure(pretrained, data="somewhere")


def test_settings_out_of_range_are_named():
    with pytest.raises(InputError, match=r"headroom\.shares"):
        HeadroomSettings(shares=(0.0,))
