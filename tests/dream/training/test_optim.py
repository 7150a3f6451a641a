"""Groups, learning rate, Muon and averages: laws of the optimiser side."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from dream.model.dream import Dream
from dream.overrides import override
from dream.presets import clip, fluid
from dream.training import optim
from tests.dream.training.training_small import small_config


@pytest.fixture(scope="module")
def model() -> Dream:
    torch.manual_seed(0)
    return Dream(small_config())


def members(optimizers: list[torch.optim.Optimizer]) -> list[tuple[nn.Parameter, float]]:
    return [(p, group["weight_decay"]) for each in optimizers for group in each.param_groups for p in group["params"]]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_parameter_is_trained_by_one_optimiser(model, name):
    found = members(optim.build_optimizers(model, replace(small_config().train, optimizer=name)))
    assert len(found) == len({id(p) for p, _ in found}) == len(list(model.parameters()))


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_decay_spares_biases_norms_and_the_head_but_not_tables_and_tokens(model, name):
    config = replace(small_config().train, optimizer=name)
    decay = {id(p): value for p, value in members(optim.build_optimizers(model, config))}
    names = {key: decay[id(p)] for key, p in model.named_parameters()}
    decayed = {key for key, value in names.items() if value == config.weight_decay}
    free = {key for key, value in names.items() if value == 0}
    assert decayed | free == set(names)
    for key in (
        "encoder.positions",
        "decoder.positions",
        "decoder.output_positions",
        "decoder.mask_token",
        "encoder.buffer",
        "logit_scale",
        "text_tower.embedding.weight",
        "encoder.blocks.0.attn.qkv.weight",
    ):
        assert key in decayed, key
    for key, parameter in model.named_parameters():
        if key.startswith("head.") or key.endswith("bias") or "norm" in key or ".bn" in key:
            assert key in free, key
        if parameter.ndim > 1 and not key.startswith("head."):
            assert key in decayed, key


def test_muon_takes_matrices_between_hidden_layers_only(model):
    chosen = {key for key, p in model.named_parameters() if optim.is_hidden_matrix(key, p)}
    assert {
        "encoder.blocks.0.attn.qkv.weight",
        "decoder.blocks.1.cross_attn.kv.weight",
        "head.blocks.0.mlp.0.weight",
        "text_tower.blocks.0.mlp.fc1.weight",
        "aligner.blocks.0.attn.proj.weight",
    } <= chosen
    for key in (
        "encoder.embed.weight",
        "head.embed.weight",
        "head.out.weight",
        "text_tower.embedding.weight",
        "encoder.positions",
        "joint.layer3.weight",
        "joint.maps",
        "text_tower.projection.weight",
    ):
        assert key not in chosen, key


@pytest.mark.parametrize("bfloat16", [True, False])
def test_muon_in_batches_is_torchs_muon(bfloat16, monkeypatch):
    monkeypatch.setattr(optim, "cpu_likes_bfloat16", lambda: bfloat16)
    torch.manual_seed(0)
    shapes = [(24, 8), (24, 8), (8, 24), (8, 8), (24, 8)]
    starts = [torch.randn(shape) for shape in shapes]
    ours = [nn.Parameter(start.clone()) for start in starts]
    theirs = [nn.Parameter(start.clone()) for start in starts]
    optimizers = [optim.BatchedMuon(ours, lr=0.1, weight_decay=0.1), torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1)]
    for _ in range(3):
        gradients = [torch.randn(shape) for shape in shapes]
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=5e-3, rtol=0)  # bfloat16 products in another order
        assert torch.equal(optimizers[0].state[a]["momentum_buffer"], optimizers[1].state[b]["momentum_buffer"])


@pytest.mark.parametrize("shape", [(3, 6, 30), (3, 30, 6), (2, 8, 8), (1, 1, 12)])
def test_wide_and_tall_matrices_are_iterated_on_as_square_ones_are(shape, monkeypatch):
    monkeypatch.setattr(optim, "cpu_likes_bfloat16", lambda: False)
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours = optim.orthogonalise(matrices, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    x = matrices.double() / matrices.double().norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    torch.testing.assert_close(ours.double(), x, atol=1e-5, rtol=0)


def test_untrained_parts_are_frozen():
    for objective, frozen, trained in ((fluid, "text_tower.", "head."), (clip, "head.", "text_tower.")):
        config = objective(small_config())
        model = Dream(config)
        optim.freeze_untrained(model, config)
        for key, parameter in model.named_parameters():
            if key.startswith((frozen, trained, "encoder.")):
                assert parameter.requires_grad == (not key.startswith(frozen)), key


def test_missing_gradients_are_zeros_and_decay_goes_on():
    layer = nn.Linear(3, 3, bias=False)
    before = layer.weight.detach().clone()
    optim.fill_missing_gradients(layer)
    torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(layer.weight.detach(), before * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear"])
def test_learning_rate_rises_to_its_peak_and_never_above(decay):
    config = replace(small_config().train, warmup=0.2, decay=decay, decay_start=0.5)
    factors = [optim.lr_factor(step, (100,), config) for step in range(100)]
    assert factors[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert factors[20:50] == [1.0] * 30
    assert all(0 < factor <= 1 for factor in factors)
    assert all(a >= b for a, b in itertools.pairwise(factors[50:]))
    assert factors[-1] == 1.0 if decay == "constant" else factors[-1] < 0.03


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear"])
def test_an_extension_changes_no_earlier_step_and_falls_again(decay):
    config = replace(small_config().train, decay=decay)
    before = [optim.lr_factor(step, (40,), config) for step in range(40)]
    assert [optim.lr_factor(step, (40, 60), config) for step in range(40)] == before
    extension = [optim.lr_factor(step, (40, 60), config) for step in range(40, 60)]
    assert extension[0] == (1.0 if decay == "constant" else optim.EXTENSION_START)
    assert extension == sorted(extension, reverse=True)


def test_each_optimiser_has_its_own_peak(model):
    config = replace(small_config().train, optimizer="muon", lr=0.1, muon_lr=0.4)
    optimizers = optim.build_optimizers(model, config)
    optim.set_lr(optimizers, 0.5)
    assert [{group["lr"] for group in each.param_groups} for each in optimizers] == [{0.05}, {0.2}]


@pytest.mark.parametrize("ramp", [True, False])
def test_average_follows_its_definition_with_parameters_only(ramp):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ema = optim.Ema(model, replace(small_config().train, ema=0.9, ema_ramp=ramp))
    expected = ema.averages[0].clone()
    for step in range(30):
        with torch.no_grad():
            model[0].weight.add_(1.0)
        ema.update(step)
        decay = min(0.9, (1 + step) / (10 + step)) if ramp else 0.9
        expected = decay * expected + (1 - decay) * model[0].weight
    torch.testing.assert_close(ema.averages[0], expected.detach())
    assert len(ema.averages) == len(list(model.parameters()))


def test_swapping_the_average_in_is_undone_to_the_bit():
    model = nn.Linear(4, 4)
    ema = optim.Ema(model, small_config().train)
    live = model.weight.detach().clone()
    ema.averages[0].fill_(math.pi)
    with pytest.raises(KeyError), ema.swapped():
        assert bool((model.weight == math.pi).all())
        raise KeyError
    assert torch.equal(model.weight, live)


@pytest.mark.parametrize(
    ("ema", "ramp", "steps", "young"),
    [
        (0.998, True, 0, False),  # both are the weights of the start
        (0.998, True, 10, True),
        (0.998, True, 100, False),
        (0.9999, False, 10_000, True),
        (0.9999, False, 50_000, False),
    ],
)
def test_an_average_is_young_in_a_short_run_and_while_it_holds_weights_of_the_start(ema, ramp, steps, young):
    config = replace(small_config().train, ema=ema, ema_ramp=ramp)
    assert optim.Ema(nn.Linear(1, 1), config).is_young(steps) == young


@pytest.mark.parametrize(("lr", "clip"), [(800.0, 1e6), (8e-4, 3.0), (1e-6, 0.1)])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_gentler_settings_are_lower_never_above_the_defaults_and_can_be_typed(lr, clip, optimizer):
    config = replace(small_config(), train=replace(small_config().train, lr=lr, clip=clip, optimizer=optimizer))
    gentle = override(config, optim.gentler(config.train)).train
    assert gentle.lr <= min(lr / 2, 8e-4) and gentle.clip <= min(clip / 2, 1.0)
    assert (gentle.muon_lr < config.train.muon_lr) == (optimizer == "muon")
