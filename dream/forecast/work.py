"""Arithmetic and activations of the model, from its sizes: the formulas of docs/method.md, Planning.

A count is per picture, unless it says otherwise. FLOPs are those of matrix products (two per multiply-add), with a
backward pass twice as long as the forward one. Nothing here imports torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from dream.config import DreamConfig

CAPTION_TOKENS = 20
"""Tokens of a caption of CC12M, begin and end included; the text tower reads as many as the longest of a batch has."""
TIME_WAVES = 256
"""Inputs of the embedding of times."""


@dataclass(frozen=True)
class WorkCount:
    """Arithmetic and saved activations of a piece of the model."""

    forward: float = 0.0
    """FLOPs of the forward pass."""
    backward: float = 0.0
    """FLOPs of the backward pass."""
    wide: float = 0.0
    """Saved values that stay float32 under autocast: inputs of LayerNorm and the like."""
    narrow: float = 0.0
    """Saved values that have the type of matrix products."""
    masks: float = 0.0
    """Saved bytes of dropout masks."""

    def __add__(self, other: "WorkCount") -> "WorkCount":
        return WorkCount(*(a + b for a, b in zip(self._values(), other._values(), strict=True)))

    def __mul__(self, factor: float) -> "WorkCount":
        return WorkCount(*(factor * a for a in self._values()))

    def _values(self) -> tuple[float, ...]:
        return self.forward, self.backward, self.wide, self.narrow, self.masks

    @property
    def flops(self) -> float:
        """FLOPs of both passes."""
        return self.forward + self.backward

    def bytes(self, width: int) -> float:
        """Bytes of the saved activations, with matrix products of `width` bytes a value."""
        return 4 * self.wide + width * self.narrow + self.masks


@dataclass(frozen=True)
class Parts:
    """WorkCount per picture of the parts of the model, averaged over mask ratios."""

    encoder: WorkCount
    joint: WorkCount
    """Pooling's projection."""
    text_tower: WorkCount
    aligner: WorkCount
    decoder: WorkCount
    head: WorkCount

    @property
    def whole(self) -> WorkCount:
        """All parts together."""
        parts = (self.encoder, self.joint, self.text_tower, self.aligner, self.decoder, self.head)
        return sum(parts, WorkCount())


def linear(rows: float, inner: int, outer: int, *, inputs: bool = True) -> WorkCount:
    """A linear layer on `rows` rows; without `inputs` nothing before it has a gradient. Saves nothing by itself."""
    forward = 2 * rows * inner * outer
    return WorkCount(forward, forward * (2 if inputs else 1))


def attention_work(queries: float, keys: float, width: int) -> WorkCount:
    """Scores and weighted sums of all heads; saves its output and the copy that its projection reads."""
    forward = 4 * queries * keys * width
    return WorkCount(forward, 2 * forward, narrow=2 * queries * width)


def block(tokens: float, length: float, width: int, ratio: float, dropout: float = 0.0) -> WorkCount:
    """A pre-norm block of self-attention and MLP on `tokens` tokens in rows of `length`."""
    hidden = int(width * ratio)
    products = linear(tokens, width, 3 * width) + linear(tokens, width, width) + _mlp(tokens, width, hidden)
    saved = WorkCount(
        wide=2 * tokens * width, narrow=tokens * (5 * width + 2 * hidden)
    )  # norms; their outputs, q, k, v; MLP
    return products + attention_work(tokens, length, width) + saved + _dropped(tokens, width, hidden, 2, dropout)


def decoder_block(tokens: float, outputs: float, config: DreamConfig) -> WorkCount:
    """A decoder block on `tokens` tokens of one picture, of which `outputs` go on."""
    c, text = config.decoder, config.text.conditioning_length
    if config.text.conditioning == "learned":
        text = config.text.context_length
    width, hidden = c.width, int(c.width * c.mlp_ratio)
    products = linear(tokens, width, 3 * width) + linear(outputs, width, width)
    products += linear(outputs, width, width) * 2 + linear(text, width, 2 * width) + _mlp(outputs, width, hidden)
    saved = WorkCount(
        wide=(tokens + 2 * outputs) * width,
        narrow=4 * tokens * width + outputs * (3 * width + 2 * hidden) + 2 * text * width,
    )
    mixed = attention_work(outputs, tokens, width) + attention_work(outputs, text, width)
    return products + mixed + saved + _dropped(outputs, width, hidden, 3, c.dropout)


def head_work(rows: float, config: DreamConfig) -> WorkCount:
    """The diffusion head on `rows` hidden tokens, each with `head.draws` times and noises."""
    c, dim = config.head, config.image.token_dim
    n, w = rows * c.draws, c.width
    each = linear(n, w, w) * 2 + linear(n, w, 3 * w) + WorkCount(wide=2 * n * w, narrow=8 * n * w)
    outer = dim * (2 if c.objective == "noise" else 1)
    ends = linear(rows, config.decoder.width, w) + linear(n, TIME_WAVES, w, inputs=False) + linear(n, w, w)
    ends += linear(n, dim, w, inputs=False) + linear(n, w, 2 * w) + linear(n, w, outer)
    saved = WorkCount(wide=n * (2 * w + TIME_WAVES + 8 * dim), narrow=n * 6 * w) + WorkCount(
        wide=rows * config.decoder.width
    )
    return each * c.depth + ends + saved


def text_tower(config: DreamConfig, tokens: int = CAPTION_TOKENS) -> WorkCount:
    """The text tower on a caption of `tokens` tokens."""
    c = config.text
    length = c.context_length if config.joint.positional_text else min(tokens, c.context_length)
    return block(length, length, c.width, 4.0) * c.depth + linear(1, c.width, config.joint.width)


def joint_work(config: DreamConfig) -> WorkCount:
    """The projection of a pooled picture. Every rank repeats it for the whole batch."""
    c = config.joint
    vectors = 1 + c.pooling_maps + c.buffer_features * config.encoder.buffer_tokens
    layers = linear(1, config.encoder.width * vectors, c.hidden) + linear(1, c.hidden, c.hidden)
    return layers + linear(1, c.hidden, c.width) + WorkCount(wide=4 * c.hidden + config.encoder.width * vectors)


def parts_at(config: DreamConfig, hidden: int, caption_tokens: int = CAPTION_TOKENS) -> Parts:
    """WorkCount of one picture that hides `hidden` of its N tokens."""
    image, objective = config.image, config.trained_objective
    n, visible, buffer = image.num_tokens, image.num_tokens - hidden, config.encoder.buffer_tokens
    encoder, decoder, length = config.encoder, config.decoder, visible + buffer
    encode = linear(visible, image.token_dim, encoder.width, inputs=False) + WorkCount(wide=2 * length * encoder.width)
    encode += block(length, length, encoder.width, encoder.mlp_ratio, encoder.dropout) * encoder.depth
    if config.train.tune == "joint":
        encode = WorkCount(encode.forward)  # it is locked, so nothing is kept for a backward pass
    nothing = WorkCount()
    joint = joint_work(config) if objective.contrastive_weight else nothing
    text = text_tower(config, caption_tokens) if objective.contrastive_weight else nothing
    aligner = decode = head = nothing
    if objective.generative_weight and hidden and hidden / n >= objective.min_masked:
        learned = config.text.conditioning == "learned"
        states = config.text.context_length if learned else config.text.conditioning_length
        aligner = linear(states, config.text.conditioning_width, decoder.width, inputs=learned)
        aligner += block(states, states, decoder.width, decoder.mlp_ratio, decoder.dropout) * decoder.aligner_depth
        decode = linear(length, encoder.width, decoder.width) + WorkCount(wide=2 * (n + buffer) * decoder.width)
        decode += decoder_block(n + buffer, n + buffer, config) * (decoder.depth - 1)
        decode += decoder_block(n + buffer, hidden, config)
        head = head_work(hidden, config)
    return Parts(encode, joint, text, aligner, decode, head)


def mean_parts(weighted: Sequence[tuple[Parts, float]]) -> Parts:
    """The mean of several, each with its weight."""
    total = sum(weight for _, weight in weighted)

    def mean(name: str) -> WorkCount:
        return sum((getattr(parts, name) * (weight / total) for parts, weight in weighted), WorkCount())

    return Parts(*(mean(each.name) for each in fields(Parts)))


def _mlp(tokens: float, width: int, hidden: int) -> WorkCount:
    return linear(tokens, width, hidden) + linear(tokens, hidden, width)


def _dropped(tokens: float, width: int, hidden: int, outputs: int, dropout: float) -> WorkCount:
    """Masks of dropout behind `outputs` projections of a block and within its MLP."""
    return WorkCount(masks=tokens * (outputs * width + hidden)) if dropout else WorkCount()
