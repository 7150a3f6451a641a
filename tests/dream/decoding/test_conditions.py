from dataclasses import replace

import pytest
import torch

from dream.decoding.conditions import decoder_conditions, step_conditions
from dream.decoding.context import DecodeContext
from dream.decoding.decode import begin_decode, decode, decode_step
from dream.decoding.paint import encode_prompts, paint_iter
from dream.decoding.selection import plan_steps
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import encode_state
from dream.errors import InputError
from dream.evaluation.painted.prompts import PromptsSettings
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained

REUSED = {
    "plain": DecodeSettings(steps=8, reuse=3),
    "unguided": DecodeSettings(steps=8, reuse=3, guidance_scale=1.0),
    "never again": DecodeSettings(steps=8, reuse=100),
    "once": DecodeSettings(steps=8, reuse=4, candidates=3, select_steps=(4,)),
    "every": DecodeSettings(steps=8, reuse=2, candidates=3, selection="every", select_steps=(2,)),
    "halving": DecodeSettings(steps=8, reuse=5, candidates=4, selection="halving", select_steps=(2, 4)),
    "own orders": DecodeSettings(steps=8, reuse=3, candidates=3, select_steps=(3,), orders="own"),
    "repair": DecodeSettings(steps=8, reuse=3, repair=0.25),
    "another score": DecodeSettings(steps=8, reuse=3, candidates=3, select_steps=(3,), score="preview+confidence"),
}


@pytest.fixture(scope="module")
def noise():
    return small_pretrained("noise")


def stepped(pretrained, settings, steps):
    """The context and the encoded state after so many steps."""
    prompted = encode_prompts(pretrained, PROMPTS, settings)
    context = DecodeContext.of(pretrained.model, prompted, settings)
    state = begin_decode(context, prompted).state
    for plan in plan_steps(settings, 16)[:steps]:
        state, _ = decode_step(context, state, plan)
    return context, encode_state(pretrained.model, state)


def test_a_step_that_computes_all_places_gives_the_same_to_the_bit(noise):
    context, state = stepped(noise, DecodeSettings(steps=8, reuse=3), 3)
    condition, remembered = step_conditions(context, state, state.mask, guided=True)
    assert torch.equal(condition, decoder_conditions(context, state, state.mask, guided=True))
    assert remembered.memory.steps == 1 and state.memory.steps == 3


def test_reuse_of_one_keeps_nothing_and_paints_the_same_to_the_bit(noise):
    prompted = encode_prompts(noise, PROMPTS, DecodeSettings())
    _, state = stepped(noise, DecodeSettings(steps=8, reuse=1), 3)
    assert state.memory is None
    plain, one = (decode(noise.model, prompted, DecodeSettings(steps=8, **own)).tokens for own in ({}, {"reuse": 1}))
    assert torch.equal(plain, one)


def test_what_has_not_changed_is_the_same_however_it_is_computed(noise):
    """A memory of the very same state makes the smaller computation exact."""
    context, state = stepped(noise, DecodeSettings(steps=8, reuse=3), 3)
    _, remembered = step_conditions(context, state, state.mask, guided=True)
    places = torch.zeros_like(state.mask).scatter(1, state.order[:, :2], True)
    whole = decoder_conditions(context, state, places, guided=True)
    again, after = step_conditions(context, remembered, places, guided=True)
    torch.testing.assert_close(again, whole, atol=1e-5, rtol=1e-5)
    assert after.memory.steps == 2


def test_only_buffer_tokens_new_tokens_and_wanted_places_are_computed(noise, monkeypatch):
    seen, again = [], noise.model.decoder.again
    monkeypatch.setattr(
        noise.model.decoder,
        "again",
        lambda x, text, known, places, *more: seen.append(places) or again(x, text, known, places, *more),
    )
    settings = DecodeSettings(steps=8, reuse=3)
    records = list(paint_iter(noise, PROMPTS[:1], settings))
    counts = [record.revealed.shape[1] for record in records]
    small = [step for step in range(len(counts)) if step % 3]
    assert [len(places[0]) for places in seen] == [
        2 + sum(counts[step - step % 3 : step + 1]) for step in small
    ]  # two buffer tokens, what was revealed since the last step that computed everything, and what is revealed now


def test_candidates_share_the_memory_of_their_picture(noise):
    _, state = stepped(noise, REUSED["once"], 2)
    assert len(state.mask) == 9 and state.memory.row.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(state.memory.mask) == 3 and len(state.memory.keys_values[0][0]) == 6  # with and without text


@pytest.mark.parametrize("name", REUSED)
def test_reuse_changes_little_and_reveals_every_place_once(noise, name):
    prompted = encode_prompts(noise, PROMPTS, DecodeSettings())
    settings = REUSED[name]
    reused = decode(noise.model, prompted, settings).tokens
    plain = decode(noise.model, prompted, replace(settings, reuse=1)).tokens
    assert bool(reused.isfinite().all()) and not bool((reused == 0).all(dim=-1).any())
    bound = 0.05 if not settings.repair else 0.5  # a repair may find other tokens to draw again
    assert 0 < float((reused - plain).abs().mean() / plain.abs().mean()) < bound
    assert torch.equal(reused, decode(noise.model, prompted, settings).tokens)


def test_reuse_below_one_is_refused():
    with pytest.raises(InputError, match="reuse must be at least 1"):
        DecodeSettings(reuse=0)


def test_every_task_that_paints_takes_reuse_and_says_so():
    assert PromptsSettings(reuse=4).otherwise == {"reuse": 4}
    assert PromptsSettings().otherwise == {}
