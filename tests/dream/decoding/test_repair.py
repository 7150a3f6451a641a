"""Laws of repair: what it may change, what it costs, and that records hold both draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.decoding.context import DecodeContext
from dream.decoding.decode import decode_iter
from dream.decoding.paint import PaintPlan, encode_prompts, paint_batches, paint_iter
from dream.decoding.previews import previews
from dream.decoding.record import GIVEN, About, load_record
from dream.decoding.record_writer import RecordWriter
from dream.decoding.repair import hide_least_confident
from dream.decoding.scores import token_errors
from dream.decoding.selection import plan_steps
from dream.decoding.settings import REPAIR_PASSES, DecodeSettings
from dream.decoding.state import DecodeState, Given
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained

REPAIRED = DecodeSettings(steps=8, seed=5, repair=0.25)


@pytest.fixture(scope="module")
def pretrained():
    return small_pretrained()


def painted(pretrained, settings, given=None):
    return list(paint_iter(pretrained, PROMPTS, settings, beginning=given))


def finished(pretrained) -> tuple[DecodeContext, DecodeState]:
    settings = replace(REPAIRED, repair=0.0)
    prompted = encode_prompts(pretrained, PROMPTS, settings)
    *_, last = decode_iter(pretrained.model, prompted, settings)
    context = DecodeContext.of(pretrained.model, prompted, settings)
    return context, DecodeState(last.tokens, last.mask, last.order, last.picture, last.candidate)


def test_the_same_seed_repairs_the_same(pretrained):
    first, again = (painted(pretrained, REPAIRED)[-1] for _ in range(2))
    assert torch.equal(first.tokens, again.tokens) and torch.equal(first.revealed, again.revealed)


def test_up_to_the_repair_it_is_a_plain_decode_of_fewer_steps(pretrained):
    *steps, last = painted(pretrained, REPAIRED)
    plain = painted(pretrained, replace(REPAIRED, repair=0.0, steps=8 - REPAIR_PASSES))
    assert len(steps) == len(plain) and last.step == 7
    for one, other in zip(steps, plain, strict=True):
        assert torch.equal(one.tokens, other.tokens) and torch.equal(one.mask, other.mask)


def test_it_redraws_the_share_it_says_and_nothing_else(pretrained):
    *_, before, last = painted(pretrained, REPAIRED)
    assert last.revealed.shape == (len(PROMPTS), 4) and not last.mask.any()
    changed = (before.tokens != last.tokens).any(-1)
    assert torch.equal(changed, torch.zeros_like(changed).scatter(1, last.revealed, True))


@pytest.mark.parametrize("changes", [{}, {"candidates": 3, "select_steps": (2,)}, {"repair": 1.0}])
def test_there_are_as_many_decoder_passes_as_without(pretrained, monkeypatch, changes):
    passes, decode = [], type(pretrained.model).decode
    monkeypatch.setattr(type(pretrained.model), "decode", lambda *a, **k: passes.append(1) or decode(*a, **k))
    counts = []
    for repair in (changes.get("repair", 0.25), 0.0):
        passes.clear()
        painted(pretrained, replace(REPAIRED, **{**changes, "repair": repair}))
        counts.append(len(passes))
    assert counts == [8, 8]


def test_the_tokens_that_are_recovered_worst_are_hidden_and_given_ones_never(pretrained):
    context, state = finished(pretrained)
    errors = token_errors(context, state)
    hidden = hide_least_confident(context, state, 5).mask
    assert (hidden.sum(1) == 5).all()
    assert (errors.masked_fill(~hidden, torch.inf).amin(1) >= errors.masked_fill(hidden, -torch.inf).amax(1)).all()
    kept = hide_least_confident(context, state, 5, given=6).mask.gather(1, state.order[:, -6:])
    assert not kept.any()


def test_a_given_picture_is_kept(pretrained):
    picture = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8)
    kept = torch.arange(16) % 3 == 0
    given = Given(pretrained.image_tokenizer.tokenize(picture), kept)
    last = painted(pretrained, replace(REPAIRED, repair=1.0), given)[-1]
    assert torch.equal(last.tokens[:, kept], given.tokens[:, kept].expand(len(PROMPTS), -1, -1))
    assert last.revealed.shape[1] == int((~kept).sum())


@pytest.mark.parametrize("changes", [{}, {"candidates": 3, "select_steps": (2,)}])
def test_a_record_holds_every_state_before_and_after_the_repair(pretrained, tmp_path, changes):
    plan = PaintPlan(PROMPTS, replace(REPAIRED, **changes), range(3), 3)
    steps = []
    with RecordWriter(tmp_path / "a.zarr", About.of(pretrained, plan)) as writer:
        for first, record in paint_batches(pretrained, plan, scored="all"):
            writer.add(record, previews(pretrained.image_tokenizer, pretrained.config.image, record), first)
            steps.append(record)
    stored = load_record(tmp_path / "a.zarr")
    assert stored.about.settings == plan.settings and stored.steps == [record.step for record in steps]
    for record in steps:
        for row, (picture, candidate) in enumerate(
            zip(record.picture.tolist(), record.candidate.tolist(), strict=True)
        ):
            expected = record.tokens[row].masked_fill(record.mask[row].unsqueeze(-1), torch.nan).numpy()
            np.testing.assert_array_equal(stored.tokens_at(record.step, picture, candidate), expected)
    assert ((stored.redrawn_step != GIVEN).sum(1) == 4).all()
    assert (stored.reveal_step < steps[-1].step).all()


def test_a_record_without_repair_has_no_arrays_for_one(pretrained, tmp_path):
    plan = PaintPlan(PROMPTS, replace(REPAIRED, repair=0.0), range(3), 3)
    with RecordWriter(tmp_path / "a.zarr", About.of(pretrained, plan)) as writer:
        for first, record in paint_batches(pretrained, plan):
            writer.add(record, previews(pretrained.image_tokenizer, pretrained.config.image, record), first)
    assert load_record(tmp_path / "a.zarr").redrawn is None


def test_orders_of_their_own_are_refused_by_a_record(pretrained, tmp_path):
    plan = PaintPlan(PROMPTS, DecodeSettings(steps=6, candidates=2, select_steps=(2,), orders="own"), range(3), 3)
    with pytest.raises(InputError, match="one order per picture"):
        RecordWriter(tmp_path / "a.zarr", About.of(pretrained, plan))


def test_the_plan_reveals_every_token_once_and_then_repairs():
    *reveal, repair = plan_steps(REPAIRED, 16)
    assert sum(plan.reveals for plan in reveal) == 16 and not any(plan.repairs for plan in reveal)
    assert repair.repairs and repair.reveals == 4 and repair.step == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repair": 1.5}, "repair must be a share"),
        ({"repair": 0.2, "steps": 3}, "needs at least 4"),
        ({"repair": 0.2, "candidates": 2, "selection": "none"}, "another selection than none"),
        ({"repair": 0.2, "candidates": 2, "select_steps": (6,)}, "must be in [1, 4]"),
    ],
)
def test_a_repair_that_cannot_be_is_refused_in_a_sentence(changes, words):
    with pytest.raises(InputError) as caught:
        DecodeSettings(**{"steps": 8, **changes})
    assert words in str(caught.value)
