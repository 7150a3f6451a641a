"""Named configurations: sizes (`tiny` ... `giant`) and objectives (`dream`, `fluid`, `clip`, `mar`, `repa`).

A size is a function that returns a DreamConfig; an objective is a function that turns one into a baseline of the
paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from dream.config import (
    DataConfig,
    DecodeConfig,
    DecoderConfig,
    DreamConfig,
    EncoderConfig,
    HeadConfig,
    ImageConfig,
    JointConfig,
    MaskingConfig,
    ObjectiveConfig,
    TextConfig,
    TrainConfig,
)
from dream.errors import InputError, did_you_mean

CLIP_BPE = "openai/clip-vit-base-patch32"
"""Hub name of CLIP's caption tokenizer."""


def _published(width: int, depth: int, heads: int, mlp_ratio: float = 4.0) -> DreamConfig:
    """The published architecture and training (docs/method.md), encoder and decoder of one size."""
    return DreamConfig(
        image=ImageConfig(vae="stabilityai/sd-vae-ft-ema"),
        text=TextConfig(tokenizer=CLIP_BPE, cleaning="clip"),
        encoder=EncoderConfig(width=width, depth=depth, heads=heads, mlp_ratio=mlp_ratio),
        decoder=DecoderConfig(width=width, depth=depth, heads=heads, mlp_ratio=mlp_ratio),
        masking=MaskingConfig(groups=32),
        train=TrainConfig(minutes=None, epochs=48.0, precision="bf16-mixed", ema_ramp=False),
    )


def base() -> DreamConfig:
    """329 million parameters."""
    return _published(768, 12, 12)


def large() -> DreamConfig:
    """636 million parameters."""
    return _published(1024, 16, 16)


def huge() -> DreamConfig:
    """1,128 million parameters."""
    return _published(1280, 20, 16)


def giant() -> DreamConfig:
    """2,433 million parameters."""
    return _published(1664, 24, 16, 8192 / 1664)


def tiny() -> DreamConfig:
    """About 3.4 million parameters (depending on the vocabulary): learns `shapes` in ten minutes on two CPU cores.

    It departs from the published model where that was measured to help at this size: sine-cosine tables and
    rotary attention, a rectified-flow head, Muon, position-aware pooling and positional text, near-miss families
    with one canonical phrasing first, stratified ratio groups divided between the losses, and a larger
    contrastive weight.
    """
    config = DreamConfig()
    return replace(
        config,
        image=ImageConfig(tokenizer="pixels", size=30, patch_size=6, channels=3, stride=1, scale=1.0),
        text=TextConfig(
            vocab_size=1024,
            context_length=20,
            width=64,
            depth=2,
            heads=2,
            embedding_std=0.02,
            conditioning="learned",
            conditioning_length=20,
            conditioning_width=128,
        ),
        encoder=EncoderConfig(
            width=128, depth=4, heads=4, buffer_tokens=4, dropout=0.0, positions="sincos", rotary=True
        ),
        decoder=DecoderConfig(width=128, depth=4, heads=4, dropout=0.0, aligner_depth=1),
        head=HeadConfig(width=128, depth=3, objective="flow", sampling_steps=16, draws=2, time_std=0.8),
        joint=JointConfig(
            width=128, hidden=256, pooling_maps=4, buffer_features=True, positional_text=True, max_logit_scale=100.0
        ),
        masking=MaskingConfig(groups=8, stratified=True, generation_share=0.375),
        objective=ObjectiveConfig(contrastive_weight=1.0, distinct_negatives=True),
        data=DataConfig(flip=False, near_misses=0.75, canonical_until=0.3),
        train=TrainConfig(
            batch_size=64,
            optimizer="muon",
            lr=8e-4,
            muon_lr=0.006,
            weight_decay=0.02,
            warmup=0.03,
            decay="linear",
            decay_start=0.1,
            clip=1.0,
            ema=0.998,
        ),
        decode=DecodeConfig(steps=16, guidance_scale=2.0),
    )


def demo() -> DreamConfig:
    """The model that ships: a somewhat larger `tiny`, trained for longer (two hours on two CPU cores)."""
    config = tiny()
    return replace(
        config,
        encoder=replace(config.encoder, width=160, depth=5, heads=5),
        decoder=replace(config.decoder, width=160, depth=5, heads=5),
        head=replace(config.head, width=192),
        train=replace(config.train, steps=9000, minutes=None),
    )


def emoji() -> DreamConfig:
    """For the source `emoji`, and the second model that ships: 48 pixels in 64 tokens, 6.9 million parameters.

    By default it trains for 30 minutes; the model that ships trained for hours, in four legs (`make emoji`).
    """
    config = demo()
    return replace(
        config,
        image=replace(config.image, size=48),
        text=replace(config.text, vocab_size=2048, context_length=32, conditioning_length=32),
        head=replace(config.head, width=256, sampling_steps=8),
        joint=replace(config.joint, width=192),
        masking=replace(config.masking, generation_share=0.5),
        objective=replace(config.objective, contrastive_weight=0.5),
        data=replace(config.data, near_misses=0.0),
        train=replace(config.train, steps=None, minutes=30.0),
        decode=DecodeConfig(steps=8, guidance_scale=3.0, guidance_schedule="constant", temperature=0.8),
    )


def dream(config: DreamConfig) -> DreamConfig:
    """DREAM: both objectives, with Masking Warmup; returns the configuration unchanged."""
    return config


def fluid(config: DreamConfig) -> DreamConfig:
    """FLUID: generation only, constant masking on [0.7, 1]."""
    return replace(
        config,
        objective=replace(config.objective, contrastive_weight=0.0),
        masking=_constant(config),
        train=replace(config.train, weight_decay=0.02),
    )


def mar(config: DreamConfig) -> DreamConfig:
    """MAR: FLUID without text."""
    config = fluid(config)
    return replace(config, objective=replace(config.objective, text=False))


def clip(config: DreamConfig) -> DreamConfig:
    """CLIP: the contrastive loss only, nothing masked."""
    return replace(
        config,
        objective=replace(config.objective, generative_weight=0.0, contrastive_weight=1.0),
        masking=replace(config.masking, schedule="never", generation_share=None),
        train=replace(config.train, weight_decay=0.02),
    )


def repa(config: DreamConfig) -> DreamConfig:
    """REPA: FLUID, with the encoder's visible tokens aligned to a frozen teacher's features."""
    config = fluid(config)
    block = min(config.objective.alignment_block, config.encoder.depth)
    return replace(config, objective=replace(config.objective, alignment_weight=0.5, alignment_block=block))


SIZES: dict[str, Callable[[], DreamConfig]] = {f.__name__: f for f in (tiny, demo, emoji, base, large, huge, giant)}
OBJECTIVES: dict[str, Callable[[DreamConfig], DreamConfig]] = {f.__name__: f for f in (dream, fluid, clip, mar, repa)}


def preset(size: str, objective: str = "dream") -> DreamConfig:
    """The configuration of a size and an objective; raises InputError for an unknown name, with the nearest one."""
    if size not in SIZES:
        raise InputError(_unknown("preset", size, SIZES))
    if objective not in OBJECTIVES:
        raise InputError(_unknown("objective", objective, OBJECTIVES))
    return OBJECTIVES[objective](SIZES[size]())


def _constant(config: DreamConfig) -> MaskingConfig:
    """Masking of MAR and FLUID: normal(1, 0.25) on [0.7, 1]."""
    return replace(
        config.masking, schedule="constant", center_end=1.0, std=0.25, low=0.7, high=1.0, generation_share=None
    )


def _unknown(kind: str, name: str, known: Mapping[str, object]) -> str:
    return f"unknown {kind} '{name}'{did_you_mean(name, known)} ({kind}s: {', '.join(known)})"
