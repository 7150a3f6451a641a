"""One tree of settings for everything: model, objective, masking, data, training and decoding.

`DreamConfig` is frozen; presets are functions that return one (`dream.presets`). The whole tree is stored
with every run and checkpoint, so opening either never needs the command line. Defaults are the published
base model. A field marked (departure) is an option that the published model does not have; the published
presets leave it off. It knows nothing of torch.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dream.errors import InputError


@dataclass(frozen=True)
class ImageConfig:
    """How a picture becomes N tokens of `token_dim` numbers."""

    tokenizer: Literal["pixels", "sd-vae"] = "sd-vae"
    """`pixels`: patches of the RGB picture; `sd-vae`: latents of a frozen diffusers AutoencoderKL."""
    vae: str = "stabilityai/sd-vae-ft-mse"
    """Local folder or hub name of the AutoencoderKL (sd-vae only)."""
    size: int = 256
    """Side of the square picture, in pixels."""
    patch_size: int = 2
    """Side of a token's patch, in cells of the latent grid (in pixels for `pixels`)."""
    channels: int = 4
    """Channels of a latent cell (3 for `pixels`)."""
    stride: int = 8
    """Pixels per latent cell along a side (1 for `pixels`)."""
    scale: float = 0.18215
    """Latents are multiplied by this (SD-VAE's factor; 1 for `pixels`, whose range is [-1, 1])."""

    @property
    def grid(self) -> int:
        """Tokens along a side."""
        return self.size // (self.stride * self.patch_size)

    @property
    def num_tokens(self) -> int:
        """N, tokens a picture."""
        return self.grid**2

    @property
    def token_dim(self) -> int:
        """D_tok, numbers a token."""
        return self.channels * self.patch_size**2


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder of visible tokens (a ViT)."""

    width: int = 768
    """D, width of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 12
    """Attention heads."""
    mlp_ratio: float = 4.0
    """Hidden width of a block's MLP over its width."""
    buffer_tokens: int = 64
    """R, extra slots in front, all equal to one learned embedding."""
    dropout: float = 0.1
    """Dropout on attention and projections while training."""
    positions: Literal["learned", "sincos"] = "learned"
    """Position tables: learned N(0, 0.02), or (departure) learned from sine-cosine waves in both towers and
    in the text aligner, whose table otherwise starts at zero.
    """
    rotary: bool = False
    """(departure) 2-D rotary self-attention in encoder and decoder."""


@dataclass(frozen=True)
class DecoderConfig:
    """The text-conditioned decoder that fills every place."""

    width: int = 768
    """D, width of a token; the text aligner has it too."""
    depth: int = 12
    """Number of blocks (self-attention, cross-attention, MLP)."""
    heads: int = 12
    """Attention heads, of the aligner too."""
    mlp_ratio: float = 4.0
    """Hidden width of a block's MLP over its width."""
    dropout: float = 0.1
    """Dropout on attention and projections while training."""
    aligner_depth: int = 6
    """Blocks of the text aligner."""


@dataclass(frozen=True)
class HeadConfig:
    """The diffusion head that models one token given its condition."""

    width: int = 1024
    """Width of the AdaLN-MLP."""
    depth: int = 3
    """Residual blocks."""
    objective: Literal["noise", "flow"] = "noise"
    """`noise`: improved DDPM (published); (departure) `flow`: rectified flow, x-prediction with velocity
    loss.
    """
    train_steps: int = 1000
    """Diffusion steps of training (`noise`)."""
    sampling_steps: int = 100
    """Denoising steps of one token when decoding."""
    draws: int = 4
    """Independent (time, noise) draws a masked token and training step."""
    time_mean: float = -0.8
    """Mean of the logit-normal training times (`flow`; negative leans to noise)."""
    time_std: float = 1.0
    """Spread of the logit-normal training times (`flow`)."""
    time_shift: float = 2.0
    """Sampling times are moved towards noise by this factor (`flow`; 1 = evenly spaced)."""


@dataclass(frozen=True)
class JointConfig:
    """The joint space of pictures and captions."""

    width: int = 256
    """E, dimensions of the joint embedding."""
    hidden: int = 1024
    """Hidden width of the image projection (three layers, BatchNorm)."""
    pooling_maps: int = 0
    """(departure) learned weight maps over the token grid, pooled beside the mean; the first four start as
    halves.
    """
    buffer_features: bool = False
    """(departure) buffer tokens are also read one by one, beside the mean."""
    positional_text: bool = False
    """(departure) adds an MLP over the concatenated token states to the end-of-text feature."""
    max_logit_scale: float | None = None
    """Upper bound of the logit scale's exponential (CLIP uses 100); the published model has none."""


@dataclass(frozen=True)
class TextConfig:
    """Caption tokenizer, text tower, and what conditions the decoder."""

    tokenizer: str = "bpe"
    """`bpe` trains a small BPE on the captions; else a folder with CLIP's vocab.json and merges.txt, or a
    hub name.
    """
    vocab_size: int = 49408
    """Number of token ids (an upper bound for the small BPE)."""
    context_length: int = 77
    """Tokens a caption, begin and end included; longer captions are cut."""
    width: int = 512
    """Width of the text tower."""
    depth: int = 12
    """Blocks of the text tower (causal)."""
    heads: int = 8
    """Attention heads of the text tower."""
    embedding_std: float = 1.0
    """Standard deviation of the token embedding's start (the authors keep 1; OpenCLIP uses 0.02)."""
    conditioning: Literal["t5", "learned"] = "t5"
    """What the decoder reads: frozen T5 states, or (departure) a trainable embedding of the caption's own
    tokens.
    """
    t5: str = "google-t5/t5-large"
    """Local folder or hub name of the T5 encoder (t5 only)."""
    conditioning_length: int = 128
    """Text states the decoder attends to, padding included."""
    conditioning_width: int = 1024
    """Width of the text states before the aligner."""


@dataclass(frozen=True)
class MaskingConfig:
    """Masking Warmup: the distribution of the mask ratio over training. Times are fractions of the
    training.
    """

    schedule: Literal["warmup", "constant", "uniform", "never"] = "warmup"
    """`warmup` moves the center; `constant` stays at `center_end`; `uniform` on [low, high]; `never` masks
    nothing.
    """
    center_start: float = 0.0
    """Location of the truncated normal before the warm-up."""
    center_end: float = 1.0
    """Location after the warm-up."""
    hold: float = 0.0
    """Fraction of the training before the center starts to move."""
    warmup_end: float = 0.75
    """Fraction of the training at which the center has arrived (1 = cool-down at the very end)."""
    shape: Literal["linear", "cosine"] = "linear"
    """Path of the center between the two."""
    std: float = 0.45
    """Spread of the normal before truncation."""
    std_end: float | None = None
    """Spread at the end of the training; none keeps `std`."""
    low: float = 0.0
    """Lower bound of the ratio."""
    high: float = 1.0
    """Upper bound of the ratio."""
    moving_interval: bool = False
    """Truncate to [center - std, center + std] (within [low, high]) instead of [low, high]."""
    groups: int = 1
    """G, ratio groups a rank's batch is cut into; 1 is published (32 ranks mix 32 ratios)."""
    stratified: bool = False
    """(departure) draw the groups' ratios from G quantile bands of the distribution, shuffled."""
    generation_share: float | None = None
    """(departure) share of the groups drawn where generation counts, the rest where contrast does; none =
    one draw.
    """


@dataclass(frozen=True)
class ObjectiveConfig:
    """Which losses are trained, and who counts in them."""

    generative_weight: float = 1.0
    """Weight of the generative loss."""
    contrastive_weight: float = 0.005
    """Weight of the contrastive loss."""
    alignment_weight: float = 0.0
    """Weight of the REPA alignment loss (0.5 in the repa preset)."""
    min_visible: float = 0.25
    """Pictures with at least this share of tokens visible count in the contrastive loss."""
    min_masked: float = 0.5
    """Groups with at least this share of tokens masked count in the generative loss."""
    caption_drop: float = 0.1
    """Probability that the decoder reads the empty caption (classifier-free guidance)."""
    distinct_negatives: bool = False
    """(departure) captions equal to a picture's own are left out of its negatives."""
    text: bool = True
    """False trains without text (MAR): the decoder always reads the empty caption."""
    teacher: str = "vit_base_patch14_dinov2.lvd142m"
    """timm model whose patch features REPA aligns to."""
    teacher_weights: str | None = None
    """Local .safetensors of the teacher; none asks timm for its pretrained ones."""
    teacher_size: int = 224
    """Side that pictures are resized to for the teacher, in pixels."""
    teacher_width: int = 768
    """Width of the teacher's patch features."""
    alignment_block: int = 8
    """Encoder block (1 = first) whose visible tokens are aligned."""
    alignment_hidden: int = 2048
    """Hidden width of the alignment projection."""


@dataclass(frozen=True)
class DataConfig:
    """How training batches are drawn. The fields from `level` on are of the source `shapes` only."""

    flip: bool = True
    """Random horizontal flip (never for shapes, whose captions say left and right)."""
    shuffle_buffer: int = 2048
    """Pictures held to shuffle a stream of the hub; tar shards and folders are shuffled by place."""
    level: int = 1
    """Difficulty of shapes: 0 one large object; 1 one or two large ones; 2 more shapes, colours, sizes; 3
    textures and three objects.
    """
    near_misses: float = 0.0
    """(departure) share of each batch that comes in families of pictures that differ in one thing."""
    family_size: int = 8
    """Pictures in a near-miss family."""
    canonical_until: float = 0.0
    """(departure) fraction of the training during which captions keep one canonical phrasing; others mix in
    after.
    """


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation and bookkeeping. `steps` or `minutes` is the budget."""

    steps: int | None = None
    """Optimiser steps in all; none takes `minutes`."""
    minutes: float | None = 10.0
    """Wall-clock budget, turned into steps after a short calibration."""
    batch_size: int = 2048
    """Pictures an optimiser step, over all ranks and accumulated micro-batches."""
    accumulate: int = 1
    """Micro-batches an optimiser step (each cut into its own ratio groups)."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`adamw` for all, or (departure) Muon for the hidden matrices and AdamW for the rest."""
    lr: float = 8e-4
    """Peak learning rate of AdamW (published: 1e-4 * batch / 256)."""
    muon_lr: float = 0.02
    """Peak learning rate of Muon."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's betas."""
    weight_decay: float = 0.04
    """Weight decay (none on biases, norms, 1-d parameters and the diffusion head)."""
    warmup: float = 0.25
    """Fraction of the training with a linearly rising learning rate (12 of 48 epochs)."""
    decay: Literal["constant", "cosine", "linear"] = "constant"
    """Learning rate after the warm-up."""
    decay_start: float = 0.0
    """Fraction of the training at which a falling learning rate starts to fall (cosine, linear)."""
    clip: float = 3.0
    """Gradient norm that is clipped to."""
    ema: float = 0.9999
    """Decay of the averaged weights."""
    ema_ramp: bool = True
    """Let the decay rise as (1 + step) / (10 + step), so that short runs profit."""
    seed: int = 0
    """Seed of everything drawn."""
    precision: str = "32-true"
    """Lightning Fabric's precision, e.g. 32-true or bf16-mixed."""
    compile: bool = False
    """torch.compile the model."""
    checkpoint_gradients: bool = False
    """Recompute block activations in the backward pass to save memory."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    save_every: float = 2.0
    """Minutes between checkpoints."""
    keep_last: int = 2
    """Checkpoints kept beside the best."""
    samples: int = 8
    """Sample sheets over the training (0 = none)."""
    evaluations: int = 8
    """Validations (losses by mask ratio, retrieval) over the training (0 = none)."""


@dataclass(frozen=True)
class DecodeConfig:
    """Defaults of decoding."""

    steps: int = 64
    """S, reveal steps."""
    guidance_scale: float = 3.0
    """Classifier-free guidance; 1 = off."""
    guidance_schedule: Literal["linear", "constant"] = "linear"
    """`linear` in the share revealed, from 1 to the scale; or `constant`."""
    temperature: float = 1.0
    """Factor on the head's sampling noise."""


@dataclass(frozen=True)
class DreamConfig:
    """Everything that makes a run what it is."""

    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    joint: JointConfig = field(default_factory=JointConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise InputError("; ".join(problems))

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "DreamConfig":
        """The config of `to_dict`'s result; unknown or ill-typed fields raise InputError."""
        sections = {}
        for name, value in tree.items():
            section = _section_types().get(name)
            if section is None:
                raise InputError(f"unknown configuration section '{name}'{_nearest(name, _section_types())}")
            for key in value:
                if key not in _field_types(section):
                    raise InputError(f"unknown configuration key '{name}.{key}'{_nearest(key, _field_types(section))}")
            sections[name] = section(
                **{key: _checked(f"{name}.{key}", v, _field_types(section)[key]) for key, v in value.items()}
            )
        return cls(**sections)

    def model_dict(self) -> dict[str, Any]:
        """The part that decides the shapes and meaning of the weights: what two checkpoints must share."""
        tree = self.to_dict()
        kept = {name: tree[name] for name in ("image", "text", "encoder", "decoder", "head", "joint")}
        kept["head"] = {k: kept["head"][k] for k in ("width", "depth", "objective", "train_steps")}
        for section in ("encoder", "decoder"):
            kept[section].pop("dropout")
        kept["alignment"] = tree["objective"]["alignment_weight"] > 0
        return kept


def override(config: DreamConfig, assignments: Iterable[str]) -> DreamConfig:
    """`config` with `section.key=value` assignments applied, e.g. `masking.std=0.3`.

    Raises InputError for a misspelt key (naming the nearest), a value of another type, or an inconsistent
    result.
    """
    sections = {name: getattr(config, name) for name in _section_types()}
    return DreamConfig(**assign(sections, assignments, "section.key=value", "masking.std=0.3"))


def assign(sections: Mapping[str, Any], assignments: Iterable[str], form: str, example: str) -> dict[str, Any]:
    """Dataclasses by name, with the command line's `name.field=value` applied by the fields' types.

    Raises InputError for what is not of this `form` (giving the `example`), a misspelt field (naming the
    nearest), or a value of another type.
    """
    changes: dict[str, dict[str, Any]] = {name: {} for name in sections}
    kinds = {f"{s}.{k}": kind for s, part in sections.items() for k, kind in _field_types(type(part)).items()}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise InputError(f"--set takes {form}, got '{assignment}', e.g. --set {example}")
        if key not in kinds:
            raise InputError(f"--set knows no key '{key}'{_nearest(key, kinds)}")
        name, field_name = key.split(".")
        changes[name][field_name] = _checked(key, _parse(key, text, kinds[key]), kinds[key])
    return {name: dataclasses.replace(part, **changes[name]) for name, part in sections.items()}


def _section_types() -> dict[str, Any]:
    return typing.get_type_hints(DreamConfig)


def _field_types(section: Any) -> dict[str, Any]:
    return typing.get_type_hints(section)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if not close:  # a right key in the wrong section, or none at all
        close = [k for k in known if k.split(".")[-1] == name.split(".")[-1]][:1]
    return f"; did you mean '{close[0]}'?" if close else f"; known are {', '.join(sorted(known))}"


def _checked(key: str, value: Any, kind: Any) -> Any:
    """`value` as `kind`, or InputError. JSON has no tuples and writes 1.0 as 1 at times: both are mended."""
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise InputError(f"{key} must be one of {', '.join(typing.get_args(kind))}, got '{value}'")
        return value
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{key} must be a list, got {value!r}")
        parts = _part_kinds(kind, len(value))
        if len(value) != len(parts):
            raise InputError(f"{key} must be {len(parts)} numbers, got {value!r}")
        return tuple(_checked(key, v, k) for v, k in zip(value, parts, strict=True))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{key} must be of type {kind.__name__}, got {value!r}")
    return value


def _part_kinds(kind: Any, count: int) -> tuple[Any, ...]:
    """Types of a tuple's parts; one of any length (`tuple[int, ...]`) has `count`."""
    parts = typing.get_args(kind)
    return (parts[0],) * count if parts[-1] is Ellipsis else parts


def _parse(key: str, text: str, kind: Any) -> Any:
    """The command line's text as a value of type `kind`."""
    if isinstance(kind, types.UnionType):
        if text.lower() in ("none", "null", ""):
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is tuple:
        texts = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
        parts = _part_kinds(kind, len(texts))
        if len(texts) != len(parts):
            raise InputError(f"{key} must be {len(parts)} numbers, got '{text}'")
        return tuple(_parse(key, t, k) for t, k in zip(texts, parts, strict=True))
    if kind is bool:
        if text.lower() in ("true", "1", "yes", "on"):
            return True
        if text.lower() in ("false", "0", "no", "off"):
            return False
        raise InputError(f"{key} must be true or false, got '{text}'")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise InputError(f"{key} must be {expected}, got '{text}'") from None
    return text


def _problems(config: DreamConfig) -> Iterable[str]:
    """Every inconsistency, each as one clause."""
    image, masking, objective = config.image, config.masking, config.objective
    train, data = config.train, config.data
    cell = image.stride * image.patch_size
    if image.size < 1 or cell < 1 or image.size % cell:
        yield (f"image.size must be a multiple of image.stride * image.patch_size = {cell}, got {image.size}")
    if image.tokenizer == "pixels" and (image.channels, image.stride) != (3, 1):
        yield "image.channels and image.stride must be 3 and 1 for the pixels tokenizer"
    for name, part in (("encoder", config.encoder), ("decoder", config.decoder), ("text", config.text)):
        for key in ("width", "depth", "heads"):
            if getattr(part, key) < 1:
                yield f"{name}.{key} must be at least 1, got {getattr(part, key)}"
        if part.heads >= 1 and part.width % part.heads:
            yield f"{name}.width must be a multiple of {name}.heads = {part.heads}, got {part.width}"
    if config.encoder.rotary and (config.encoder.width // config.encoder.heads) % 4:
        yield "encoder.rotary needs a head width (encoder.width / encoder.heads) that is a multiple of 4"
    if config.encoder.rotary and (config.decoder.width // config.decoder.heads) % 4:
        yield "encoder.rotary needs a head width (decoder.width / decoder.heads) that is a multiple of 4"
    if config.text.context_length < 3:
        yield f"text.context_length must be at least 3, got {config.text.context_length}"
    positive = {
        "head.width": config.head.width,
        "head.draws": config.head.draws,
        "joint.width": config.joint.width,
        "head.sampling_steps": config.head.sampling_steps,
        "train.batch_size": train.batch_size,
        "train.accumulate": train.accumulate,
        "train.log_every": train.log_every,
        "train.lr": train.lr,
        "masking.groups": masking.groups,
        "data.family_size": data.family_size,
        "decode.steps": config.decode.steps,
        "masking.std": masking.std,
        "train.save_every": train.save_every,
        "train.keep_last": train.keep_last,
        "train.clip": train.clip,
        "data.shuffle_buffer": data.shuffle_buffer,
        "text.vocab_size": config.text.vocab_size,
    }
    for name, value in positive.items():
        if not value > 0:
            yield f"{name} must be above 0, got {value}"
    shares = {
        "objective.min_visible": objective.min_visible,
        "objective.min_masked": objective.min_masked,
        "objective.caption_drop": objective.caption_drop,
        "masking.low": masking.low,
        "masking.high": masking.high,
        "masking.hold": masking.hold,
        "masking.warmup_end": masking.warmup_end,
        "train.warmup": train.warmup,
        "train.ema": train.ema,
        "train.decay_start": train.decay_start,
        "data.near_misses": data.near_misses,
        "data.canonical_until": data.canonical_until,
        "masking.generation_share": masking.generation_share or 0.0,
    }
    for name, value in shares.items():
        if not 0 <= value <= 1:
            yield f"{name} must be in [0, 1], got {value}"
    if masking.low > masking.high:
        yield f"masking.low must not be above masking.high, got {masking.low} and {masking.high}"
    if masking.hold > masking.warmup_end:
        found = f"{masking.hold} and {masking.warmup_end}"
        yield f"masking.hold must not be above masking.warmup_end, got {found}"
    if masking.groups >= 1 and train.accumulate >= 1 and train.batch_size % (masking.groups * train.accumulate):
        yield (
            f"train.batch_size must be a multiple of masking.groups * train.accumulate = "
            f"{masking.groups * train.accumulate}, got {train.batch_size}"
        )
    if not 0 <= data.level <= 3:
        yield f"data.level must be in [0, 3], got {data.level}"
    if config.head.sampling_steps > config.head.train_steps:
        yield f"head.sampling_steps must be at most head.train_steps = {config.head.train_steps}"
    weights = (objective.generative_weight, objective.contrastive_weight, objective.alignment_weight)
    if min(weights) < 0 or max(weights) == 0:
        yield "the objective's weights must not be negative, and one must be above 0"
    if objective.alignment_weight and not 1 <= objective.alignment_block <= config.encoder.depth:
        block = objective.alignment_block
        yield f"objective.alignment_block must be in [1, {config.encoder.depth}], got {block}"
    if train.steps is not None and train.steps < 1:
        yield f"train.steps must be at least 1, got {train.steps}"
    if train.steps is None and (train.minutes is None or train.minutes <= 0):
        yield "give train.steps or train.minutes, above 0"
    if config.decode.guidance_scale < 1:
        yield f"decode.guidance_scale must be at least 1 (1 = off), got {config.decode.guidance_scale}"
    if config.decode.temperature < 0:
        yield f"decode.temperature must not be negative, got {config.decode.temperature}"
