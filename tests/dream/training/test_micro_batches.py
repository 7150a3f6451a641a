"""Micro-batches: the loss and the gradient of the whole batch, contrast included, with and without dropout."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.losses import contrastive_loss
from dream.model.dream import equal_groups
from dream.model.joint import pool_groups
from dream.presets import clip, fluid, repa
from dream.training import loop, micro_batches
from dream.training.devices import build_fabric
from dream.training.draws import StepDraws
from dream.training.request import TrainRequest, find_start
from dream.training.setup import set_up
from tests.dream.training.training_small import small_config, without_dropout

PICTURES = 32


def gradients(tmp_path, config: DreamConfig, dream=None):
    """Losses per micro-batch, gradients and buffers of one step of the first batch of shapes."""
    request = TrainRequest(tmp_path, "shapes", config, accelerator="cpu", devices="1", overwrite=True)
    run = set_up(build_fabric(request, config), request, find_start(request))
    with torch.no_grad():  # the head starts at zero, where the rest of the generative gradient is zero
        torch.manual_seed(0)
        for parameter in run.bundle.model.head.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    batch, _ = next(run.source.batches(config.train.batch_size))
    step = loop.take_step(run, batch, 3, 0.5)
    named = {name: p.grad.clone() for name, p in run.bundle.model.named_parameters() if p.requires_grad}
    return run, batch, step, named, dict(run.bundle.model.named_buffers())


def config_of(accumulate: int, objective=lambda config: config, **train) -> DreamConfig:
    train = {"batch_size": PICTURES, "accumulate": accumulate, "clip": 1e9, "optimizer": "adamw", **train}
    return objective(small_config(**train))


@pytest.mark.parametrize("objective", [lambda config: config, clip, fluid], ids=["dream", "clip", "fluid"])
def test_4_times_8_pictures_have_the_losses_and_gradients_of_32(tmp_path, objective):
    _, _, whole, expected, statistics = gradients(tmp_path / "1", without_dropout(config_of(1, objective)))
    for accumulate in (2, 4):
        config = without_dropout(config_of(accumulate, objective))
        _, _, step, found, buffers = gradients(tmp_path / str(accumulate), config)
        for term in ("total", "generative", "contrastive", "generative_share"):
            mean = torch.stack([getattr(losses, term).detach() for losses in step.losses]).mean()
            assert float(mean) == pytest.approx(float(getattr(whole.losses[0], term).detach()), rel=1e-5), term
        if config.objective.contrastive_weight:  # each micro-batch has the contrast of all 32
            for losses in step.losses:
                assert float(losses.contrastive) == pytest.approx(float(whole.losses[0].contrastive.detach()), rel=1e-5)
        for name, gradient in found.items():
            assert torch.allclose(gradient, expected[name], rtol=1e-3, atol=1e-6), name
        assert step.norm == pytest.approx(whole.norm, rel=1e-5)
        for name, value in buffers.items():  # BatchNorm remembers the batch once
            assert torch.allclose(value.double(), statistics[name].double(), rtol=1e-5), name


def test_cached_rows_have_the_dropout_of_the_pass_with_gradient(tmp_path, monkeypatch):
    """The reference is one graph over all micro-batches, each with the dropout that its numbers seed."""
    config = config_of(4, clip)
    config = replace(config, masking=replace(config.masking, schedule="uniform", groups=4))
    config = replace(config, joint=replace(config.joint, dropout=0.2))
    assert config.encoder.dropout > 0
    run, batch, step, found, _ = gradients(tmp_path, config)
    model, drawn = run.bundle.model, StepDraws.at(config, 3, 0.5)
    model.zero_grad()
    pooled, texts, counted = [], [], []
    for micro, places in micro_batches.micro_batches(batch, 4, 0):
        made = micro_batches.prepare(run, micro, drawn, places)
        groups = equal_groups(made.mask)
        drawn.seed_dropout(places)
        pooled.append(pool_groups(model.joint, model.encoder(made.tokens, groups).split(), groups))
        texts.append(model.text_tower(made.text_ids))
        counted.append(model._counted(made.mask))
    images, text = F.normalize(model.joint(torch.cat(pooled)), dim=-1), F.normalize(torch.cat(texts), dim=-1)
    ids = run.bundle.tokenizer.token_ids(batch.captions)
    loss = contrastive_loss(images, text, model.contrastive_scale(), torch.cat(counted), ids).loss
    loss.backward()
    assert float(step.losses[0].contrastive) == pytest.approx(float(loss), rel=1e-5)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(found[name], parameter.grad, rtol=1e-3, atol=1e-6), name


def test_without_the_whole_batch_the_contrast_would_be_another(tmp_path, monkeypatch):
    """The test above could not fail if 8 pictures had the contrast of 32."""
    config = without_dropout(config_of(4, clip))
    monkeypatch.setattr(loop, "whole_batch_rows", lambda *args: None)
    _, _, step, _, _ = gradients(tmp_path / "8", config)
    monkeypatch.undo()
    _, _, whole, _, _ = gradients(tmp_path / "32", config)
    mean = torch.stack([losses.contrastive.detach() for losses in step.losses]).mean()
    assert float(whole.losses[0].contrastive) > float(mean) + 0.5


def test_alignment_is_a_mean_over_the_visible_tokens_of_the_whole_batch():
    from dream.losses import alignment_loss
    from dream.model.dream import AlignmentOutput

    draws = torch.Generator().manual_seed(0)
    teacher = torch.randn(4, 6, 5, generator=draws)
    places = torch.tensor([[0, 1], [0, 2], [0, 5], [1, 0], [2, 3], [2, 4], [3, 0]])
    aligned = torch.randn(len(places), 5, generator=draws)
    whole = alignment_loss(AlignmentOutput(aligned, places), teacher)
    halves = []
    for first in (0, 2):
        own = (places[:, 0] >= first) & (places[:, 0] < first + 2)
        shifted = places[own] - torch.tensor([first, 0])
        halves.append(alignment_loss(AlignmentOutput(aligned[own], shifted), teacher[first : first + 2], 7 / 4 * 2))
    assert torch.stack(halves).mean() == pytest.approx(whole)
    assert repa(small_config()).objective.alignment_weight > 0


@pytest.mark.parametrize(("size", "count"), [(128, 4), (192, 1), (160, 2)])
def test_draws_depend_on_the_picture_and_not_on_who_draws(size, count):
    config = small_config(batch_size=size)
    config = replace(config, masking=replace(config.masking, groups=count))
    drawn = StepDraws.at(config, 5, 0.5)
    whole = drawn.of(range(size))
    assert whole.mask.shape == (size, 16) and len(set(whole.chance.tolist())) == size
    assert drawn.mean_visible() == pytest.approx(float((~whole.mask).sum()) / size)
    for parts in (2, 32):
        places = [range(start, start + size // parts) for start in range(0, size, size // parts)]
        pieces = [StepDraws.at(config, 5, 0.5).of(each) for each in places]
        assert torch.equal(torch.cat([piece.mask for piece in pieces]), whole.mask)
        assert torch.equal(torch.cat([piece.chance for piece in pieces]), whole.chance)
        for name in ("times", "noise"):
            by_draw = [getattr(piece.noise, name).unflatten(0, (config.head.draws, -1)) for piece in pieces]
            assert torch.equal(torch.cat(by_draw, dim=1).flatten(0, 1), getattr(whole.noise, name)), name
    other = StepDraws.at(config, 6, 0.5).of(range(size))
    assert not torch.equal(other.chance, whole.chance)


def test_noise_of_the_vae_is_drawn_per_picture():
    config = small_config(batch_size=16)
    image = replace(config.image, tokenizer="sd-vae", size=32, stride=2, patch_size=4, channels=4)
    drawn = StepDraws.at(replace(config, image=image), 0, 0.0)
    whole = drawn.of(range(16)).latents
    assert whole.shape == (16, 4, 16, 16)
    assert torch.equal(torch.cat([drawn.of(range(0, 5)).latents, drawn.of(range(5, 16)).latents]), whole)


def test_captions_are_dropped_at_their_rate_and_all_without_text():
    from dream.presets import mar
    from dream.training.draws import drop_captions

    captions, config = [f"picture {i}" for i in range(2000)], small_config()
    chance = torch.rand(2000, generator=torch.Generator().manual_seed(0))
    read = drop_captions(captions, chance, config)
    assert read.count("") / 2000 == pytest.approx(config.objective.caption_drop, abs=0.03)
    assert all(caption in ("", own) for caption, own in zip(read, captions, strict=True))
    assert set(drop_captions(captions, chance, mar(config))) == {""}


def test_micro_batches_cut_a_ranks_share_in_order():
    batch = Batch(torch.arange(6 * 3 * 4).view(6, 3, 2, 2).byte(), tuple("abcdef"), tuple("uvwxyz"))
    parts, places = zip(*micro_batches.micro_batches(batch, 3, rank=2), strict=True)
    assert [part.captions for part in parts] == [("a", "b"), ("c", "d"), ("e", "f")]
    assert places == (range(12, 14), range(14, 16), range(16, 18))
    assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
