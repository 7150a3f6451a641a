"""The forecast of a training: memory by kind, arithmetic, hours, energy, cache and checkpoints."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from dream.config import DreamConfig
from dream.errors import InputError
from dream.fields import LARGEST_WHOLE
from dream.forecast.machines import Machine
from dream.forecast.words import bytes_words
from dream.forecast.work import Parts, linear, mean_parts, parts_at
from dream.masking import num_masked, sample_mask_ratios
from dream.model.dream import Dream
from dream.randomness import generator
from dream.training.budget import SAVING_SHARE
from dream.training.optim import freeze_untrained

UTILISATION = 0.35
"""Share of the peak rate that a training reaches; of the order of what others report for models of this size."""
DISK_RATE = 1e9
"""Bytes per second that a checkpoint is written with."""
POINTS, DRAWS = 16, 512
"""Moments of the training, and mask ratios at each, over which work is averaged."""
VAE_PARAMETERS, VAE_FLOPS_PER_PIXEL = 83.7e6, 272.7e9 / 256**2
"""Of the SD-VAE: all parameters, and what its encoder does."""
T5_PARAMETERS, T5_LAYERS, T5_WIDTH, T5_HIDDEN = 335e6, 24, 1024, 4096
"""Of the encoder of T5-Large."""
CONTRAST_COPIES = 4
"""Saved matrices of the size of the logits: cosines, logits and the softmax of both directions."""


@dataclass(frozen=True)
class PlanSetting:
    """How a training is to run."""

    machine: Machine
    devices: int = 1
    pictures: float = 0.0
    """Pictures in the data."""
    epochs: float = 48.0
    sharded: bool = False
    """Whether parameters and their states are sharded over the devices (`--strategy fsdp`)."""
    cached: bool = False
    """Whether latents come from a cache."""
    utilisation: float = UTILISATION


@dataclass(frozen=True)
class Forecast:
    """What a training will need; sizes in bytes."""

    parameters: int
    steps: int
    device: dict[str, float]
    """Memory of each device by kind."""
    host: dict[str, float]
    """Memory of the host for each device, by kind."""
    parts: Parts
    """WorkCount of the model per picture, averaged over the training."""
    frozen_flops: float
    """FLOPs of VAE and T5 per picture."""
    step_flops: float
    """FLOPs of a step of the whole batch, with the frozen models."""
    seconds: float
    """Of the whole training."""
    kilowatt_hours: float
    cache: float
    """Size of a cache of moments and ids; 0 for a model of pixels."""
    checkpoint: float
    kept: float
    """All checkpoints that are kept."""
    saving_seconds: float

    @property
    def step_seconds(self) -> float:
        """Seconds per step."""
        return self.seconds / self.steps

    @property
    def save_minutes(self) -> float:
        """Minutes between checkpoints at which saving takes SAVING_SHARE of the time."""
        return self.saving_seconds / SAVING_SHARE / 60

    @property
    def device_bytes(self) -> float:
        """Memory of a device, all kinds together."""
        return sum(self.device.values())


def forecast(config: DreamConfig, setting: PlanSetting) -> Forecast:
    """The forecast of a training. Raises InputError for a batch that cannot be shared by the devices."""
    train = config.train
    pieces = setting.devices * train.accumulate
    if train.batch_size % pieces:
        raise InputError(
            f"train.batch_size = {train.batch_size} cannot be shared equally by {setting.devices} devices with "
            f"train.accumulate = {train.accumulate}: it must be a multiple of {pieces}"
        )
    if setting.pictures >= LARGEST_WHOLE or not setting.epochs * setting.pictures < LARGEST_WHOLE:
        raise InputError(f"{setting.epochs:g} epochs of so many pictures have no end: lower --epochs or --data")
    steps = train.steps or max(1, math.ceil(setting.epochs * setting.pictures / train.batch_size))
    with torch.device("meta"):
        model = Dream(config)
    freeze_untrained(model, config)
    parameters = sum(p.numel() for p in model.parameters())
    parts = mean_work(config)
    frozen = frozen_flops(config, cached=setting.cached)
    step_flops = train.batch_size * (parts.whole.flops + frozen)
    if train.checkpoint_gradients:
        step_flops += train.batch_size * _recomputed(config, parts)
    if train.accumulate > 1 and config.objective.contrastive_weight:
        step_flops += train.batch_size * (parts.encoder.forward + parts.text_tower.forward)
    bf16 = train.precision.startswith("bf16")
    rate = setting.devices * setting.utilisation * (setting.machine.flops if bf16 else setting.machine.flops_32)
    seconds = steps * step_flops / rate
    checkpoint = 16.0 * parameters
    held = checkpoint / (setting.devices if setting.sharded else 1)  # while it is written
    return Forecast(
        parameters=parameters,
        steps=steps,
        device=_device(config, setting, model, parts, bf16),
        host={"gathered for a checkpoint": held, "decoded pictures ahead": _pictures_ahead(config, setting)},
        parts=parts,
        frozen_flops=frozen,
        step_flops=step_flops,
        seconds=seconds,
        kilowatt_hours=seconds / 3600 * setting.devices * setting.machine.watts / 1000,
        cache=setting.pictures * cached_bytes(config),
        checkpoint=checkpoint,
        kept=checkpoint * (train.keep_last + 2),  # the best one, and the one that is being written
        saving_seconds=checkpoint / DISK_RATE,
    )


@lru_cache(maxsize=16)
def needs_words(config: DreamConfig, devices: int = 1) -> str:
    """What a training needs, whatever the accelerator, in a sentence. Raises InputError as `forecast`."""
    plan = forecast(config, PlanSetting(Machine("any", 1e12, 1e12, math.inf, 0.0), devices, pictures=1.0))
    share = f" on each of {devices} devices" if devices > 1 else ""
    memory, activations, disk = map(bytes_words, (plan.device_bytes, plan.device["activations"], plan.kept))
    return (
        f"It needs about {memory} of memory{share} ({activations} for activations), "
        f"{plan.step_flops / 1e12:,.2f} TFLOP a step and {disk} of disk for checkpoints."
    )


def mean_work(config: DreamConfig) -> Parts:
    """WorkCount per picture, averaged over the mask ratios of the whole training (the same at every call)."""
    masking, counts = replace(config.trained_masking, groups=DRAWS), Counter[int]()
    for point in range(POINTS):
        draws = generator("forecast", point)
        ratios = sample_mask_ratios((point + 0.5) / POINTS, masking, config.objective, draws)
        counts.update(num_masked(ratio, config.image.num_tokens) for ratio in ratios)
    return mean_parts([(parts_at(config, hidden), count) for hidden, count in counts.items()])


def frozen_flops(config: DreamConfig, *, cached: bool = False) -> float:
    """FLOPs per picture of the VAE's encoder and of T5; a cache saves the VAE's."""
    total = 0.0
    if config.image.tokenizer != "pixels" and not cached:
        total += VAE_FLOPS_PER_PIXEL * config.image.size**2
    if config.text.conditioning == "t5" and config.trained_objective.generative_weight:
        tokens = config.text.conditioning_length
        layer = linear(tokens, T5_WIDTH, 4 * T5_WIDTH) + linear(tokens, T5_WIDTH, 2 * T5_HIDDEN)
        total += T5_LAYERS * (layer.forward + 4 * tokens**2 * T5_WIDTH)
    return total


def cached_bytes(config: DreamConfig) -> float:
    """Bytes per sample of a cache of moments in float16 and text ids."""
    if config.image.tokenizer == "pixels":
        return 0.0
    ids = config.text.conditioning_length * (config.text.conditioning == "t5")
    ids += config.text.context_length * (config.text.tokenizer != "bpe")
    return (1 + config.data.flip) * 2 * math.prod(config.image.latent_shape) * 2 + 4 * ids


def _device(config: DreamConfig, setting: PlanSetting, model: Dream, parts: Parts, bf16: bool) -> dict[str, float]:
    """Memory of a device by kind, in bytes."""
    train, parameters = config.train, sum(p.numel() for p in model.parameters())
    shares = setting.devices if setting.sharded else 1
    own = parameters / shares
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) / shares
    share = train.batch_size / setting.devices / train.accumulate
    width = 2 if bf16 else 4
    activations = share * parts.whole.bytes(width)
    if train.checkpoint_gradients:
        activations = share * _kept_when_recomputing(config, parts, width)
    frozen = (VAE_PARAMETERS if config.image.tokenizer != "pixels" else 0.0) + (
        T5_PARAMETERS if config.text.conditioning == "t5" else 0.0
    )
    blocks = [sum(p.numel() for p in block.parameters()) for block in (*model.encoder.blocks, *model.decoder.blocks)]
    gathers = 0.0
    if setting.devices > 1:  # two blocks at a time and what is in none; or the buckets of DDP
        gathers = 4.0 * (2 * max(blocks) + parameters - sum(blocks)) if setting.sharded else 4.0 * parameters
    batch = train.batch_size
    contrast = batch * parts.joint.bytes(4) + 4.0 * CONTRAST_COPIES * batch**2
    moments = 8.0 if train.optimizer == "adamw" else 4.0
    kinds = {
        "weights": 4 * own,
        "weights in bfloat16": 2.0 * parameters if bf16 else 0.0,
        "gradients": 4 * trained,
        "moments": moments * trained,
        "averages": 4 * own,
        "activations": activations,
        "gathers": gathers,
        "contrast": contrast if config.objective.contrastive_weight else 0.0,
        "frozen models": 4 * frozen,
    }
    return {kind: size for kind, size in kinds.items() if size}


def _kept_when_recomputing(config: DreamConfig, parts: Parts, width: int) -> float:
    """Bytes per picture with `train.checkpoint_gradients`: the inputs of blocks, and one block at a time."""
    deepest = max(
        parts.encoder.bytes(width) / max(1, config.encoder.depth),
        parts.decoder.bytes(width) / max(1, config.decoder.depth),
    )
    tokens = config.image.num_tokens + config.encoder.buffer_tokens
    inputs = 4.0 * tokens * (config.encoder.depth * config.encoder.width + config.decoder.depth * config.decoder.width)
    states = 4.0 * config.text.conditioning_length * config.decoder.aligner_depth * config.decoder.width
    return deepest + inputs + states + parts.head.bytes(width) + parts.text_tower.bytes(width)


def _recomputed(config: DreamConfig, parts: Parts) -> float:
    """FLOPs per picture of the second forward pass of `train.checkpoint_gradients`."""
    return parts.encoder.forward + parts.aligner.forward + parts.decoder.forward


def _pictures_ahead(config: DreamConfig, setting: PlanSetting) -> float:
    """Bytes of the batches that are read ahead."""
    each = cached_bytes(config) if setting.cached else 3.0 * config.image.size**2
    return 6 * config.train.batch_size / setting.devices * each
