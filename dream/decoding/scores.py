"""Scores by which candidates are compared before they are finished: the paper's own, and departures from it.

`cosine` is the paper's: the joint space's cosine of the partial picture and the caption. The others cost passes of
their own. `preview` finishes a rough copy and takes its cosine. `confidence` hides what is decoded a part at a time
and asks how well the head recovers it: it sees form (arXiv 2603.00918). `relevance` asks how much better it does
with the caption than without: it sees meaning (a diffusion classifier, arXiv 2303.16203). `critic` is learned
(`dream.decoding.critic`) and costs no pass. Each is a function of the
candidate alone: what else is in the batch does not change it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dream.decoding.conditions import decoder_conditions
from dream.decoding.context import DecodeContext, TokenSampler
from dream.decoding.critic import critic_score
from dream.decoding.settings import FOLDS, DecodeSettings
from dream.decoding.state import DecodeState, encode_state
from dream.diffusion import Draw, add_noise, energy_score, generative_terms
from dream.randomness import generator
from dream.weights.finite import require_finite

OVERFLOW = (
    "the model overflows at these settings: try a lower guidance scale or temperature, more denoising steps, float32, "
    "or another checkpoint"
)
"""Advice for a decode that is not finite."""
NOISE_SHARES = (0.3, 0.5, 0.7)
"""Shares of noise at which the head recovers tokens: 0 is clean, 1 is noise alone."""
FILLS = 2
"""Rough copies of the rest that a preview's cosine is averaged over."""
FILL_STEPS = 4
"""Denoising steps of a rough copy."""


class Score(Protocol):
    """Says how good each candidate is, from what is decoded of it."""

    def __call__(self, context: DecodeContext, state: DecodeState) -> Tensor:
        """(R,): higher is better; comparable among the candidates of one picture only. `state` is encoded."""
        ...


@torch.no_grad()
def cosine(context: DecodeContext, state: DecodeState) -> Tensor:
    """(R,) cosine of each row's partial picture and its caption (section 3.3). Raises InputError for NaN."""
    assert state.encoded is not None
    features = context.model.image_features(state.encoded, state.mask)  # (R, E)
    scores = (features * context.text.features[state.picture]).sum(dim=-1)
    shown = 1 - float(state.mask[0].float().mean())
    return require_finite(scores, f"the alignments of the pictures with {shown:.0%} of their tokens decoded", OVERFLOW)


@torch.no_grad()
def preview(context: DecodeContext, state: DecodeState) -> Tensor:
    """(R,) cosine of each row finished roughly, all hidden tokens at once, over FILLS copies; of itself if finished."""
    hidden = int(state.mask[0].sum())
    if not hidden:
        return cosine(context, state)
    steps = min(FILL_STEPS, context.sampler.config.sampling_steps)
    settings = replace(context.settings, sampling_steps=steps, last_sampling_steps=None)
    sampler = TokenSampler(context.model, settings)
    guidance = context.settings.guidance_at(0, state.mask.shape[1])
    condition = decoder_conditions(context, state, state.mask, guided=guidance != 1.0)  # (halves, R, M, D)
    total = torch.zeros(len(state.mask), device=state.mask.device)
    for fill in range(FILLS):
        noise = shared_noise(context, state, f"preview {fill}", hidden, sampler.draws)
        tokens = state.tokens.clone()
        tokens[state.mask] = sampler.sample(condition.flatten(0, 2), noise, guidance)
        mask = torch.zeros_like(state.mask)
        finished = replace(state, tokens=tokens, mask=mask, encoded=None)
        total += cosine(context, encode_state(context.model, finished))
    return total / FILLS


def confidence(context: DecodeContext, state: DecodeState) -> Tensor:
    """(R,) how well the head recovers the decoded tokens given their caption: minus the mean square error."""
    return -recovery_errors(context, state, guided=False)[0]


def relevance(context: DecodeContext, state: DecodeState) -> Tensor:
    """(R,) by how much the caption lowers the error with which the head recovers the decoded tokens."""
    with_caption, without = recovery_errors(context, state, guided=True)
    return without - with_caption


SCORES: dict[str, Score] = {
    "cosine": cosine,
    "preview": preview,
    "confidence": confidence,
    "relevance": relevance,
    "critic": critic_score,
}
"""Scores by their names; `a+b` is the sum of several, each in standard deviations among a picture's candidates."""


def score_of(settings: DecodeSettings) -> Score:
    """The score that the settings name: one, or the sum of several."""
    if len(settings.scores) == 1:
        return SCORES[settings.scores[0]]

    def total(context: DecodeContext, state: DecodeState) -> Tensor:
        return sum_of([SCORES[name](context, state) for name in settings.scores], state.picture)

    return total


def sum_of(scores: Sequence[Tensor], picture: Tensor) -> Tensor:
    """(R,): sum of scores (R,), each in standard deviations from the mean among the rows of its `picture` (R,)."""
    return torch.stack([_standardised(score, picture) for score in scores]).sum(dim=0)


def _standardised(score: Tensor, picture: Tensor) -> Tensor:
    counts = torch.bincount(picture).to(score)
    means = torch.zeros_like(counts).index_add_(0, picture, score) / counts
    centred = score - means[picture]
    spread = (torch.zeros_like(counts).index_add_(0, picture, centred.square()) / counts).sqrt()
    return centred / spread[picture].clamp(min=1e-12)


@torch.no_grad()
def recovery_errors(context: DecodeContext, state: DecodeState, *, guided: bool) -> Tensor:
    """(1 or 2, R): mean square error of recovering the decoded tokens, with the caption and (guided) without.

    Each of FOLDS parts is hidden while the other parts are seen, and its tokens are recovered from noise that all
    candidates of a picture share. Without two decoded tokens there is nothing to tell: all zero.
    """
    halves = 2 if guided else 1
    errors, count = torch.zeros(halves, len(state.mask), device=state.mask.device), 0
    for mask, part in _folds(state):
        seen = encode_state(context.model, replace(state, mask=mask, encoded=None))
        condition = decoder_conditions(context, seen, part, guided=guided)
        error = _head_errors(context, state, condition, part)
        errors += error.sum(dim=-1)
        count += error.shape[-1]
    return require_finite(errors / max(1, count), "the errors of recovering decoded tokens", OVERFLOW)


def token_errors(context: DecodeContext, state: DecodeState) -> Tensor:
    """(R, N): error of recovering each decoded token from the others and the caption; 0 where it is hidden."""
    errors = torch.zeros(state.mask.shape, device=state.mask.device)
    for mask, part in _folds(state):
        seen = encode_state(context.model, replace(state, mask=mask, encoded=None))
        condition = decoder_conditions(context, seen, part, guided=False)
        errors[part] = _head_errors(context, state, condition, part)[0].flatten()
    return require_finite(errors, "the errors of recovering decoded tokens", OVERFLOW)


class _Fold(NamedTuple):
    mask: Tensor
    """(R, N) bool: hidden while this part is recovered."""
    part: Tensor
    """(R, N) bool: the part, M tokens a row."""


def _folds(state: DecodeState) -> Iterator[_Fold]:
    """The decoded tokens in FOLDS parts, dealt out in the order in which they were decoded."""
    hidden, num_tokens = int(state.mask[0].sum()), state.mask.shape[1]
    if num_tokens - hidden < FOLDS:
        return
    for fold in range(FOLDS):
        part = torch.zeros_like(state.mask).scatter(1, state.order[:, hidden + fold :: FOLDS], True)
        yield _Fold(state.mask | part, part)


def _head_errors(context: DecodeContext, state: DecodeState, condition: Tensor, part: Tensor) -> Tensor:
    """(halves, R, M) error of recovering the tokens of `part` given `condition` (halves, R, M, D)."""
    head, config = context.model.head, context.model.config.head
    halves, rows, count, _ = condition.shape
    projected = head.project(condition.flatten(0, 2))
    clean = state.tokens[part]  # (R * M, D_tok)
    total, samples = torch.zeros(halves, rows, count, device=clean.device), []
    for number, share in enumerate(NOISE_SHARES):
        noise = shared_noise(context, state, f"recovery {number}", count, 1)[0]
        time = {"flow": 1 - share, "energy": 0}.get(config.objective, round(share * (config.train_steps - 1)))
        draw = Draw(torch.full((len(clean),), time, device=clean.device), noise)
        noised = add_noise(config, clean, draw)
        embedded = head.embed_times(draw.times[:1])
        prediction = head.predict(torch.cat([noised] * halves), embedded, projected)
        if config.objective == "energy":  # one score of all samples
            samples.append(prediction)
            continue
        for half, predicted in enumerate(prediction.chunk(halves)):
            total[half] += generative_terms(config, predicted, clean, draw).error.view(rows, count)
    if samples:
        return energy_score(torch.stack(samples), clean.repeat(halves, 1)).mean(0).view(halves, rows, count)
    return total / len(NOISE_SHARES)


def shared_noise(context: DecodeContext, state: DecodeState, use: str, count: int, draws: int) -> Tensor:
    """(draws, R * count, D_tok): noise drawn for (seed, picture, use), the same for all candidates of a picture."""
    shape = (draws, count, state.tokens.shape[-1])
    own = [torch.randn(shape, generator=generator(context.settings.seed, use, i)) for i in context.picture_ids]
    return torch.cat([own[picture] for picture in state.picture.tolist()], dim=1).to(state.tokens)
