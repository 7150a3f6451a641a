"""Decoding: all tokens hidden, then revealed step by step by the diffusion head; `decode_step` alone reveals
them.

What the spec calls redundant is left out: one encoder pass a step, which also scores; text and its keys and
values once; all candidates of all prompts in one batch, and one decoder pass for what candidates share; the
head's projection once a step; outputs only where tokens are revealed. `dream.published` computes the same
without any of it. It knows nothing of files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from dream.config import HeadConfig, ImageConfig
from dream.decoding.selection import DecodeSettings, StepPlan, best, plan_steps
from dream.decoding.state import (
    DecodeState,
    Given,
    Midway,
    NoiseSource,
    SeededNoise,
    StepRecord,
    seeded_orders,
    start_state,
)
from dream.diffusion import denoise, guide, noise_draws
from dream.masking import mask_from_order

if TYPE_CHECKING:
    from dream.model.decoder import CrossCache
    from dream.model.dream import Dream
    from dream.model.latents import ImageTokenizer
    from dream.model.pretrained import Pretrained

HIDDEN_GREY = 232
"""How a cell looks in a preview that is not decoded yet."""


class Comparison(NamedTuple):
    """One choice among candidates: all (B, k) of it."""

    step: int
    """Steps done when they were compared."""
    decoded_fraction: float
    candidates: Tensor
    alignment: Tensor
    kept: Tensor


@dataclass(frozen=True)
class Decoded:
    """The finished candidates, k a prompt (1 unless selection is `none`), and how they were chosen."""

    tokens: Tensor
    """(B, k, N, D_tok)."""
    candidates: Tensor
    """(B, k) long."""
    alignment: Tensor | None
    """(B, k) cosine of the finished picture, if `score_finished`."""
    comparisons: list[Comparison]


class TextMemory:
    """What decoding computes once for B prompts: text features, keys and values, embedded denoising times."""

    @torch.no_grad()
    def __init__(self, model: "Dream", text_ids: Tensor, conditioning: Tensor, unconditional: Tensor | None) -> None:
        self.features = model.text_features(text_ids)
        self.conditional = model.cross_cache(model.text_states(conditioning))
        self.unconditional = None
        if unconditional is not None:
            self.unconditional = model.cross_cache(model.text_states(unconditional))
        self._times: dict[float, Tensor] = {}
        self._rows: tuple[list[int], bool] | None = None
        self._cache: CrossCache = []

    def head_time(self, model: "Dream", time: Tensor) -> Tensor:
        """(1, W): the head's embedding of a denoising time, the same in every step."""
        key = time.item()
        if key not in self._times:
            self._times[key] = model.head.embed_times(time)
        return self._times[key]

    def cross_cache(self, images: Tensor, guided: bool) -> "CrossCache":
        """Keys and values for rows of these pictures (R,); guided: R conditional, then R unconditional ones.

        Kept until other rows are asked for, which happens only when candidates come or go.
        """
        rows = images.tolist(), guided
        if rows != self._rows:
            self._rows, self._cache = rows, self._gather(images, guided)
        return self._cache

    def _gather(self, images: Tensor, guided: bool) -> "CrossCache":
        if not guided:
            return [(key[images], value[images]) for key, value in self.conditional]
        assert self.unconditional is not None
        shared = self.unconditional[0][0].shape[0] == 1
        other = torch.zeros_like(images) if shared else images
        pairs = zip(self.conditional, self.unconditional, strict=True)
        return [(torch.cat([k[images], uk[other]]), torch.cat([v[images], uv[other]])) for (k, v), (uk, uv) in pairs]


@torch.no_grad()
def encode_state(model: "Dream", state: DecodeState) -> DecodeState:
    """The state with its encoder output; free where it has one."""
    if state.encoded is not None:
        return state
    return replace(state, encoded=model.encode(state.tokens, state.mask))


@torch.no_grad()
def alignment(model: "Dream", memory: TextMemory, state: DecodeState) -> Tensor:
    """(R,) cosine of each row's partial picture and its caption; `state` is encoded."""
    assert state.encoded is not None
    pictures = model.image_features(state.encoded, state.mask)  # (R, E)
    return (pictures * memory.features[state.images]).sum(dim=-1)


@torch.no_grad()
def decode_step(
    model: "Dream", memory: TextMemory, state: DecodeState, plan: StepPlan, settings: DecodeSettings, noise: NoiseSource
) -> tuple[DecodeState, StepRecord]:
    """Reveals `plan.reveals` tokens of every row, `plan.draws` times each: new rows, numbered as
    candidates.
    """
    state = encode_state(model, state)
    num_tokens, left = state.mask.shape[1], int(state.mask[0].sum()) - plan.reveals
    mask = mask_from_order(state.order, left)
    wanted, scale = state.mask & ~mask, settings.guidance_at(left, num_tokens)
    condition = _condition(model, memory, state, wanted, guided=scale != 1.0)  # (halves, R, M, D)
    condition = condition.repeat_interleave(plan.draws, dim=1).flatten(0, 2)

    rows = torch.arange(len(mask), device=mask.device).repeat_interleave(plan.draws)
    state, wanted = replace(state, mask=mask, encoded=None).take(rows), wanted[rows]
    if plan.draws > 1:
        state = replace(state, candidates=torch.arange(plan.draws, device=mask.device).repeat(len(mask)))
    head = settings.head(model.config.head)
    chain = noise(plan.step, state.images.tolist(), state.candidates.tolist(), plan.reveals, noise_draws(head)).to(
        state.tokens
    )
    sampled = denoise_tokens(model, memory, head, condition, chain, scale, settings.temperature)
    state.tokens[wanted] = sampled  # take() made a copy
    record = StepRecord(
        step=plan.step,
        num_steps=settings.steps,
        decoded_fraction=1 - left / num_tokens,
        guidance=scale,
        images=state.images,
        candidates=state.candidates,
        order=state.order,
        revealed=wanted.nonzero()[:, 1].view(-1, plan.reveals),
        tokens=state.tokens,
        mask=state.mask,
        condition=condition,
        alignment=None,
        kept=torch.ones_like(state.images, dtype=torch.bool),
    )
    return state, record


@torch.no_grad()
def denoise_tokens(
    model: "Dream",
    memory: TextMemory,
    head: HeadConfig,
    condition: Tensor,
    chain: Tensor,
    scale: float | Tensor,
    temperature: float,
    path: list[Tensor] | None = None,
) -> Tensor:
    """(M, D_tok) tokens from the head; guided rows start from the same noise and share that of the steps.

    `condition` (M or, guided, 2 M, D), conditional rows first; `chain` (draws, M, D_tok) is the noise;
    `scale` is one for all, or (M, 1). `path` takes the noised tokens (M, D_tok) before each denoising step.
    """
    projected = model.head.project(condition)
    guided = len(condition) > chain.shape[1]

    def predict(noised: Tensor, time: Tensor) -> Tensor:
        if path is not None:
            path.append(noised)
        embedded = memory.head_time(model, time)
        if not guided:
            return model.head.predict(noised, embedded, projected)
        both = model.head.predict(torch.cat([noised, noised]), embedded, projected)
        conditional, unconditional = both.chunk(2)
        return guide(head, conditional, unconditional, scale)

    return denoise(head, predict, chain, temperature)


def decode_iter(
    model: "Dream",
    text_ids: Tensor,
    conditioning: Tensor,
    unconditional: Tensor | None,
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
    noise: NoiseSource | None = None,
    orders: Tensor | None = None,
    given: Given | None = None,
    midway: Midway | None = None,
    record_scores: bool = False,
    score_finished: bool = False,
) -> Iterator[StepRecord]:
    """A record a step of decoding B prompts, K candidates each; the model is in eval mode.

    `text_ids` (B, T) go to the text tower, `conditioning` (B, ..) and `unconditional` (B or 1, ..; None
    without guidance) to the text aligner. `picture_ids` name the pictures whose noise and orders are drawn
    (default 0 .. B-1). `record_scores` fills `alignment` at every step but the last without another encoder
    pass; that of the finished picture costs one (`score_finished`). `midway` goes on from there, in its order
    and with what it has revealed, instead of from nothing or `given`. Raises ValueError for a model in
    training mode, and for a state that these settings do not lead to.
    """
    if model.training:
        raise ValueError("decoding needs the model in eval mode: call model.eval()")
    image = model.config.image
    ids = range(len(text_ids)) if picture_ids is None else picture_ids
    orders = seeded_orders(settings.seed, ids, image.num_tokens) if orders is None else orders
    noise = SeededNoise(settings.seed, ids, image.token_dim) if noise is None else noise
    memory = TextMemory(model, text_ids, conditioning, unconditional if settings.guided else None)
    if midway is None:
        state = start_state(orders.to(text_ids.device), image.token_dim, given)
        midway = Midway(state, 0, int(state.mask[0].sum()))
    state, plans = midway.state, _plans_left(settings, midway)
    for plan in plans:
        state, record = decode_step(model, memory, state, plan, settings, noise)
        if plan.scored or (score_finished if plan is plans[-1] else record_scores):
            state = encode_state(model, state)
            record = replace(record, alignment=alignment(model, memory, state))
        if plan.scored:
            record = _choose(record, len(text_ids), plan.keep)
            state = state.take(record.kept.nonzero()[:, 0])
        yield record


def collect(records: Iterable[StepRecord]) -> Decoded:
    """The finished candidates of an iterator of records, and the comparisons; no other step is kept."""
    comparisons, last = [], None
    for record in records:
        last = record
        if record.alignment is not None and not bool(record.kept.all()):
            parts = (record.candidates, record.alignment, record.kept)
            by_picture = (part.view(record.pictures, -1) for part in parts)
            comparisons.append(Comparison(record.step + 1, record.decoded_fraction, *by_picture))
    if last is None:
        raise ValueError("there are no records to collect: nothing was decoded")

    def finished(part: Tensor) -> Tensor:
        return part[last.kept].unflatten(0, (last.pictures, -1))

    scores = None if last.alignment is None else finished(last.alignment)
    return Decoded(finished(last.tokens), finished(last.candidates), scores, comparisons)


def decode(
    model: "Dream",
    text_ids: Tensor,
    conditioning: Tensor,
    unconditional: Tensor | None,
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
) -> Decoded:
    """`decode_iter`, collected."""
    return collect(decode_iter(model, text_ids, conditioning, unconditional, settings, picture_ids=picture_ids))


def paint_iter(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
    given: Given | None = None,
    midway: Midway | None = None,
    record_scores: bool = False,
    score_finished: bool = False,
) -> Iterator[StepRecord]:
    """`decode_iter` of a trained model on prompts in words; see there for the arguments."""
    device = next(pretrained.model.parameters()).device
    return decode_iter(
        pretrained.model,
        pretrained.tokenizer.token_ids(prompts).to(device),
        pretrained.conditioning.condition(prompts).to(device),
        pretrained.conditioning.condition([""]).to(device) if settings.guided else None,
        settings,
        picture_ids=picture_ids,
        given=given,
        midway=midway,
        record_scores=record_scores,
        score_finished=score_finished,
    )


def paint_batches(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int],
    batch_size: int,
    given: Given | None = None,
    record_scores: bool = False,
    score_finished: bool = False,
) -> Iterator[tuple[int, StepRecord]]:
    """`paint_iter` of `batch_size` prompts at a time: (first prompt of the batch, record a step)."""
    for first in range(0, len(prompts), batch_size):
        batch = slice(first, first + batch_size)
        part = given
        if given is not None and len(given.tokens) > 1:
            part = given._replace(tokens=given.tokens[batch])
        records = paint_iter(
            pretrained,
            prompts[batch],
            settings,
            picture_ids=picture_ids[batch],
            given=part,
            record_scores=record_scores,
            score_finished=score_finished,
        )
        for record in records:
            yield first, record


def paint(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
) -> Tensor:
    """(B * k, 3, H, W) uint8 pictures of the prompts, k = 1 unless selection is `none`."""
    decoded = collect(paint_iter(pretrained, prompts, settings, picture_ids=picture_ids))
    return to_uint8(pretrained.image_tokenizer.to_pixels(decoded.tokens.flatten(0, 1)))


def previews(image_tokenizer: "ImageTokenizer", config: ImageConfig, record: StepRecord) -> Tensor:
    """(R, 3, H, W) uint8: what each row shows so far; hidden cells are pale grey."""
    pictures = to_uint8(image_tokenizer.to_pixels(record.tokens))
    hidden = record.mask.view(-1, 1, config.grid, config.grid)
    cell = config.size // config.grid
    hidden = hidden.repeat_interleave(cell, dim=2).repeat_interleave(cell, dim=3).to(pictures.device)
    return pictures.masked_fill(hidden, HIDDEN_GREY)


def to_uint8(pictures: Tensor) -> Tensor:
    """Pictures of [0, 1] floats as uint8, rounded."""
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8)


def _condition(model: "Dream", memory: TextMemory, state: DecodeState, wanted: Tensor, guided: bool) -> Tensor:
    """(1 or 2, R, M, D): decoder output at the wanted places, conditional and, guided, unconditional."""
    assert state.encoded is not None
    halves = 2 if guided else 1
    encoded, mask, places = (torch.cat([part] * halves) for part in (state.encoded, state.mask, wanted))
    condition = model.decode(encoded, mask, memory.cross_cache(state.images, guided), wanted=places)
    return condition.view(halves, len(state.mask), -1, condition.shape[-1])


def _plans_left(settings: DecodeSettings, midway: Midway) -> list[StepPlan]:
    plans = [plan for plan in plan_steps(settings, midway.hidden) if plan.step >= midway.steps]
    left, hidden = sum(plan.reveals for plan in plans), int(midway.state.mask[0].sum())
    if left != hidden:
        raise ValueError(f"the state hides {hidden} tokens after step {midway.steps}, the settings {left}")
    return plans


def _choose(record: StepRecord, batch: int, keep: int) -> StepRecord:
    """The record with the best `keep` candidates of every picture marked as kept."""
    assert record.alignment is not None
    chosen = best(record.alignment.view(batch, -1), keep)
    kept = torch.zeros(batch, len(record.images) // batch, dtype=torch.bool, device=chosen.device)
    return replace(record, kept=kept.scatter(1, chosen, True).flatten())
