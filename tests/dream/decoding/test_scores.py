"""Laws of the scores: what they may depend on, and what a better picture must get."""

from dataclasses import replace

import pytest
import torch

from dream.decoding.context import DecodeContext
from dream.decoding.critic import Critic
from dream.decoding.decode import decode_iter
from dream.decoding.noise import seeded_orders
from dream.decoding.paint import encode_prompts, paint_iter
from dream.decoding.scores import SCORES, recovery_errors, score_of, sum_of
from dream.decoding.settings import SCORE_NAMES, DecodeSettings
from dream.decoding.state import DecodeState
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained

NONE = DecodeSettings(steps=6, candidates=3, selection="none")


@pytest.fixture(scope="module", params=["flow", "noise", "energy"])
def pretrained(request):
    return small_pretrained(request.param)


def critic_of(pretrained) -> Critic:
    """A critic with random weights, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = Critic(pretrained.config.encoder.width, pretrained.config.joint.width).eval()
        torch.nn.init.normal_(critic.weigh[-1].weight, std=0.05)
    return critic


def partial(pretrained, prompts=PROMPTS, ids=None, settings=NONE, after=3) -> tuple[DecodeContext, DecodeState]:
    """Context and encoded state of all candidates after some steps."""
    prompted = encode_prompts(pretrained, prompts, settings, ids)
    context = DecodeContext.of(pretrained.model, prompted, settings, critic=critic_of(pretrained))
    for record in decode_iter(pretrained.model, prompted, settings):
        if record.step + 1 == after:
            break
    state = DecodeState(record.tokens, record.mask, record.order, record.picture, record.candidate)
    with torch.no_grad():
        return context, replace(state, encoded=pretrained.model.encode(state.tokens, state.mask))


def test_settings_and_scores_know_the_same_names():
    assert tuple(SCORES) == SCORE_NAMES


@pytest.mark.parametrize("name", SCORES)
def test_a_score_does_not_depend_on_the_batch(pretrained, name):
    whole = SCORES[name](*partial(pretrained)).view(len(PROMPTS), -1)
    for i, prompt in enumerate(PROMPTS):
        torch.testing.assert_close(SCORES[name](*partial(pretrained, [prompt], [i])), whole[i], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SCORES)
def test_a_score_reads_nothing_that_is_hidden(pretrained, name):
    context, state = partial(pretrained)
    scores = SCORES[name](context, state)
    other = state.tokens.clone()
    other[state.mask] = torch.randn(int(state.mask.sum()), other.shape[-1])
    assert torch.equal(SCORES[name](context, replace(state, tokens=other)), scores)


@pytest.mark.parametrize("name", SCORES)
def test_equal_candidates_have_equal_scores(pretrained, name):
    context, state = partial(pretrained, PROMPTS[:1])
    same = state.take(torch.zeros(3, dtype=torch.long))
    scores = SCORES[name](context, replace(same, candidate=torch.arange(3)))
    torch.testing.assert_close(scores, scores[:1].expand(3), atol=1e-5, rtol=1e-4)


def test_tokens_that_are_noise_are_recovered_worse():
    pretrained = small_pretrained("flow")
    context, state = partial(pretrained)
    noisy = replace(state, tokens=torch.where(state.mask.unsqueeze(-1), 0.0, state.tokens + 5.0))
    assert (SCORES["confidence"](context, noisy) < SCORES["confidence"](context, state)).all()


def test_without_two_decoded_tokens_nothing_is_recovered(pretrained):
    context, state = partial(pretrained)
    hidden = replace(state, mask=torch.ones_like(state.mask))
    assert not recovery_errors(context, hidden, guided=True).any()


def test_a_finished_picture_is_its_own_preview(pretrained):
    context, state = partial(pretrained, after=6)
    assert torch.equal(SCORES["preview"](context, state), SCORES["cosine"](context, state))


def test_a_sum_counts_each_score_alike_whatever_its_unit():
    picture = torch.tensor([0, 0, 0, 1, 1, 1])
    draws = torch.Generator().manual_seed(0)
    a, b = (torch.randn(6, generator=draws) for _ in range(2))
    total = sum_of([a, b], picture)
    torch.testing.assert_close(total, sum_of([1000 * a + 3, b], picture))
    torch.testing.assert_close(total, sum_of([b, a], picture))
    torch.testing.assert_close(total.view(2, 3).sum(1), torch.zeros(2), atol=1e-5, rtol=0)
    assert not sum_of([torch.ones(6)], picture).any()


def test_the_choice_is_the_best_by_the_score_that_the_settings_name(pretrained):
    settings = replace(NONE, selection="once", select_steps=(3,), score="confidence+cosine")
    (compared,) = [r for r in paint_iter(pretrained, PROMPTS, settings) if not r.kept.all()]
    scores = score_of(settings)(*partial(pretrained, settings=replace(NONE, score=settings.score)))
    torch.testing.assert_close(compared.alignment, scores, atol=1e-5, rtol=1e-4)
    assert torch.equal(compared.kept.view(-1, 3).float().argmax(1), scores.view(-1, 3).argmax(1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": "cosin"}, "unknown score 'cosin'; did you mean 'cosine'?"),
        ({"score": ""}, "a score is a name"),
        ({"score": "relevance", "guidance_scale": 1.0}, "needs guidance above 1"),
        ({"orders": "own", "selection": "every"}, "orders=shared"),
        ({"orders": "mine"}, "orders must be shared or own"),
    ],
)
def test_settings_that_cannot_be_scored_are_refused_in_a_sentence(changes, words):
    with pytest.raises(InputError) as caught:
        DecodeSettings(**{"steps": 6, "candidates": 3, "select_steps": (2,), **changes})
    assert words in str(caught.value)


def test_own_orders_differ_and_the_first_is_the_shared_one():
    shared, own = seeded_orders(0, [4, 7], 16), seeded_orders(0, [4, 7], 16, candidates=3).view(2, 3, 16)
    assert torch.equal(own[:, 0], shared)
    assert len(own.view(6, 16).unique(dim=0)) == 6


def test_the_first_candidate_is_the_same_with_shared_and_own_orders(pretrained):
    finished = []
    for orders in ("shared", "own"):
        *_, last = paint_iter(pretrained, PROMPTS, replace(NONE, orders=orders))
        finished.append(last.tokens.view(len(PROMPTS), 3, *last.tokens.shape[1:]))
    torch.testing.assert_close(finished[0][:, 0], finished[1][:, 0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(finished[0][:, 1], finished[1][:, 1], atol=1e-3)
