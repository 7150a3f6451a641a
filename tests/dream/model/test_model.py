"""Laws of the model: what it may see, what it leaves out, and how large it is."""

import pytest
import torch
from torch import nn

from dream import masking
from dream.diffusion import add_noise, sample_draw
from dream.losses import total_loss
from dream.model.blocks import Dropout, PackedBlock, Rows, rotate
from dream.model.dream import Dream, generative_rows
from dream.model.encoder import equal_groups
from dream.model.latents import build_image_tokenizer, patchify, unpatchify
from dream.overrides import override
from dream.presets import preset

SMALL = [
    "encoder.width=32",
    "encoder.depth=2",
    "encoder.heads=2",
    "decoder.width=48",
    "decoder.depth=2",
    "decoder.heads=4",
    "text.width=16",
    "text.vocab_size=50",
    "text.context_length=8",
    "text.conditioning_width=12",
    "head.width=24",
    "joint.hidden=20",
    "joint.width=10",
    "encoder.dropout=0",
    "decoder.dropout=0",
    "masking.groups=4",
    "train.batch_size=8",
]


def config_of(name):
    if name == "tiny":
        return override(preset("tiny"), SMALL)
    published = ["image.size=64", "encoder.buffer_tokens=6", "text.depth=2", "decoder.aligner_depth=1", "head.depth=2"]
    return override(preset("base"), SMALL + published + ["text.heads=2", "text.conditioning_length=9"])


def build(name):
    config = config_of(name)
    torch.manual_seed(0)
    model = Dream(config)
    for parameter in model.parameters():  # nothing may be zero: a zero gate would hide mistakes
        if not parameter.abs().any():
            nn.init.normal_(parameter, std=0.05)
    return model.eval()


def inputs(config, mask, seed=0):
    g = torch.Generator().manual_seed(seed)
    batch, text = len(mask), config.text
    tokens = torch.randn(batch, config.image.num_tokens, config.image.token_dim, generator=g)
    ids = torch.randint(1, text.vocab_size - 1, (batch, text.context_length), generator=g)
    ids[:, -2], ids[:, -1] = text.vocab_size - 1, 0
    reading = ids
    if text.conditioning == "t5":
        reading = torch.randn(batch, text.conditioning_length, text.conditioning_width, generator=g)
    draw = sample_draw(config.head, generative_rows(mask, config), config.image.token_dim, g)
    return tokens, ids, reading, draw


def mixed_mask(config, ratios=(0.0, 0.3, 0.6, 1.0)):
    return masking.sample_masks(list(ratios), 8, config.image.num_tokens, torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("size", "millions", "encoder", "decoder", "aligner"),
    [
        ("base", 329, 85, 113, 43),
        ("large", 636, 202, 269, 76),
        ("huge", 1128, 394, 525, 118),
        ("giant", 2433, 921, 1187, 230),
    ],
)
def test_published_presets_have_the_published_sizes(size, millions, encoder, decoder, aligner):
    with torch.device("meta"):
        model = Dream(preset(size))
    count = lambda part: sum(p.numel() for p in part.parameters()) / 1e6  # noqa: E731
    assert count(model) == pytest.approx(millions, rel=0.01)
    assert count(model.encoder) == pytest.approx(encoder, rel=0.02)
    assert count(model.decoder) == pytest.approx(decoder, rel=0.02)
    assert count(model.aligner) == pytest.approx(aligner, rel=0.02)
    assert count(model.text_tower) == pytest.approx(63, rel=0.01) and count(model.head) == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_what_is_hidden_changes_nothing_in_the_encoder(name):
    model = build(name)
    mask = masking.sample_masks([0.4], 3, model.config.image.num_tokens, torch.Generator().manual_seed(0))
    tokens = inputs(model.config, mask)[0]
    other = torch.where(mask.unsqueeze(-1), torch.randn_like(tokens), tokens)
    assert torch.equal(model.encode(tokens, mask), model.encode(other, mask))
    assert not torch.equal(model.encode(tokens, mask), model.encode(tokens + 0.1, mask))


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_a_batch_of_many_ratios_is_its_groups_one_by_one(name):
    """One packed call gives what a call per group gives: features, predictions and their losses."""
    model = build(name)
    config, mask = model.config, mixed_mask(model.config)
    tokens, ids, reading, draw = inputs(config, mask)
    whole = model(tokens, mask, ids, reading, draw)
    features = []
    for rows in torch.arange(8).chunk(4):
        features.append(model.image_features(model.encode(tokens[rows], mask[rows]), mask[rows]))
    assert torch.allclose(whole.joint.image_features, torch.cat(features), atol=1e-5)
    counted = masking.counts_in_generation(mask, 0.5)
    conditions = []
    for i in counted.nonzero()[:, 0].tolist():
        row = slice(i, i + 1)
        cache = model.cross_cache(model.text_states(reading[row]))
        conditions.append(model.decode(model.encode(tokens[row], mask[row]), mask[row], cache, mask[row]))
    projected = model.head.project(torch.cat(conditions)).repeat(config.head.draws, 1)
    expected = model.head(add_noise(config.head, whole.generative.clean, draw), draw.times, projected)
    assert torch.allclose(whole.generative.prediction, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_wanted_places_are_those_of_the_full_decode(name):
    model = build(name)
    mask = masking.sample_masks([0.6], 3, model.config.image.num_tokens, torch.Generator().manual_seed(0))
    tokens, _, reading, _ = inputs(model.config, mask)
    encoded, cache = model.encode(tokens, mask), model.cross_cache(model.text_states(reading))
    wanted = masking.mask_from_order(masking.sample_orders(3, mask.shape[1], torch.Generator().manual_seed(2)), 4)
    full = model.decode(encoded, mask, cache)
    assert torch.allclose(model.decode(encoded, mask, cache, wanted), full[wanted], atol=1e-5)


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("ratios", [(0.0, 0.1, 0.2, 0.3), (0.9, 0.9, 1.0, 1.0), (0.0, 0.3, 0.6, 1.0)])
def test_every_trained_parameter_gets_a_gradient_whatever_counts(name, ratios):
    """A loss that counts nowhere gives gradients of exactly zero, not missing ones: AdamW's moments go on."""
    model = build(name).train()
    mask = mixed_mask(model.config, ratios)
    output = model(*reorder(inputs(model.config, mask), mask))
    losses = total_loss(output, model.config)
    losses.total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert all(g is not None and torch.isfinite(g).all() for g in gradients.values())
    generative = any(r >= 0.5 for r in ratios)
    contrastive = any(r <= 0.75 for r in ratios)
    assert gradients["decoder.embed.weight"].abs().any() == generative
    assert gradients["text_tower.projection.weight"].abs().any() == contrastive
    assert (losses.generative > 0) == generative and (losses.contrastive > 0) == contrastive


def reorder(parts, mask):
    tokens, ids, reading, draw = parts
    return tokens, mask, ids, reading, draw


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_thirty_steps_lower_both_losses(name):
    model = build(name).train()
    config, mask = model.config, mixed_mask(model.config)
    parts = reorder(inputs(config, mask), mask)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(30):
        losses = total_loss(model(*parts), config)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        history.append((losses.generative.item(), losses.contrastive.item()))
    assert history[-1][0] < 0.8 * history[0][0]
    assert history[-1][1] < 0.95 * history[0][1] or config.objective.contrastive_weight < 0.1


def test_packed_block_is_timms_block():
    from timm.models.vision_transformer import Block

    torch.manual_seed(0)
    timm_block = Block(32, 4, 4.0, qkv_bias=True, norm_layer=lambda d, **k: nn.LayerNorm(d, eps=1e-6)).eval()
    block = PackedBlock(32, 4, 4.0).eval()
    block.load_state_dict(timm_block.state_dict())
    first, second = torch.randn(3, 7, 32), torch.randn(2, 5, 32)
    packed = block(torch.cat([first.flatten(0, 1), second.flatten(0, 1)]), [Rows(3, 7), Rows(2, 5)])
    expected = torch.cat([timm_block(first).flatten(0, 1), timm_block(second).flatten(0, 1)])
    assert torch.allclose(packed, expected, atol=1e-5)


def test_rotary_attention_is_timms():
    from timm.layers import apply_rot_embed_cat

    heads, rotary = torch.randn(2, 4, 7, 16), torch.randn(1, 1, 7, 32)
    torch.testing.assert_close(rotate(heads, rotary), apply_rot_embed_cat(heads, rotary, half=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_dropout_zeroes_its_share_and_keeps_the_mean(share, dtype):
    torch.manual_seed(0)
    drop, ones = Dropout(share).train(), torch.ones(200_003, dtype=dtype, requires_grad=True)
    dropped = drop(ones)
    dropped.sum().backward()
    zeros = (dropped == 0).float()
    assert dropped.dtype == dtype and torch.equal(ones.grad, dropped.detach())
    assert float(zeros.mean()) == pytest.approx(share, abs=0.004)
    assert float(dropped.detach().float().mean()) == pytest.approx(1.0, abs=0.1 if share > 0.9 else 0.01)
    for apart in (1, 2, 3, 4, 8):  # the draws that are cut from one are independent
        both = (zeros[apart:] * zeros[:-apart]).mean()
        assert float(both) == pytest.approx(share**2, abs=0.006)


def test_dropout_depends_on_the_seed_alone_and_rests_in_evaluation():
    drop, x = Dropout(0.3).train(), torch.randn(5, 7)
    pictures = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        pictures.append(drop(x))
    assert torch.equal(pictures[0], pictures[1]) and not torch.equal(pictures[0], pictures[2])
    assert drop.eval()(x) is x
    assert torch.equal(Dropout(1.0).train()(x), torch.zeros_like(x))


def test_text_after_the_end_does_not_matter():
    model = build("base")
    ids = torch.tensor([[3, 9, 49, 0, 0, 0, 0, 0], [3, 5, 6, 7, 8, 49, 0, 0]])
    noisy = ids.clone()
    noisy[0, 3:] = 7
    assert torch.allclose(model.text_features(ids), model.text_features(noisy), atol=1e-6)
    positional = build("tiny")
    assert torch.allclose(positional.text_features(ids), positional.text_features(noisy), atol=1e-6)


def test_rotary_attention_of_the_encoder_depends_on_where_not_on_which_others_are_hidden():
    model = build("tiny")
    assert model.encoder.rotary is not None
    mask = torch.zeros(2, model.config.image.num_tokens, dtype=torch.bool)
    mask[0, 0], mask[1, -1] = True, True
    tokens = torch.ones(2, model.config.image.num_tokens, model.config.image.token_dim)
    encoded = model.encode(tokens, mask)
    assert not torch.allclose(encoded[0], encoded[1], atol=1e-4)


def test_patches_are_channel_row_column_and_come_back():
    latents = torch.arange(2 * 3 * 4 * 4).float().view(2, 3, 4, 4)
    tokens = patchify(latents, 2)
    assert tokens.shape == (2, 4, 12)
    assert torch.equal(tokens[0, 1].view(3, 2, 2), latents[0, :, :2, 2:])
    assert torch.equal(unpatchify(tokens, 2, 3), latents)


def test_pixels_survive_the_round_trip():
    tokenizer = build_image_tokenizer(preset("tiny").image)
    images = torch.randint(0, 256, (2, 3, 30, 30), dtype=torch.uint8)
    assert torch.equal((tokenizer.to_pixels(tokenizer.tokenize(images)) * 255).round().to(torch.uint8), images)


def test_groups_hold_each_row_once_and_its_visible_places_in_order():
    mask = torch.rand(9, 12, generator=torch.Generator().manual_seed(0)) < 0.5
    groups = equal_groups(mask)
    assert sorted(torch.cat([g.rows for g in groups]).tolist()) == list(range(9))
    for group in groups:
        for row, places in zip(group.rows, group.visible, strict=True):
            assert places.tolist() == (~mask[row]).nonzero()[:, 0].tolist()


def test_recomputing_activations_changes_no_gradient():
    gradients = []
    for recompute in (False, True):
        model = build("tiny").train()
        for part in (model.encoder, model.decoder, model.aligner):
            part.checkpoint_gradients = recompute
        mask = mixed_mask(model.config)
        total_loss(model(*reorder(inputs(model.config, mask), mask)), model.config).total.backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("objective", ["fluid", "mar", "clip"])
def test_a_baseline_computes_only_its_own_loss(objective):
    config = override(preset("tiny", objective), SMALL)
    model = Dream(config)
    mask = masking.sample_masks(
        [0.0] * 4 if objective == "clip" else [0.8] * 4, 8, config.image.num_tokens, torch.Generator().manual_seed(0)
    )
    output = model(*reorder(inputs(config, mask), mask))
    losses = total_loss(output, config)
    assert (output.generative is None) == (objective == "clip")
    assert (output.joint is None) == (objective != "clip")
    assert losses.total.item() == pytest.approx((losses.generative + losses.contrastive).item())


def test_alignment_pulls_visible_tokens_to_the_teacher():
    teaching = ["objective.alignment_block=1", "objective.alignment_hidden=16", "objective.teacher_width=6"]
    config = override(preset("tiny", "repa"), SMALL + teaching)
    model = Dream(config)
    mask = masking.sample_masks([0.8] * 4, 8, config.image.num_tokens, torch.Generator().manual_seed(0))
    parts = reorder(inputs(config, mask), mask)
    output = model(*parts)
    assert output.alignment.aligned.shape == ((~mask).sum(), 6)
    picture, position = output.alignment.place.T
    assert not mask[picture, position].any()
    teacher = torch.zeros(8, config.image.num_tokens, 6)
    teacher[picture, position] = output.alignment.aligned.detach()
    assert total_loss(output, config, teacher).alignment.item() == pytest.approx(0.0, abs=1e-5)
    assert total_loss(output, config, -teacher).alignment.item() == pytest.approx(2.0, abs=1e-5)
