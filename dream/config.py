"""One tree of settings for everything: model, objective, masking, data, training and decoding.

`DreamConfig` is frozen; presets are functions that return one (`dream.presets`), and `dream.overrides` applies
assignments to one. The whole tree is stored with every run and checkpoint, so opening either never needs the
command line. Defaults are the published base model. A field marked (departure) is an option that the published
model does not have; the published presets leave it off. Nothing here imports torch.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from dream.errors import InputError
from dream.fields import (
    AT_LEAST_0,
    SHARE,
    Bounds,
    Count,
    Depth,
    DepthFrom0,
    MlpRatio,
    NotNegative,
    Positive,
    Section,
    Share,
    checked_value,
    field_types,
    nearest_name,
)

RETIRED = {"head.time_shift": 2.0, "data.family_size": 8}
"""Fields of older files that are constants now: accepted at this value, refused at any other."""


@dataclass(frozen=True)
class ImageConfig(Section):
    """How a picture becomes N tokens of `token_dim` numbers."""

    tokenizer: Literal["pixels", "sd-vae"] = "sd-vae"
    """`pixels`: patches of the RGB picture; `sd-vae`: latents of a frozen diffusers AutoencoderKL."""
    vae: str = "stabilityai/sd-vae-ft-mse"
    """Local folder or hub name of the AutoencoderKL (sd-vae only)."""
    size: Count = 256
    """Side of the square picture, in pixels."""
    patch_size: Count = 2
    """Side of a token's patch, in cells of the latent grid (in pixels for `pixels`)."""
    channels: Count = 4
    """Channels of a latent cell (3 for `pixels`)."""
    stride: Count = 8
    """Pixels per latent cell along a side (1 for `pixels`)."""
    scale: Positive = 0.18215
    """Factor on the latents (SD-VAE's own; 1 for `pixels`, whose range is [-1, 1])."""

    @property
    def grid(self) -> int:
        """Tokens along a side."""
        return self.size // (self.stride * self.patch_size)

    @property
    def num_tokens(self) -> int:
        """N, tokens per picture."""
        return self.grid**2

    @property
    def token_dim(self) -> int:
        """D_tok, numbers per token."""
        return self.channels * self.patch_size**2

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a picture's latents."""
        return self.channels, self.size // self.stride, self.size // self.stride

    def _conflicts(self, name: str) -> Iterator[str]:
        cell = self.stride * self.patch_size
        if self.size % cell:
            yield f"{name}.size must be a multiple of {name}.stride * {name}.patch_size = {cell}, got {self.size}"
        if self.tokenizer == "pixels" and (self.channels, self.stride) != (3, 1):
            yield f"{name}.channels and {name}.stride must be 3 and 1 for the pixels tokenizer"


@dataclass(frozen=True)
class EncoderConfig(Section):
    """The encoder of visible tokens (a ViT)."""

    width: Count = 768
    """D, width of a token."""
    depth: Depth = 12
    """Number of blocks."""
    heads: Count = 12
    """Attention heads."""
    mlp_ratio: MlpRatio = 4.0
    """Hidden width of a block's MLP over its width."""
    buffer_tokens: Annotated[int, AT_LEAST_0] = 64
    """R, extra slots in front, all equal to one learned embedding."""
    dropout: Share = 0.1
    """Dropout on attention and projections during training."""
    positions: Literal["learned", "sincos"] = "learned"
    """Position tables: learned from N(0, 0.02), or (departure) learned from sine-cosine waves, in both towers
    and in the text aligner, whose table otherwise starts at zero.
    """
    rotary: bool = False
    """(departure) 2-D rotary self-attention in encoder and decoder."""

    def _conflicts(self, name: str) -> Iterator[str]:
        yield from _uneven_heads(name, self)


@dataclass(frozen=True)
class DecoderConfig(Section):
    """The text-conditioned decoder that gives every position its condition."""

    width: Count = 768
    """D, width of a token, in the text aligner too."""
    depth: Depth = 12
    """Number of blocks (self-attention, cross-attention, MLP)."""
    heads: Count = 12
    """Attention heads, in the text aligner too."""
    mlp_ratio: MlpRatio = 4.0
    """Hidden width of a block's MLP over its width."""
    dropout: Share = 0.1
    """Dropout on attention and projections during training."""
    aligner_depth: DepthFrom0 = 6
    """Blocks of the text aligner."""

    def _conflicts(self, name: str) -> Iterator[str]:
        yield from _uneven_heads(name, self)


@dataclass(frozen=True)
class HeadConfig(Section):
    """The diffusion head that models one token given its condition."""

    width: Count = 1024
    """Width of the AdaLN-MLP."""
    depth: DepthFrom0 = 3
    """Residual blocks."""
    objective: Literal["noise", "flow", "energy"] = "noise"
    """`noise`: improved DDPM (published); (departure) `flow`: rectified flow, x-prediction with velocity loss;
    (departure) `energy`: one pass from noise to token, trained by the energy score of `draws` samples.
    """
    train_steps: Count = 1000
    """Diffusion steps of training (`noise`)."""
    sampling_steps: Count = 100
    """Denoising steps per token when decoding."""
    draws: Count = 4
    """Independent (time, noise) draws per masked token and training step."""
    time_mean: float = -0.8
    """Mean of the logit-normal training times (`flow`; negative leans to noise)."""
    time_std: NotNegative = 1.0
    """Spread of the logit-normal training times (`flow`)."""

    def _conflicts(self, name: str) -> Iterator[str]:
        if self.sampling_steps > self.train_steps:
            yield (
                f"{name}.sampling_steps must be at most {name}.train_steps = {self.train_steps}, "
                f"got {self.sampling_steps}"
            )
        if self.objective == "energy" and self.draws < 2:
            yield f"{name}.draws must be at least 2 for {name}.objective=energy, which compares samples of a token"


@dataclass(frozen=True)
class JointConfig(Section):
    """The joint space of pictures and captions."""

    width: Count = 256
    """E, dimensions of the joint embedding."""
    hidden: Count = 1024
    """Hidden width of the image projection (three layers, BatchNorm)."""
    pooling_maps: Annotated[int, AT_LEAST_0] = 0
    """(departure) learned weight maps over the token grid, pooled in addition to the mean; the first four start
    as halves.
    """
    buffer_features: bool = False
    """(departure) buffer tokens are also read one by one, in addition to the mean."""
    dropout: Annotated[float, Bounds(least=0, below=1)] = 0.0
    """(departure) share of the pooled numbers that training hides from the projection."""
    positional_text: bool = False
    """(departure) adds an MLP over the concatenated token states to the end-of-text feature."""
    max_logit_scale: Annotated[float | None, Bounds(above=0)] = None
    """Upper bound of the logit scale's exponential (CLIP uses 100); the published model has none."""


@dataclass(frozen=True)
class TextConfig(Section):
    """Caption tokenizer, text tower, and the text that conditions the decoder."""

    tokenizer: str = "bpe"
    """`bpe` trains a small BPE on the captions; else a folder with CLIP's vocab.json and merges.txt, or a hub name."""
    cleaning: Literal["none", "clip"] = "none"
    """What is done to a caption before CLIP's BPE: `clip` repairs encodings (ftfy), HTML entities and white space."""
    vocab_size: Count = 49408
    """Number of token ids (an upper bound for the small BPE)."""
    context_length: Annotated[int, Bounds(least=3)] = 77
    """Tokens per caption, begin and end included; longer captions are cut."""
    width: Count = 512
    """Width of the text tower."""
    depth: Depth = 12
    """Blocks of the text tower (causal)."""
    heads: Count = 8
    """Attention heads of the text tower."""
    embedding_std: NotNegative = 1.0
    """Standard deviation of the initial token embedding (the authors keep 1; OpenCLIP uses 0.02)."""
    conditioning: Literal["t5", "learned"] = "t5"
    """Text states that the decoder reads: frozen T5 states, or (departure) a trainable embedding of the caption's
    own tokens.
    """
    t5: str = "google-t5/t5-large"
    """Local folder or hub name of the T5 encoder (t5 only)."""
    conditioning_length: Count = 128
    """Text states that the decoder attends to, padding included."""
    conditioning_width: Count = 1024
    """Width of the text states before the aligner."""

    def _conflicts(self, name: str) -> Iterator[str]:
        yield from _uneven_heads(name, self)


@dataclass(frozen=True)
class MaskingConfig(Section):
    """Masking Warmup: the distribution of the mask ratio during training. Times are fractions of the training."""

    schedule: Literal["warmup", "constant", "uniform", "never"] = "warmup"
    """`warmup` moves the center; `constant` stays at `center_end`; `uniform` on [low, high]; `never` masks
    nothing.
    """
    center_start: float = 0.0
    """Location of the truncated normal before the warm-up."""
    center_end: float = 1.0
    """Location after the warm-up."""
    hold: Share = 0.0
    """Fraction of the training before the center starts to move."""
    warmup_end: Share = 0.75
    """Fraction of the training at which the center has arrived (1 = at the very end)."""
    shape: Literal["linear", "cosine"] = "linear"
    """Path of the center from start to end."""
    std: Positive = 0.45
    """Spread of the normal before truncation."""
    std_end: Annotated[float | None, Bounds(above=0)] = None
    """Spread at the end of the training; None keeps `std`."""
    low: Share = 0.0
    """Lower bound of the ratio."""
    high: Share = 1.0
    """Upper bound of the ratio."""
    moving_interval: bool = False
    """Truncate to [center - std, center + std] (within [low, high]) instead of [low, high]."""
    groups: Count = 1
    """G, ratio groups that a step's batch is split into, over all ranks; 32 are published (one on each of 32 ranks)."""
    stratified: bool = False
    """(departure) draw the groups' ratios from G quantile bands of the distribution, shuffled."""
    generation_share: Annotated[float | None, SHARE] = None
    """(departure) share of the groups whose ratio is drawn where the generative loss counts; the rest is drawn
    where the contrastive loss counts. None draws all from the whole distribution.
    """

    def _conflicts(self, name: str) -> Iterator[str]:
        for low, high in (("low", "high"), ("hold", "warmup_end")):
            if getattr(self, low) > getattr(self, high):
                values = f"{getattr(self, low)} and {getattr(self, high)}"
                yield f"{name}.{low} must not be above {name}.{high}, got {values}"


@dataclass(frozen=True)
class ObjectiveConfig(Section):
    """Which losses are trained, and which pictures count in them."""

    generative_weight: NotNegative = 1.0
    """Weight of the generative loss."""
    contrastive_weight: NotNegative = 0.005
    """Weight of the contrastive loss."""
    alignment_weight: NotNegative = 0.0
    """Weight of the REPA alignment loss (0.5 in the repa preset)."""
    min_visible: Share = 0.25
    """Pictures with at least this share of tokens visible count in the contrastive loss."""
    min_masked: Share = 0.5
    """Groups with at least this share of tokens masked count in the generative loss."""
    caption_drop: Share = 0.1
    """Probability that the decoder reads the empty caption (classifier-free guidance)."""
    distinct_negatives: bool = False
    """(departure) captions equal to a picture's own are left out of its negatives."""
    text: bool = True
    """False trains without text (MAR): the decoder always reads the empty caption."""
    teacher: str = "vit_base_patch14_dinov2.lvd142m"
    """timm model whose patch features REPA aligns to."""
    teacher_weights: str | None = None
    """Local .safetensors of the teacher; None takes timm's pretrained ones."""
    teacher_size: Count = 224
    """Side that pictures are resized to for the teacher, in pixels."""
    teacher_width: Count = 768
    """Width of the teacher's patch features."""
    alignment_block: Count = 8
    """Encoder block (1 = first) whose visible tokens are aligned."""
    alignment_hidden: Count = 2048
    """Hidden width of the alignment projection."""

    def _conflicts(self, name: str) -> Iterator[str]:
        if not (self.generative_weight or self.contrastive_weight or self.alignment_weight):
            yield f"one of the weights of {name} must be above 0"


@dataclass(frozen=True)
class DataConfig(Section):
    """How training batches are drawn."""

    flip: bool = True
    """Random horizontal flip (never for shapes, whose captions say left and right)."""
    shuffle_buffer: Count = 2048
    """Pictures held to shuffle a stream of the hub; tar shards and folders are shuffled by position."""
    caption: str = ""
    """Field, column or file ending that holds the caption; empty takes the usual names (`caption`, `text`, ...)."""
    picture: str = ""
    """Field or column that holds the picture or names its file; empty takes the usual names (`image`, ...)."""
    level: Annotated[int, Bounds(least=0, most=3)] = 1
    """Difficulty of the source shapes: 0 one large object; 1 one or two large ones; 2 more shapes, colours, sizes;
    3 textures and three objects.
    """
    near_misses: Share = 0.0
    """(departure) share of the pictures that comes in families which differ in one thing (shapes, emoji)."""
    canonical_until: Share = 0.0
    """(departure) fraction of the training during which captions keep one canonical phrasing; others mix in after
    it (shapes, emoji).
    """
    other_phrasings: Share = 0.5
    """Largest share of captions in other phrasings than the canonical one (shapes, emoji)."""


@dataclass(frozen=True)
class TrainConfig(Section):
    """Optimisation and bookkeeping. `steps`, `minutes` or `epochs` is the budget, the first that is set."""

    steps: Annotated[int | None, Bounds(least=1)] = None
    """Optimiser steps in all; None takes `minutes`."""
    minutes: Annotated[float | None, Bounds(above=0)] = 10.0
    """Wall-clock budget, converted to steps after a short calibration."""
    epochs: Annotated[float | None, Bounds(above=0)] = None
    """Passes through the data, converted to steps by its number of samples, if neither `steps` nor `minutes` is set."""
    batch_size: Count = 2048
    """Pictures per optimiser step, over all ranks and accumulated micro-batches."""
    accumulate: Count = 1
    """Micro-batches per optimiser step on each rank; they take less memory, and the losses stay those of the batch."""
    tune: Literal["all", "joint"] = "all"
    """What learns: all, or (departure) `joint`: image projection, text tower and logit scale, on a locked encoder (LiT,
    arXiv 2111.07991). Painting then stays as it is.
    """
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`adamw` for all, or (departure) Muon for the hidden matrices and AdamW for the rest."""
    lr: Positive = 8e-4
    """Peak learning rate of AdamW (published: 1e-4 * batch / 256)."""
    muon_lr: Positive = 0.02
    """Peak learning rate of Muon."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's betas."""
    weight_decay: NotNegative = 0.04
    """Weight decay (none on biases, norms, 1-d parameters and the diffusion head)."""
    warmup: Share = 0.25
    """Fraction of the training with a linearly rising learning rate (12 of 48 epochs)."""
    decay: Literal["constant", "cosine", "linear"] = "constant"
    """Learning rate after the warm-up."""
    decay_start: Share = 0.0
    """Fraction of the training at which a falling learning rate starts to fall (cosine, linear)."""
    clip: Positive = 3.0
    """Largest gradient norm; larger gradients are scaled down to it."""
    ema: Share = 0.9999
    """Decay of the averaged weights."""
    ema_ramp: bool = True
    """Let the decay rise as (1 + step) / (10 + step), which helps short runs."""
    seed: int = 0
    """Seed of everything drawn."""
    precision: str = "32-true"
    """Lightning Fabric's precision, e.g. 32-true or bf16-mixed."""
    compile: bool = False
    """Compile the model with torch.compile."""
    checkpoint_gradients: bool = False
    """Recompute block activations in the backward pass to save memory."""
    log_every: Count = 10
    """Steps between rows of metrics.jsonl."""
    rank_timeout: Positive = 600.0
    """Seconds that a rank waits for another one; then the training ends, with its last checkpoint."""
    save_every: Positive = 2.0
    """Minutes between checkpoints."""
    keep_last: Count = 2
    """Newest checkpoints to keep, in addition to the best one."""
    samples: Annotated[int, AT_LEAST_0] = 8
    """Sample sheets during the training (0 = none)."""
    evaluations: Annotated[int, AT_LEAST_0] = 8
    """Validations (losses by mask ratio, retrieval) during the training (0 = none)."""

    def _conflicts(self, name: str) -> Iterator[str]:
        if self.steps is None and self.minutes is None and self.epochs is None:
            yield f"give {name}.steps, {name}.minutes or {name}.epochs, above 0"


@dataclass(frozen=True)
class DecodeConfig(Section):
    """Defaults of decoding."""

    steps: Count = 64
    """S, reveal steps."""
    guidance_scale: Annotated[float, Bounds(least=1)] = 3.0
    """Classifier-free guidance; 1 = off."""
    guidance_schedule: Literal["linear", "constant"] = "linear"
    """`linear` in the share revealed, from 1 to the scale; or `constant`."""
    temperature: NotNegative = 1.0
    """Factor on the head's sampling noise."""


@dataclass(frozen=True)
class DreamConfig:
    """Everything that defines a run.

    Raises InputError for every field out of its bounds and every conflict between fields, all in one message.
    """

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
        problems = [problem for name in field_types(DreamConfig) for problem in getattr(self, name).problems(name)]
        if problems := problems or list(self._conflicts()):
            raise InputError("; ".join(problems))

    def _conflicts(self) -> Iterator[str]:
        """One clause for fields of different sections that do not fit together."""
        if self.encoder.rotary:
            for name, section in (("encoder", self.encoder), ("decoder", self.decoder)):
                if (section.width // section.heads) % 4:
                    yield f"encoder.rotary needs a head width ({name}.width / {name}.heads) that is a multiple of 4"
        for name, pieces in (("masking.groups", self.masking.groups), ("train.accumulate", self.train.accumulate)):
            if self.train.batch_size % pieces:
                yield f"train.batch_size must be a multiple of {name} = {pieces}, got {self.train.batch_size}"
        if self.train.tune == "joint" and not self.objective.contrastive_weight:
            yield "train.tune=joint needs an objective.contrastive_weight above 0: it trains the joint space alone"
        block, depth = self.objective.alignment_block, self.encoder.depth
        if self.objective.alignment_weight and block > depth:
            yield f"objective.alignment_block must be in [1, {depth}], got {block}"

    @property
    def trained_masking(self) -> MaskingConfig:
        """The masking of the training: with the joint space alone, every ratio counts in the contrastive loss."""
        if self.train.tune == "all" or self.masking.generation_share is None:
            return self.masking
        return dataclasses.replace(self.masking, generation_share=0.0)

    @property
    def trained_objective(self) -> ObjectiveConfig:
        """The objective with the weights of the losses that the training computes: see `train.tune`."""
        if self.train.tune == "all":
            return self.objective
        return dataclasses.replace(self.objective, generative_weight=0.0, alignment_weight=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "DreamConfig":
        """The config that `to_dict` turned into `tree`; fields that an older file lacks take their defaults.

        Raises InputError for unknown, ill-typed or inconsistent fields, and for RETIRED ones of another value.
        """
        if not isinstance(tree, Mapping):
            raise InputError(f"the configuration must be an object, got {tree!r}")
        kinds, sections = field_types(cls), {}
        for name, values in tree.items():
            section = kinds.get(name)
            if section is None:
                raise InputError(f"unknown configuration section '{name}'{nearest_name(name, kinds)}")
            if not isinstance(values, Mapping):
                raise InputError(f"the configuration section '{name}' must be an object, got {values!r}")
            known = field_types(section)
            current = {key: value for key, value in values.items() if not _is_retired(f"{name}.{key}", value)}
            for key in current:
                if key not in known:
                    raise InputError(f"unknown configuration key '{name}.{key}'{nearest_name(key, known)}")
            sections[name] = section(**{k: checked_value(f"{name}.{k}", v, known[k]) for k, v in current.items()})
        return cls(**sections)

    def model_dict(self) -> dict[str, Any]:
        """The fields that decide the shapes and the meaning of the weights: two checkpoints of a model share them."""
        tree = self.to_dict()
        kept = {name: tree[name] for name in ("image", "text", "encoder", "decoder", "head", "joint")}
        kept["head"] = {k: kept["head"][k] for k in ("width", "depth", "objective", "train_steps")}
        for section in ("encoder", "decoder", "joint"):
            kept[section].pop("dropout")
        kept["alignment"] = tree["objective"]["alignment_weight"] > 0
        return kept


def _uneven_heads(name: str, section: EncoderConfig | DecoderConfig | TextConfig) -> Iterator[str]:
    if section.width % section.heads:
        yield f"{name}.width must be a multiple of {name}.heads = {section.heads}, got {section.width}"


def _is_retired(key: str, value: Any) -> bool:
    """Whether a stored field is a constant now; raises InputError for a file that has another value."""
    if key in RETIRED and value != RETIRED[key]:
        raise InputError(f"{key} is fixed at {RETIRED[key]} in this version and cannot be {value}")
    return key in RETIRED
