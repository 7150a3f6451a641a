"""Forecasts: formulas against counted arithmetic, saved activations and written checkpoints, and the command."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dream.__main__ import main
from dream.config import DreamConfig
from dream.diffusion import sample_draw
from dream.errors import InputError
from dream.forecast.machines import machine_of
from dream.forecast.training import PlanSetting, forecast, needs_words
from dream.forecast.work import CAPTION_TOKENS, mean_parts, parts_at
from dream.losses import total_loss
from dream.masking import mask_from_order, num_masked
from dream.model.dream import Dream, generative_rows
from dream.overrides import override
from dream.presets import preset
from dream.training.checkpoint import latest_checkpoint
from dream.training.optim import freeze_untrained
from tests.dream.training.training_small import run_training, small_config

SMALL = ["encoder.width=96", "encoder.depth=3", "encoder.heads=3", "decoder.width=128", "decoder.depth=3"]
SMALL += [
    "decoder.heads=4",
    "decoder.aligner_depth=2",
    "text.width=64",
    "text.heads=2",
    "text.depth=2",
    "head.width=96",
]
SMALL += ["text.vocab_size=600", "joint.hidden=64", "encoder.dropout=0", "decoder.dropout=0", "image.size=128"]
SMALL += ["text.conditioning_width=48", "text.conditioning_length=24", "encoder.buffer_tokens=16"]
RATIOS = (0.15, 0.15, 0.6, 0.6, 0.85, 0.0)
CONFIGS = {
    "published": override(preset("base"), SMALL),
    "fluid": override(preset("base", "fluid"), SMALL),
    "clip": override(preset("base", "clip"), SMALL),
    "tiny": override(preset("tiny"), ["encoder.rotary=false"]),
    "joint space alone": override(preset("base"), [*SMALL, "train.tune=joint"]),
}


def passes(config: DreamConfig) -> tuple[Dream, torch.Tensor]:
    """A model, and its loss on random tokens at RATIOS, with captions of CAPTION_TOKENS tokens."""
    torch.manual_seed(0)
    model, image, text, batch = Dream(config).train(), config.image, config.text, len(RATIOS)
    freeze_untrained(model, config)
    hidden = [num_masked(ratio, image.num_tokens) for ratio in RATIOS]
    mask = mask_from_order(torch.rand(batch, image.num_tokens).argsort(1), torch.tensor(hidden))
    ids = torch.full((batch, text.context_length), 5)
    end = min(CAPTION_TOKENS, text.context_length) - 1
    ids[:, end], ids[:, end + 1 :] = text.vocab_size - 1, 0
    words = torch.randn(batch, text.conditioning_length, text.conditioning_width)
    draw = sample_draw(config.head, generative_rows(mask, config), image.token_dim, torch.Generator().manual_seed(0))
    tokens = torch.randn(batch, image.num_tokens, image.token_dim)
    output = model(tokens, mask, ids, ids if text.conditioning == "learned" else words, draw)
    return model, total_loss(output, config, None).total


@pytest.mark.parametrize("name", CONFIGS)
def test_formulas_agree_with_counted_arithmetic_and_saved_activations(name):
    config = CONFIGS[name]
    work = mean_parts([(parts_at(config, num_masked(r, config.image.num_tokens)), 1.0) for r in RATIOS]).whole
    work = work * len(RATIOS)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the only kernel that is counted
        _, loss = passes(config)
        forward = counter.get_total_flops()
        loss.backward()
    assert work.forward == pytest.approx(forward, rel=0.03)
    assert work.flops == pytest.approx(counter.get_total_flops(), rel=0.03)

    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model, loss = passes(config)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved = sum(size for place, (size, _) in kept.items() if place not in weights)
    assert work.bytes(4) == pytest.approx(saved, rel=0.1)


def test_a_checkpoint_and_the_states_of_a_training_have_the_forecast_size(tmp_path):
    config = small_config(steps=1, optimizer="adamw")
    run_training(tmp_path / "run", config)
    written = sum(file.stat().st_size for file in latest_checkpoint(tmp_path / "run").glob("*.safetensors"))
    plan = forecast(config, PlanSetting(machine_of("1tflops")))
    assert plan.checkpoint == pytest.approx(written, rel=0.1)
    states = sum(plan.device[kind] for kind in ("weights", "gradients", "moments", "averages"))
    assert states == 20 * plan.parameters


def test_more_devices_and_shards_need_less_each_and_the_same_arithmetic():
    config = override(preset("base"), ["train.precision=bf16-mixed", "train.batch_size=256"])
    setting = PlanSetting(machine_of("h100"), pictures=1e6)
    one, eight = forecast(config, setting), forecast(config, replace(setting, devices=8))
    sharded = forecast(config, replace(setting, devices=8, sharded=True))
    assert eight.step_flops == one.step_flops and eight.seconds == pytest.approx(one.seconds / 8)
    assert eight.device["activations"] == pytest.approx(one.device["activations"] / 8)
    assert sharded.device["moments"] == pytest.approx(eight.device["moments"] / 8)
    assert eight.kilowatt_hours == pytest.approx(one.kilowatt_hours)
    assert one.steps == round(48e6 / 256) and one.cache == pytest.approx(1e6 * (32 * 1024 + 512 + 308))
    half = forecast(override(config, ["train.accumulate=2"]), setting)
    assert half.device["activations"] == pytest.approx(one.device["activations"] / 2)
    assert half.step_flops > one.step_flops  # the pass without gradient
    cached = forecast(config, replace(setting, cached=True))
    assert cached.frozen_flops < 0.3 * one.frozen_flops


def test_the_published_giant_has_the_size_of_the_paper_and_says_what_fits(capsys):
    assert main(["plan", "--preset", "giant", "--devices", "64", "--gpu", "h100", "--data", "11M"]) == 0
    out = capsys.readouterr().out
    assert "2,431 million parameters" in out and "38.9 GB" in out and "cache        369.5 GB" in out
    assert "it does not fit into 80.0 GB: it would with --set train.accumulate=" in out
    assert (
        main(["plan", "--preset", "giant", "--devices", "64", "--strategy", "fsdp", "--set", "train.accumulate=2"]) == 0
    )
    assert "does not fit" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpu", "h10"], "unknown --gpu 'h10'; did you mean 'h100'?"),
        (["--devices", "3"], "must be a multiple of 3"),
        (["--data", "shapes"], "'shapes' has no end"),
        (["--epochs", "0"], "--epochs must be above 0"),
        (["--strategy", "zero"], "--strategy must be ddp or fsdp"),
    ],
)
def test_what_cannot_be_planned_is_said_in_a_sentence(arguments, said, capsys):
    assert main(["plan", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_sentence_of_the_train_page_needs_no_accelerator():
    words = needs_words(small_config())
    assert words.startswith("It needs about") and "TFLOP a step" in words
    with pytest.raises(InputError, match="cannot be shared equally by 3 devices"):
        needs_words(small_config(), 3)
