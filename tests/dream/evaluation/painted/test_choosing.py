"""The study of choosing: recorded decodes are the decodes, known scores have known gains, and time is counted once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.decoding.paint import paint_iter
from dream.decoding.scores import SCORES
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted import saved_decodes as saved
from dream.evaluation.painted.choosing import ChoosingSettings
from dream.evaluation.painted.choosing_measures import Otherwise, choosing_measures
from dream.evaluation.painted.painting import decode_settings_of
from dream.evaluation.painted.scored_candidates import ScoredCandidates, Seconds, scored_candidates
from tests.dream.evaluation.evaluation_small import small_pretrained

PROMPTS = ["a red circle on a white background", "a blue square on a black background"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path))


def finish_all(pretrained, k=3):
    return decode_settings_of(pretrained.config, 5, candidates=k, selection="none")


def known(right, steps=4, **scores):
    """Candidates whose steps cost 1 s and whose encoder passes cost nothing."""
    t = np.ones(steps)
    names = {name: np.stack(values) for name, values in scores.items()}
    seconds = Seconds(t, np.zeros(steps), {name: np.zeros(steps) for name in names})
    decoded = tuple((i + 1) / steps for i in range(steps))
    grade = right.astype(float)
    return ScoredCandidates(tuple(range(1, steps + 1)), decoded, names, {"thing": right}, grade, seconds, [4.0, 4.1])


def of(measures, name, **where):
    return [m for m in measures if m.name == name and all(m.where.get(k) == v for k, v in where.items())]


def one(measures, name, **where):
    (found,) = of(measures, name, **where)
    return found


def drawn(prompts=300, k=8):
    draws = np.random.default_rng(0)
    return draws.random((prompts, k)) < 0.3, draws


def test_a_saved_decode_is_the_decode_and_is_read_again_without_the_model(pretrained, monkeypatch):
    settings = finish_all(pretrained)
    ((rows, batch),) = saved.saved_decodes(pretrained, PROMPTS, settings)
    *_, last = paint_iter(pretrained, PROMPTS, settings, picture_ids=range(2))
    torch.testing.assert_close(batch.tokens.float().flatten(0, 1), last.tokens, atol=2e-3, rtol=2e-3)
    monkeypatch.setattr(saved, "decode_step", None)
    ((again, stored),) = saved.saved_decodes(pretrained, PROMPTS, settings)
    assert again == rows and torch.equal(stored.tokens, batch.tokens)


def test_a_damaged_batch_is_decoded_again(pretrained):
    settings = finish_all(pretrained)
    ((_, batch),) = saved.saved_decodes(pretrained, PROMPTS, settings)
    (path,) = saved.saved_folder(pretrained, PROMPTS, settings).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:50])
    ((_, again),) = saved.saved_decodes(pretrained, PROMPTS, settings)
    assert torch.equal(again.tokens, batch.tokens)


def test_partial_steps_are_those_of_the_decode(pretrained):
    settings = finish_all(pretrained)
    ((rows, batch),) = saved.saved_decodes(pretrained, PROMPTS, settings)
    records = list(paint_iter(pretrained, PROMPTS, settings, picture_ids=range(2), scored="all"))
    steps = list(saved.partial_steps(pretrained, PROMPTS, rows, settings, batch))
    assert [s.step for s in steps] == [r.step + 1 for r in records]
    for step, record in zip(steps, records, strict=True):
        # the decode starts with one row per prompt and shares its order
        assert torch.equal(step.state.mask, record.mask) and step.decoded == pytest.approx(record.decoded_fraction)
        cosine = SCORES["cosine"](step.context, step.state)
        torch.testing.assert_close(cosine, record.alignment, atol=5e-3, rtol=5e-3)


def test_every_score_is_measured_where_it_is_asked_for(pretrained):
    judge = judge_of("shapes")
    found = scored_candidates(
        pretrained, judge, PROMPTS, finish_all(pretrained), ("cosine", "confidence", "critic"), (0.3,)
    )
    assert set(found.scores) == {"cosine", "confidence"}  # it has no critic
    assert not np.isnan(found.scores["cosine"]).any()
    measured = ~np.isnan(found.scores["confidence"]).any((1, 2))
    assert measured[found.first_with(0.3)] and measured[-1] and measured.sum() == 2
    assert found.seconds.plain > 0 and (found.seconds.scores["cosine"] >= 0).all()
    assert set(judge.attributes) <= set(found.outcomes) and found.grade.shape == (2, 3)


def test_an_oracle_gains_all_there_is_and_a_blind_score_nothing():
    right, draws = drawn()
    blind = [draws.random(right.shape) for _ in range(4)]
    measures = choosing_measures(known(right, cosine=blind, preview=[right] * 4), ["cosine", "preview"], [], {})
    at = {"step": 2, "candidates": 8}
    gain = one(measures, "gain of the choice", score="preview", **at).estimate
    any_right, sample = one(measures, "any of 8 right"), one(measures, "a sample right")
    assert gain.value == pytest.approx(any_right.estimate.value - sample.estimate.value)
    assert one(measures, "AUC", score="preview", **at).estimate.value == 1
    assert one(measures, "regret", score="preview", **at).estimate.value == 0
    gain = one(measures, "gain of the choice", score="cosine", **at).estimate
    assert gain.low < 0 < gain.high
    ranks = one(measures, "rank correlation with the judge", score="cosine", **at).estimate
    assert ranks.low < 0 < ranks.high


def test_time_is_counted_as_the_steps_that_are_taken():
    right, draws = drawn(20)
    found = known(right, cosine=[draws.random(right.shape)] * 4)
    assert found.seconds.plain == 4
    assert found.seconds.of_choice("cosine", 1, 1) == 4
    assert found.seconds.of_choice("cosine", 8, 1) == 8 * 2 + 2
    assert found.seconds.of_choice("cosine", 8, 3) == 32
    costly = replace(found.seconds, encode=np.full(4, 0.5), scores={"cosine": np.full(4, 0.25)})
    assert costly.plain == 4 + 3 * 0.5
    assert costly.of_choice("cosine", 8, 1) == 8 * (2 + 2 * 0.5 + 0.25) + 2 + 0.5
    assert costly.of_choice("cosine", 8, 3) == 8 * (costly.plain + 0.5 + 0.25)
    assert costly.of_choice("cosine+cosine", 1, 0) == costly.plain + 2 * 0.25


def test_a_choice_as_good_as_the_finished_one_keeps_all_of_its_gain():
    right, draws = drawn()
    final = draws.random(right.shape) + 0.3 * right
    measures = choosing_measures(known(right, cosine=[final] * 4), ["cosine"], [], {})
    part = one(measures, "share of the gain among finished ones", step=2, candidates=8).estimate
    assert part.value == pytest.approx(1)
    assert one(measures, "gain over all finished ones", step=2).estimate.value == 0
    # the same choice for less time beats finishing as many as that time allows
    assert one(measures, "gain over fewer finished ones in the same time", step=1).estimate.low > 0


def test_other_ways_are_paired_with_the_usual_one_and_their_time_is_relative_to_it():
    right, draws = drawn(100)
    usual, twice = right[:50, 0], np.ones(50, bool)
    others = [Otherwise("usual", 2.0, {"thing": usual}), Otherwise("twice", 3.0, {"thing": twice})]
    measures = choosing_measures(known(right, cosine=[draws.random(right.shape)] * 4), ["cosine"], others, {})
    way = one(measures, "gain of another way")
    assert way.estimate.value == pytest.approx(1 - usual.mean()) and way.where["time"] == 1.5


def test_the_task_gives_the_same_measures_again(pretrained):
    settings = ChoosingSettings(count=4, candidates=2, scores=("cosine", "preview", "cosine+preview"), alternatives=2)
    first, again = (settings.measure(pretrained) for _ in range(2))
    timeless = [
        [
            (m.name, {k: v for k, v in m.where.items() if k != "time"}, str(m.estimate))
            for m in found
            if "seconds" not in m.name and "same time" not in m.name
        ]
        for found in (first, again)
    ]
    assert timeless[0] == timeless[1]
    assert {m.where["combination"] for m in first} == {"seen", "unseen"}
    assert {m.where.get("score") for m in first} == {None, "cosine", "preview", "cosine+preview"}
