"""What is shown of the inside of a decode is what the model computed, and looking changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.decoding.context import DecodeContext
from dream.decoding.decode import decode_step
from dream.decoding.inspection import attention, look_inside, walk_of
from dream.decoding.paint import PaintPlan, encode_prompts, paint_iter
from dream.decoding.previews import previews
from dream.decoding.record import About, load_record
from dream.decoding.record_writer import RecordWriter
from dream.decoding.selection import StepPlan
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Given
from dream.model.blocks import DecoderBlock, Rows
from dream.randomness import generator
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from tests.dream.decoding.replay import replay_difference

PROMPT = PROMPTS[1]
SETTINGS = {
    "plain": DecodeSettings(steps=6, seed=5, guidance_scale=2.0),
    "unguided": DecodeSettings(steps=6, seed=5, guidance_scale=1.0, temperature=0.7),
    "constant": DecodeSettings(steps=5, guidance_schedule="constant", sampling_steps=7),
    "skipping": DecodeSettings(steps=30, seed=1),
    "annealed": DecodeSettings(steps=5, sampling_steps=6, last_sampling_steps=2),
    "once": DecodeSettings(steps=6, candidates=3, select_steps=(2,)),
    "every": DecodeSettings(steps=6, candidates=3, selection="every", select_steps=(2,)),
    "halving": DecodeSettings(steps=6, candidates=4, selection="halving", select_steps=(2, 4)),
}


@pytest.fixture(scope="module", params=["flow", "noise", "energy"])
def pretrained(request):
    return small_pretrained(request.param)


@pytest.fixture(scope="module")
def flow():
    return small_pretrained()


def about(pretrained, settings, prompt=PROMPT, **changes) -> About:
    return About.of(pretrained, PaintPlan((prompt,), settings, (0,), 1), **changes)


def context(pretrained, settings, prompt=PROMPT) -> DecodeContext:
    return DecodeContext.of(pretrained.model, encode_prompts(pretrained, [prompt], settings), settings)


def store(pretrained, path, settings, given=None):
    with RecordWriter(path, about(pretrained, settings)) as writer:
        for step in paint_iter(pretrained, [PROMPT], settings, beginning=given, scored="all"):
            writer.add(step, previews(pretrained.image_tokenizer, pretrained.config.image, step))
    return load_record(path)


def fork(pretrained, path, parent, steps, settings, prompt=PROMPT, candidate=0):
    """The decode of `parent` gone on with after `steps` steps, stored."""
    midway = parent.midway(steps, candidate=candidate)
    number = int(midway.state.candidate[0])
    description = about(pretrained, settings, prompt, taken_over=steps, noise_candidate=number)
    with RecordWriter(path, description) as writer:
        writer.take_over(parent, steps, candidate)
        for step in paint_iter(pretrained, [prompt], settings, beginning=midway, scored="all"):
            step = replace(step, candidate=torch.zeros_like(step.candidate))
            writer.add(step, previews(pretrained.image_tokenizer, pretrained.config.image, step))
    return load_record(path)


def near(found, expected) -> bool:
    """Equal up to rounding, at any scale: untrained `noise` heads put out numbers of any size."""
    return bool((found - expected).abs().max() < 1e-4 + 1e-5 * expected.abs().max())


def some_picture(pretrained) -> Given:
    picture = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8)
    return Given(pretrained.image_tokenizer.tokenize(picture), torch.arange(16) % 3 == 0)


def test_the_weights_of_a_block_are_those_it_mixes_with():
    torch.manual_seed(0)
    block = DecoderBlock(24, 2, 2.0, 0.0).eval()
    x, text = torch.randn(2 * 7, 24), torch.randn(2, 5, 24)
    packing, keys_values = [Rows(1, 7), Rows(1, 7)], block.cross_attn.keys_values(text)
    for layer, inputs in (
        (block.self_attn, (block.norm0(x), packing)),
        (block.cross_attn, (block.norm1(x), packing, keys_values)),
    ):
        weights = layer.weights(*inputs)
        assert torch.allclose(torch.cat(weights).sum(-1), torch.ones(()), atol=1e-6)
        heads = list(_heads(layer, inputs))
        mixed = torch.cat(
            [(w @ value).transpose(1, 2).flatten(0, 1) for w, (_, _, value) in zip(weights, heads, strict=True)]
        )
        assert torch.allclose(layer.proj(mixed.flatten(1)), layer(*inputs), atol=1e-5)


def _heads(layer, inputs):
    if hasattr(layer, "qkv"):
        return [layer._heads(layer.qkv(inputs[0])[7 * i : 7 * i + 7], rows) for i, rows in enumerate(inputs[1])]
    return layer._heads(*inputs)


def test_a_block_asked_for_some_queries_weighs_as_for_all():
    torch.manual_seed(0)
    block = DecoderBlock(24, 2, 2.0, 0.0).eval()
    x, keys_values = torch.randn(2 * 7, 24), block.cross_attn.keys_values(torch.randn(2, 5, 24))
    places = torch.tensor([[1, 4], [0, 6]])
    all_of, some = (block.weights(x, [Rows(2, 7, None, q)], keys_values) for q in (None, places))
    for (everything,), (asked,) in zip(all_of, some, strict=True):
        for row in range(2):
            assert torch.allclose(everything[row][:, places[row]], asked[row], atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
def test_paths_lead_from_noise_to_the_recorded_tokens(pretrained, tmp_path, name):
    settings = SETTINGS[name]
    walk = walk_of(store(pretrained, tmp_path / "a.zarr", settings))
    inside = look_inside(context(pretrained, settings), walk)
    head = settings.head(pretrained.config.head)
    assert inside.paths.shape[:2] == (head.sampling_steps + 1, 16)
    assert sorted(inside.positions.tolist()) == list(range(16))
    assert near(inside.paths[-1], walk.final[inside.positions])
    assert not near(inside.paths[0], inside.paths[-1])


def test_the_rest_is_what_a_step_that_reveals_all_would_draw(flow, tmp_path):
    settings = SETTINGS["plain"]
    record = store(flow, tmp_path / "a.zarr", settings)
    constants, walk = context(flow, settings), walk_of(record)
    inside = look_inside(constants, walk)
    noise = torch.randn(1, 16, 48, generator=generator(settings.seed, "preview of the rest"))
    for i, step in enumerate(walk.steps):
        state = record.midway(step).state
        places = state.mask[0]
        plan = StepPlan(step, int(places.sum()), 1, 1, False)
        own = replace(constants, noise=lambda *_, places=places: noise[:, places])
        filled, _ = decode_step(own, state, plan)
        assert torch.allclose(inside.rests[i], filled.tokens[0], atol=1e-4)
        assert torch.equal(inside.rests[i][~places], state.tokens[0][~places])


def test_attention_rows_sum_to_one_over_places_and_words(pretrained, tmp_path):
    settings = SETTINGS["plain"]
    walk = walk_of(store(pretrained, tmp_path / "a.zarr", settings))
    inside = look_inside(context(pretrained, settings), walk)
    assert inside.own.shape == (16, 2 + 16) and inside.cross.shape == (16, 12)
    for weights in (inside.own, inside.cross):
        assert torch.allclose(weights.sum(-1), torch.ones(16), atol=1e-5)


def test_the_steps_looked_at_together_change_nothing(flow, tmp_path):
    settings = SETTINGS["plain"]
    constants, walk = context(flow, settings), walk_of(store(flow, tmp_path / "a.zarr", settings))
    whole = look_inside(constants, walk)
    parts = [look_inside(constants, walk.part(part)) for part in (slice(0, 2), slice(2, None))]
    for name, dim in (("rests", 0), ("positions", 0), ("own", 0), ("cross", 0), ("paths", 1)):
        joined = torch.cat([getattr(part, name) for part in parts], dim=dim)
        assert torch.allclose(joined.float(), getattr(whole, name).float(), atol=1e-4)


def test_a_walk_starts_from_what_was_given_and_ends_in_the_picture(flow, tmp_path):
    given = some_picture(flow)
    walk = walk_of(store(flow, tmp_path / "a.zarr", SETTINGS["plain"], given))
    assert torch.equal(~walk.mask[0], given.kept)
    assert torch.equal(walk.tokens[0][given.kept], given.tokens[0][given.kept])
    for i in range(len(walk.steps) - 1):
        assert torch.equal(walk.mask[i] & ~walk.revealed[i], walk.mask[i + 1])
    assert torch.equal(walk.mask[-1], walk.revealed[-1])
    assert torch.equal(walk.final[given.kept], given.tokens[0][given.kept])


@pytest.mark.parametrize("name", ["plain", "skipping", "constant"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_fork_with_nothing_changed_is_its_parent_to_the_bit(pretrained, tmp_path, name, steps):
    settings = SETTINGS[name]
    parent = store(pretrained, tmp_path / "a.zarr", settings)
    child = fork(pretrained, tmp_path / "b.zarr", parent, steps, settings)
    for field in ("tokens", "order", "reveal_step", "mask", "kept", "decoded_fraction", "guidance", "alignment"):
        np.testing.assert_array_equal(getattr(child, field), getattr(parent, field))
    np.testing.assert_array_equal(child.previews[:], parent.previews[:])


@pytest.mark.parametrize("given", [False, True])
def test_a_fork_leaves_the_steps_before_it_alone_and_is_replayed(flow, tmp_path, given):
    settings = SETTINGS["plain"]
    parent = store(flow, tmp_path / "a.zarr", settings, some_picture(flow) if given else None)
    other = replace(settings, seed=99, guidance_scale=4.0, temperature=0.5)
    child = fork(flow, tmp_path / "b.zarr", parent, 3, other, PROMPTS[2])
    before = parent.tokens_at(parent.steps[2], 0, 0)
    np.testing.assert_array_equal(child.tokens_at(child.steps[2], 0, 0), before)
    np.testing.assert_array_equal(child.order, parent.order)
    np.testing.assert_array_equal(child.previews[:3], parent.previews[:3])
    assert not np.array_equal(child.tokens, parent.tokens)
    assert replay_difference(child, flow) == 0.0
    walk = walk_of(child).part(slice(3, None))
    inside = look_inside(context(flow, other, PROMPTS[2]), walk)
    assert near(inside.paths[-1], walk.final[inside.positions])


@pytest.mark.parametrize("name", ["once", "halving", "every"])
def test_the_winner_of_a_choice_can_be_forked(flow, tmp_path, name):
    parent = store(flow, tmp_path / "a.zarr", SETTINGS[name])
    winner = parent.finished(0)[0][0]
    single = replace(SETTINGS[name], candidates=1, select_steps=(), selection="none")
    child = fork(flow, tmp_path / "b.zarr", parent, 4, single, candidate=winner)
    assert replay_difference(child, flow) == 0.0
    _, finished = parent.finished(0)
    shown = child.tokens_at(child.steps[3], 0, 0)
    there = ~np.isnan(shown)
    np.testing.assert_array_equal(shown[there], finished[0][there])
    if name != "every":  # whose later steps draw K tokens anew
        np.testing.assert_allclose(child.finished(0)[1], finished, atol=1e-5)


def test_a_state_that_the_settings_do_not_lead_to_is_refused(flow, tmp_path):
    parent = store(flow, tmp_path / "a.zarr", SETTINGS["plain"])
    with pytest.raises(ValueError, match="hides"):
        list(paint_iter(flow, [PROMPT], DecodeSettings(steps=16), beginning=parent.midway(3)))


def test_looking_leaves_the_walk_as_it_was(flow, tmp_path):
    settings = SETTINGS["plain"]
    walk = walk_of(store(flow, tmp_path / "a.zarr", settings))
    tokens = walk.tokens.clone()
    look_inside(context(flow, settings), walk)
    assert torch.equal(walk.tokens, tokens)
    cache = context(flow, settings).text.keys_values
    groups = torch.zeros(1, 18, 24)
    own, _ = attention(flow.model, groups, cache, torch.ones(1, 16, dtype=torch.bool))
    assert own.shape == (16, 18)
