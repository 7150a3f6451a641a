"""The task `selection`: an oracle's, a blind one's and a foreseeing one's numbers, and costs."""

from dataclasses import replace

import numpy as np
import pytest

from dream.errors import InputError
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted.candidates import Candidates, Longer
from dream.evaluation.painted.choices import any_hit, value_of_choice
from dream.evaluation.painted.outcomes import selection_measures
from dream.evaluation.painted.painting import decode_settings_of
from dream.evaluation.painted.selection import SelectionSettings, candidate_scores, longer_samples
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

PROMPTS = [
    "a red circle on a white background",
    "a blue square on a black background",
    "a green cross on a white background",
]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def candidates(scores, right):
    """As many steps as scores, that decode equally many tokens each."""
    steps = len(scores)
    decoded = tuple((i + 1) / steps for i in range(steps))
    return Candidates(
        np.stack(scores).astype(np.float32), tuple(range(1, steps + 1)), decoded, right, right & ~right[:, :1]
    )


def drawn(prompts=400, count=8):
    draws = np.random.default_rng(0)
    return draws.random((prompts, count)) < 0.4, draws


def of(measures, name, **where):
    """The estimates of a name, lenient unless told, with these conditions."""
    wanted = {"malformed_refused": False, **where}
    return [
        m.estimate for m in measures if m.name == name and all(m.where.get(k, False) == v for k, v in wanted.items())
    ]


def test_an_oracle_gains_all_there_is_and_a_blind_one_nothing():
    right, draws = drawn()
    measures = selection_measures(candidates([draws.random(right.shape), right], right))
    (best,), (plain,) = of(measures, "any of 8 right"), of(measures, "random candidate right")
    (blind,), (oracle,) = (of(measures, "gain of the choice", step=s, candidates=8) for s in (1, 2))
    assert oracle.value == pytest.approx(best.value - plain.value)
    assert blind.low < 0 < blind.high
    (auc_blind,), (auc_oracle,) = (of(measures, "AUC", step=s) for s in (1, 2))
    assert auc_blind.low < 0.5 < auc_blind.high and auc_oracle.value == 1.0
    assert of(measures, "random candidate right", malformed_refused=True)[0].value < plain.value


def test_a_partial_score_that_foresees_the_final_one_loses_nothing():
    right, draws = drawn()
    final = draws.random(right.shape) + right
    measures = selection_measures(candidates([draws.random(right.shape), 3 * final - 1, final], right))
    (rho,), (regret,) = (of(measures, name, step=2) for name in ("rank correlation", "regret in alignment"))
    assert (rho.value, regret.value) == (pytest.approx(1), 0)
    assert of(measures, "gain over reranking", step=2, candidates=8)[0].value == 0
    (rho,), (regret,) = (of(measures, name, step=1) for name in ("rank correlation", "regret in alignment"))
    assert rho.low < 0 < rho.high
    (random,) = of(measures, "regret in alignment of a random candidate")
    assert regret.value == pytest.approx(random.value, rel=0.1)
    assert of(measures, "gain over reranking", step=1, candidates=8)[0].high < 0


def test_steps_are_for_all_candidates_and_fewer_are_compared_at_the_headline():
    right, draws = drawn()
    scores = [draws.random(right.shape) for _ in range(20)]
    measures = selection_measures(candidates(scores, right), points=4)
    gains = [m.where for m in measures if m.name == "gain of the choice" and "malformed_refused" not in m.where]
    assert [w["step"] for w in gains if w["candidates"] == 8] == [1, 3, 5, 6, 7, 10, 14, 20]
    assert {w["step"]: w["first_with"] for w in gains if "first_with" in w} == {
        3: "12.5 % of the tokens",
        5: "25 % of the tokens",
        6: "30 % of the tokens",
        10: "50 % of the tokens",
    }
    assert [w["candidates"] for w in gains if w.get("headline")] == [8, 2, 3, 4, 5, 6, 7]
    assert {w["step"] for w in gains if w.get("headline")} == {6}
    found = of(measures, "gain of the choice", candidates=3, step=6)[0].value
    assert found == pytest.approx(np.mean(value_of_choice(scores[5].astype(np.float32), right, 3)) - right.mean())


def test_every_number_of_candidates_at_every_step_on_request():
    right, draws = drawn(prompts=20, count=4)
    scores = [draws.random(right.shape) for _ in range(3)]
    measures = selection_measures(candidates(scores, right), every_size=True)
    gains = [m.where for m in measures if m.name == "gain of the choice" and "malformed_refused" not in m.where]
    found = sorted((w["candidates"], w["step"]) for w in gains)
    assert found == [(2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3)]


def test_costs_are_the_published_ones():
    """K = 5 costs 1.5, 2.3 and 3.0 plain samples at steps 8, 21 and 32 of 64 (docs/method.md, Decoding)."""
    right = np.zeros((2, 5), bool)
    found = candidates([right] * 64, right)
    assert [round(found.cost(5, step - 1), 1) for step in (8, 21, 32, 64)] == [1.5, 2.3, 3.0, 5.0]


def test_the_same_compute_otherwise():
    """Of 4 steps the 30 % are reached after 2; K = 8 cost 1 + 7 / 2 samples there."""
    right, draws = drawn()
    scores, final = draws.random(right.shape), draws.random(right.shape) + right
    longer = Longer(18, 4.5, right[:, 0], np.zeros(len(right), bool))
    found = candidates([scores, scores, scores, final], right)
    measures = selection_measures(found, longer=longer)
    (some,) = of(measures, "any of the plain samples of equal cost right", cost=4.5)
    assert some.value == pytest.approx((any_hit(right, 4).mean() + any_hit(right, 5).mean()) / 2)
    choice = value_of_choice(found.scores[1], right).mean()
    plain = (value_of_choice(final, right, 4).mean() + value_of_choice(final, right, 5).mean()) / 2
    (gain,) = of(measures, "gain over plain samples of equal cost, reranked")
    assert gain.value == pytest.approx(choice - plain) and gain.high < 0
    (gain,) = of(measures, "gain over more steps", longer_steps=18)
    assert gain.value == pytest.approx(choice - right[:, 0].mean())
    assert of(measures, "one sample in more steps right", malformed_refused=True)[0].value == 0


def settings_of(pretrained, candidates):
    return decode_settings_of(pretrained.config, 0, candidates=candidates, selection="none")


def test_every_candidate_is_scored_at_every_step_and_judged(pretrained):
    found = candidate_scores(pretrained, judge_of("shapes"), PROMPTS, settings_of(pretrained, 4))
    assert found.scores.shape == (len(found.steps), 3, 4) and found.right.shape == (3, 4)
    assert not (found.well_formed & ~found.right).any()
    assert list(found.decoded) == sorted(found.decoded) and found.decoded[-1] == 1.0
    assert np.abs(found.scores).max() <= 1 + 1e-5


def test_more_steps_than_tokens_are_not_asked_for(pretrained):
    settings = settings_of(pretrained, 2)
    found = candidate_scores(pretrained, judge_of("shapes"), PROMPTS, settings)
    longer = longer_samples(pretrained, judge_of("shapes"), PROMPTS, found, settings)
    assert (longer.steps, longer.cost) == (8, 1.6)  # 3 of 5 steps: 1 + 3 / 5 samples
    many = replace(found, scores=found.scores.repeat(16, axis=2))
    longer = longer_samples(pretrained, judge_of("shapes"), PROMPTS, many, settings)
    assert (longer.steps, longer.cost) == (25, 5.0)


def test_the_task_on_shapes_is_reproducible(pretrained):
    settings = SelectionSettings(count=6, candidates=3)
    measures = settings.measure(pretrained)
    again = settings.measure(pretrained)
    assert [m.to_dict() for m in measures] == [m.to_dict() for m in again]
    assert {m.where["data"] for m in measures} == {"shapes"}
    assert {"gain of the choice", "gain over more steps", "rank correlation"} <= set(by_name(measures))


def test_other_data_is_measured_without_an_answer_key(pretrained, tmp_path):
    from PIL import Image

    for i in range(12):
        Image.new("RGB", (40, 40), (20 * i, 90, 30)).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(f"a picture of {i // 2} things")
    measures = SelectionSettings(count=50, candidates=3).measure(pretrained, data=str(tmp_path))
    names = {"regret in alignment of a random candidate", "rank correlation", "regret in alignment"}
    assert set(by_name(measures)) == names
    assert {m.where["data"] for m in measures} == {str(tmp_path)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 1}, "selection.count must be at least 2, got 1"),
        ({"candidates": 1}, "selection.candidates must be at least 2, got 1"),
        ({"shares": (0.0,)}, r"selection.shares must be one or more numbers, each in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        SelectionSettings(**changes)


@pytest.mark.parametrize("level", [2, 3])
def test_choices_are_judged_at_the_higher_levels_too(pretrained, level):
    config = replace(pretrained.config, data=replace(pretrained.config.data, level=level))
    measures = SelectionSettings(count=2, candidates=2).measure(replace(pretrained, config=config))
    assert "random candidate right" in {measure.name for measure in measures}
