from dataclasses import replace

import pytest
import torch

from dream.decoding import state
from dream.decoding.context import DecodeContext
from dream.decoding.decode import collect, decode, decode_iter
from dream.decoding.noise import seeded_orders
from dream.decoding.paint import PaintPlan, encode_prompts, paint, paint_batches, paint_iter
from dream.decoding.pictures import HATCH
from dream.decoding.previews import previews
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Given, Prompted
from dream.errors import InputError
from dream.published import decode_published
from tests.dream.decoding.decode_fakes import PROMPTS, FakeModel, small_config, small_pretrained

SETTINGS = {
    "plain": DecodeSettings(steps=6),
    "unguided": DecodeSettings(steps=6, guidance_scale=1.0),
    "constant": DecodeSettings(steps=6, guidance_schedule="constant", temperature=0.9),
    "coarse half first": DecodeSettings(steps=6, coarse_steps=4),
    "once": DecodeSettings(steps=6, candidates=3, select_steps=(2,)),
    "every": DecodeSettings(steps=6, candidates=3, selection="every", select_steps=(2,)),
    "halving": DecodeSettings(steps=6, candidates=4, selection="halving", select_steps=(2, 4)),
    "none": DecodeSettings(steps=6, candidates=3, selection="none"),
    "own orders": DecodeSettings(steps=6, candidates=3, select_steps=(2,), orders="own"),
    "own orders, none": DecodeSettings(steps=6, candidates=3, selection="none", orders="own"),
    "own orders, coarse half first": DecodeSettings(
        steps=6, candidates=3, select_steps=(2,), orders="own", coarse_steps=4
    ),
    "another score": DecodeSettings(steps=6, candidates=3, select_steps=(2,), score="preview+confidence+relevance"),
    "more steps than tokens": DecodeSettings(steps=30, candidates=2, select_steps=(20,)),
}


@pytest.fixture(scope="module")
def flow():
    return small_pretrained("flow")


@pytest.fixture(scope="module")
def noise():
    return small_pretrained("noise")


def inputs(pretrained, prompts=PROMPTS, picture_ids=None):
    return pretrained.model, encode_prompts(pretrained, prompts, SETTINGS["plain"], picture_ids)


def fake_prompts() -> Prompted:
    return Prompted(torch.zeros(2, 3).long(), torch.zeros(2, 3), torch.zeros(1, 3))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_position_is_revealed_exactly_once(flow, name):
    records = list(paint_iter(flow, PROMPTS, SETTINGS[name]))
    for picture in range(len(PROMPTS)):
        finished = records[-1].candidate[records[-1].picture == picture][0]
        rows = [r.picture == picture for r in records]
        if SETTINGS[name].orders == "own":
            rows = [own & (r.candidate == finished) for own, r in zip(rows, records, strict=True)]
        shown = torch.cat([r.revealed[own][0] for own, r in zip(rows, records, strict=True)])
        assert shown.sort().values.tolist() == list(range(16))
    assert not records[-1].mask.any()
    assert records[-1].decoded_fraction == 1.0


@pytest.mark.parametrize("name", SETTINGS)
def test_a_revealed_token_never_changes(flow, name):
    before = None
    for record in paint_iter(flow, PROMPTS, SETTINGS[name]):
        if before is not None:
            for row, (picture, candidate) in enumerate(zip(record.picture, record.candidate, strict=True)):
                came_from = (before.picture == picture) & before.kept
                if int(came_from.sum()) > 1:
                    came_from &= before.candidate == candidate
                (old,) = came_from.nonzero()[:, 0].tolist()
                visible = ~before.mask[old]
                assert torch.equal(record.tokens[row][visible], before.tokens[old][visible])
        before = record


@pytest.mark.parametrize("name", SETTINGS)
def test_equal_settings_paint_equal_pictures(flow, name):
    first, again = (paint(flow, PROMPTS, SETTINGS[name]) for _ in range(2))
    assert torch.equal(first, again)


def test_another_seed_paints_another_picture(flow):
    first, other = (paint(flow, PROMPTS[:1], DecodeSettings(steps=6, seed=seed)) for seed in (0, 1))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", ["flow", "noise"])
@pytest.mark.parametrize("name", ["plain", "unguided", "constant", "once", "more steps than tokens"])
def test_the_savings_change_nothing(request, kind, name):
    pretrained = request.getfixturevalue(kind)
    ours = decode(*inputs(pretrained), SETTINGS[name])
    theirs = decode_published(*inputs(pretrained), SETTINGS[name])
    scale = theirs.tokens.abs().max()
    torch.testing.assert_close(ours.tokens / scale, theirs.tokens / scale, atol=2e-5, rtol=0)
    assert torch.equal(ours.candidates, theirs.candidates)


def test_a_result_does_not_depend_on_what_else_is_in_the_batch(noise):
    settings = SETTINGS["once"]
    together = decode(*inputs(noise, PROMPTS, [5, 6, 7]), settings)
    alone = decode(*inputs(noise, PROMPTS[1:2], [6]), settings)
    scale = together.tokens.abs().max()
    torch.testing.assert_close(together.tokens[1] / scale, alone.tokens[0] / scale, atol=2e-5, rtol=0)


def test_the_first_candidate_is_what_a_plain_decode_paints(noise):
    plain = decode(*inputs(noise), DecodeSettings(steps=6))
    all_of_them = decode(*inputs(noise), SETTINGS["none"])
    scale = plain.tokens.abs().max()
    assert all_of_them.tokens.shape[1] == 3
    torch.testing.assert_close(all_of_them.tokens[:, :1] / scale, plain.tokens / scale, atol=2e-5, rtol=0)
    assert not torch.allclose(all_of_them.tokens[:, 1], plain.tokens[:, 0])


def test_the_chosen_candidate_ends_as_it_would_have_without_a_choice(noise):
    once = decode(*inputs(noise), SETTINGS["once"])
    finished = decode(*inputs(noise), SETTINGS["none"])
    scale = finished.tokens.abs().max()
    for picture, (chosen,) in enumerate(once.candidates.tolist()):
        expected = finished.tokens[picture, chosen] / scale
        torch.testing.assert_close(once.tokens[picture, 0] / scale, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("selection", "places"), [("once", (2,)), ("every", (2,)), ("halving", (2,))])
def test_one_candidate_makes_every_selection_a_plain_decode(flow, selection, places):
    settings = DecodeSettings(steps=6, candidates=1, selection=selection, select_steps=places)
    assert torch.equal(paint(flow, PROMPTS, settings), paint(flow, PROMPTS, DecodeSettings(steps=6)))


def test_guidance_of_one_is_no_guidance(flow):
    model, prompted = inputs(flow)
    for schedule in ("linear", "constant"):
        settings = DecodeSettings(steps=6, guidance_scale=1.0, guidance_schedule=schedule)
        without = decode(model, replace(prompted, unconditional=None), settings)
        assert torch.equal(without.tokens, decode(model, prompted, settings).tokens)


def test_guidance_by_the_same_text_changes_nothing(flow):
    model, prompted = inputs(flow)
    guided = decode(model, replace(prompted, unconditional=prompted.conditioning), DecodeSettings(steps=6))
    plain = decode(model, replace(prompted, unconditional=None), DecodeSettings(steps=6, guidance_scale=1.0))
    torch.testing.assert_close(guided.tokens, plain.tokens, atol=1e-4, rtol=1e-4)


def test_candidates_share_one_order_and_differ_in_noise(flow):
    records = list(paint_iter(flow, PROMPTS, SETTINGS["none"]))
    order = records[0].order.view(3, 3, -1)
    assert torch.equal(order, order[:, :1].expand_as(order))
    assert torch.equal(order[:, 0], seeded_orders(0, range(3), 16))
    sampled = records[0].sampled.view(3, 3, -1)
    assert not torch.equal(sampled[:, 0], sampled[:, 1])


@pytest.mark.parametrize("name", ["once", "every", "halving"])
def test_the_best_scored_candidates_go_on(name):
    model = FakeModel(small_config())
    records = list(decode_iter(model, fake_prompts(), SETTINGS[name]))
    compared = [r for r in records if not r.kept.all()]
    assert compared
    for record in compared:
        sums = record.tokens.masked_fill(record.mask.unsqueeze(-1), 0).sum(dim=(1, 2)).view(2, -1)
        torch.testing.assert_close(record.alignment.view(2, -1), sums)
        kept = record.kept.view(2, -1)
        for scores, chosen in zip(sums, kept, strict=True):
            assert scores[chosen].min() > scores[~chosen].max()


def test_collect_tells_the_comparisons():
    model = FakeModel(small_config())
    decoded = decode(model, fake_prompts(), SETTINGS["halving"])
    assert [(c.step, tuple(c.kept.sum(dim=1).tolist())) for c in decoded.comparisons] == [(2, (2, 2)), (4, (1, 1))]
    assert decoded.comparisons[0].candidates.tolist() == [[0, 1, 2, 3]] * 2
    assert decoded.tokens.shape[:2] == decoded.candidates.shape == (2, 1)


def test_scores_at_every_step_cost_no_encoder_pass():
    def passes(scored):
        model = FakeModel(small_config())
        records = list(decode_iter(model, fake_prompts(), SETTINGS["once"], scored=scored))
        return model.encodes, [r.step for r in records if r.alignment is not None], len(records)

    plain, compared, steps = passes("choices")
    assert plain == steps and compared == [1]
    finished, scored, _ = passes("finished")
    assert finished == plain + 1 and scored == [1, steps - 1]
    everything, scored, _ = passes("all")
    assert everything == finished and scored == list(range(steps))


def watched_decoder():
    """A model, and the number of rows of each of its decoder passes."""
    model, seen = FakeModel(small_config()), []
    decode_rows = model.decode
    model.decode = lambda encoded, *rest, **options: (
        seen.append(len(encoded)),
        decode_rows(encoded, *rest, **options),
    )[1]
    return model, seen


def test_what_candidates_share_is_decoded_once():
    model, seen = watched_decoder()
    decode(model, fake_prompts(), SETTINGS["once"])
    assert seen == [4, 12, 4, 4, 4, 4]  # two prompts, with and without text; three candidates in one step only
    seen.clear()
    decode(model, fake_prompts(), SETTINGS["every"])
    assert seen == [4] * 6


@pytest.mark.parametrize("name", ["once", "every", "halving", "none", "own orders", "another score"])
def test_slices_of_rows_change_no_token(noise, monkeypatch, name):
    whole = decode(*inputs(noise), SETTINGS[name])
    monkeypatch.setattr(state, "SLICE_TOKENS", 1)
    sliced = decode(*inputs(noise), SETTINGS[name])
    scale = whole.tokens.abs().max()
    torch.testing.assert_close(sliced.tokens / scale, whole.tokens / scale, atol=2e-5, rtol=0)
    assert torch.equal(sliced.candidates, whole.candidates)


def test_candidates_go_through_the_decoder_in_slices_as_large_as_a_plain_decode(monkeypatch):
    monkeypatch.setattr(state, "SLICE_TOKENS", 1)
    model, seen = watched_decoder()
    decode(model, fake_prompts(), SETTINGS["once"])
    assert seen == [4, 4, 2, 4, 2, 4, 4, 4, 4]  # in the second step six rows with text, then six without


def test_the_text_of_consecutive_rows_or_of_one_prompt_is_not_copied(noise):
    text = DecodeContext.of(*inputs(noise), SETTINGS["once"]).text
    storages = {key.untyped_storage().data_ptr() for key, _ in text.keys_values}
    for rows in ([0, 1, 2], [3, 4, 5], [1, 2], [1, 1, 1, 1], [4]):
        cache = text.of_rows(torch.tensor(rows))
        assert {key.untyped_storage().data_ptr() for key, _ in cache} == storages
        for (key, value), (whole, other) in zip(cache, text.keys_values, strict=True):
            assert torch.equal(key, whole[rows]) and torch.equal(value, other[rows])


@pytest.mark.parametrize("name", ["coarse half first", "own orders, coarse half first"])
def test_the_coarse_steps_reveal_a_checkerboard(flow, name):
    records, places = list(paint_iter(flow, PROMPTS, SETTINGS[name])), torch.arange(16)
    coarse = (places // 4 + places % 4) % 2 == 0
    halfway = records[SETTINGS[name].coarse_steps - 1]
    assert halfway.decoded_fraction == 0.5 and torch.equal(~halfway.mask, coarse.expand_as(halfway.mask))


def test_the_coarse_half_of_what_is_to_be_painted_comes_first(flow):
    kept = torch.arange(16) < 8
    given = Given(flow.image_tokenizer.tokenize(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)), kept)
    halfway = list(paint_iter(flow, PROMPTS, SETTINGS["coarse half first"], beginning=given))[2]
    assert halfway.decoded_fraction < 0.75
    revealed = (~halfway.mask & ~kept).nonzero()[:, 1]
    assert ((revealed // 4 + revealed % 4) % 2 == 0).all()


@pytest.mark.parametrize("name", ["plain", "coarse half first", "every", "halving"])
def test_given_tokens_are_kept_to_the_bit(flow, name):
    picture = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8)
    kept = torch.arange(16) < 5
    given = Given(flow.image_tokenizer.tokenize(picture), kept)
    decoded = collect(paint_iter(flow, PROMPTS, SETTINGS[name], beginning=given))
    assert torch.equal(decoded.tokens[:, 0, kept], given.tokens[:, kept].expand(3, -1, -1))
    assert not (decoded.tokens[:, 0, ~kept] == 0).all(dim=-1).any()


def test_batches_paint_what_one_batch_paints(flow):
    settings, ids = SETTINGS["once"], [3, 4, 5]
    whole = collect(paint_iter(flow, PROMPTS, settings, picture_ids=ids))
    last = {}
    for first, record in paint_batches(flow, PaintPlan(PROMPTS, settings, ids, 2)):
        last[first] = record.tokens[record.kept]
    torch.testing.assert_close(torch.cat([last[0], last[2]]), whole.tokens[:, 0], atol=1e-5, rtol=1e-5)


def test_a_preview_shows_hidden_cells_hatched(flow):
    record = next(iter(paint_iter(flow, PROMPTS, SETTINGS["plain"])))
    pictures = previews(flow.image_tokenizer, flow.config.image, record)
    cells = pictures.unfold(2, 4, 4).unfold(3, 4, 4)  # (R, 3, 4, 4, 4, 4)
    hatched = torch.isin(cells, torch.tensor(HATCH, dtype=torch.uint8)).all(dim=-1).all(dim=-1).all(dim=1).flatten(1)
    assert torch.equal(hatched, record.mask)


def test_a_model_in_training_mode_is_refused(flow):
    flow.model.train()
    try:
        with pytest.raises(ValueError, match="eval"):
            paint(flow, PROMPTS, SETTINGS["plain"])
    finally:
        flow.model.eval()


def test_decoding_leaves_the_global_generator_alone(flow):
    before = torch.get_rng_state()
    paint(flow, PROMPTS[:1], SETTINGS["once"])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("decoder.norm_out", r"the tokens of decoding step 1 of 6 are not all numbers.*lower guidance"),
        ("text_tower.norm_out", "the features of the prompts are not all numbers"),
    ],
)
def test_a_decode_that_overflows_stops_and_says_at_which_step(where, sentence):
    pretrained = small_pretrained("flow")
    pretrained.model.get_submodule(where).weight.data.fill_(3e38)
    with pytest.raises(InputError, match=sentence):
        paint(pretrained, PROMPTS, SETTINGS["once"])
