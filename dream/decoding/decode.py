"""Decoding: every token is hidden at first and revealed step by step; only `decode_step` reveals tokens.

Work that the published algorithm repeats is done once: one encoder pass per step, which also scores; text with
its keys and values once; all candidates of all prompts in one batch, and one decoder pass for what candidates
share; the head's projection once per step; outputs only where tokens are revealed. `dream.published` computes
the same without these savings (docs/method.md, Decoding).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from dream.decoding.conditions import step_conditions
from dream.decoding.context import DecodeContext
from dream.decoding.noise import NoiseSource, orders_of
from dream.decoding.repair import hide_least_confident
from dream.decoding.scores import OVERFLOW, score_of
from dream.decoding.selection import StepPlan, best, plan_steps
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Beginning, DecodeState, Midway, Prompted, StepRecord, encode_state, start_state
from dream.masking import mask_from_order
from dream.weights.finite import require_finite

if TYPE_CHECKING:
    from dream.decoding.critic import AnyCritic
    from dream.model.dream import Dream

Scored = Literal["choices", "finished", "all"]
"""Steps whose records have an alignment.

`choices`: only those after which candidates are compared. `finished`: also the last step, at the cost of one
encoder pass. `all`: every step, at the same cost, since each step's encoder pass also serves the next step.
"""


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
    """The finished candidates, k per prompt (1 unless selection is `none`), and how they were chosen."""

    tokens: Tensor
    """(B, k, N, D_tok)."""
    candidates: Tensor
    """(B, k) long."""
    alignment: Tensor | None
    """(B, k) cosine of the finished picture, if it was scored."""
    comparisons: list[Comparison]


def decode_iter(
    model: "Dream",
    prompted: Prompted,
    settings: DecodeSettings,
    *,
    beginning: Beginning = None,
    scored: Scored = "choices",
    noise: NoiseSource | None = None,
    critic: "AnyCritic | None" = None,
) -> Iterator[StepRecord]:
    """Yields a record per step of decoding B prompts with K candidates each.

    `Midway` continues in its own order with the tokens it has revealed. `noise` replaces that of the settings'
    seed; `critic` is needed by the score of that name. Raises ValueError for a model in training mode, and for a
    midway state that these settings do not lead to.
    """
    if model.training:
        raise ValueError("decoding needs the model in eval mode: call model.eval()")
    context = DecodeContext.of(model, prompted, settings, noise, critic)
    score = score_of(settings)
    midway = begin_decode(context, prompted, beginning)
    state, plans = midway.state, _plans_left(settings, midway)
    for plan in plans:
        if plan.repairs:
            state = hide_least_confident(context, state, plan.reveals, state.mask.shape[1] - midway.hidden)
        state, record = decode_step(context, state, plan)
        if plan.scored or scored == "all" or (scored == "finished" and plan is plans[-1]):
            state = encode_state(model, state)
            record = replace(record, alignment=score(context, state))
        if plan.scored:
            record = _choose(record, len(prompted), plan.keep)
            state = state.take(record.kept.nonzero()[:, 0])
        yield record


@torch.no_grad()
def decode_step(context: DecodeContext, state: DecodeState, plan: StepPlan) -> tuple[DecodeState, StepRecord]:
    """Reveals `plan.reveals` tokens of every row; draws them `plan.draws` times, as new rows (candidates).

    Raises InputError, naming the step, if a token is NaN or infinite.
    """
    # encode what is visible
    state = encode_state(context.model, state)

    # find the tokens to reveal, at the end of the order
    num_tokens = state.mask.shape[1]  # N
    left = int(state.mask[0].sum()) - plan.reveals
    mask = mask_from_order(state.order, left)
    revealed = state.mask & ~mask  # (R, N), M per row
    guidance = context.settings.guidance_at(left, num_tokens)

    # condition: decoder output at those places; draws of a row share it
    condition, state = step_conditions(context, state, revealed, guided=guidance != 1.0)  # (halves, R, M, D)
    condition = condition.repeat_interleave(plan.draws, dim=1).flatten(0, 2)  # (halves * R * M, D)
    rows = torch.arange(len(mask), device=mask.device).repeat_interleave(plan.draws)
    state, revealed = replace(state, mask=mask, encoded=None).take(rows), revealed[rows]
    if plan.draws > 1:
        state = replace(state, candidate=torch.arange(plan.draws, device=mask.device).repeat(len(mask)))

    # denoise, each row from noise of its own
    names, sampler = (state.picture.tolist(), state.candidate.tolist()), context.sampler.at(plan.step)
    chain = context.noise(plan.step, *names, plan.reveals, sampler.draws).to(state.tokens)
    sampled = sampler.sample(condition, chain, guidance)  # (R * M, D_tok)

    require_finite(sampled, f"the tokens of decoding step {plan.step + 1} of {context.settings.steps}", OVERFLOW)

    # reveal, in the copy of the tokens that take() made
    state.tokens[revealed] = sampled

    record = StepRecord(
        step=plan.step,
        num_steps=context.settings.steps,
        decoded_fraction=1 - left / num_tokens,
        guidance=guidance,
        picture=state.picture,
        candidate=state.candidate,
        order=state.order,
        revealed=revealed.nonzero()[:, 1].view(-1, plan.reveals),
        tokens=state.tokens,
        mask=state.mask,
        condition=condition,
        alignment=None,
        kept=torch.ones_like(state.picture, dtype=torch.bool),
    )
    return state, record


def collect(records: Iterable[StepRecord]) -> Decoded:
    """The finished candidates of an iterator of records, and the comparisons; no other step is kept.

    Raises ValueError if there are no records.
    """
    comparisons, last = [], None
    for record in records:
        last = record
        if record.alignment is not None and not bool(record.kept.all()):
            columns = (record.candidate, record.alignment, record.kept)
            by_picture = (column.view(record.num_pictures, -1) for column in columns)
            comparisons.append(Comparison(record.step + 1, record.decoded_fraction, *by_picture))
    if last is None:
        raise ValueError("there are no records to collect: nothing was decoded")

    def finished(rows: Tensor) -> Tensor:
        return rows[last.kept].unflatten(0, (last.num_pictures, -1))

    scores = None if last.alignment is None else finished(last.alignment)
    return Decoded(finished(last.tokens), finished(last.candidate), scores, comparisons)


def decode(model: "Dream", prompted: Prompted, settings: DecodeSettings) -> Decoded:
    """Runs `decode_iter` to its end and collects the result."""
    return collect(decode_iter(model, prompted, settings))


def begin_decode(context: DecodeContext, prompted: Prompted, beginning: Beginning = None) -> Midway:
    """The beginning as a decode that has done no step, unless it is midway already."""
    if isinstance(beginning, Midway):
        return beginning
    image, count = context.model.config.image, context.settings.begun
    orders = orders_of(context.settings, prompted.ids, image.num_tokens).to(prompted.text_ids.device)
    if beginning is not None and len(beginning.tokens) > 1:
        beginning = beginning._replace(tokens=beginning.tokens.repeat_interleave(count, dim=0))
    state = start_state(orders, image.token_dim, beginning, count)
    return Midway(state, 0, int(state.mask[0].sum()))


def _plans_left(settings: DecodeSettings, midway: Midway) -> list[StepPlan]:
    plans = [plan for plan in plan_steps(settings, midway.hidden) if plan.step >= midway.steps]
    left, hidden = sum(plan.reveals for plan in plans if not plan.repairs), int(midway.state.mask[0].sum())
    if left != hidden:
        raise ValueError(
            f"these settings leave {left} tokens to reveal after step {midway.steps}, the state hides {hidden}"
        )
    return plans


def _choose(record: StepRecord, batch: int, keep: int) -> StepRecord:
    """The record with the best `keep` candidates of every picture marked as kept."""
    assert record.alignment is not None
    chosen = best(record.alignment.view(batch, -1), keep)
    kept = torch.zeros(batch, len(record.picture) // batch, dtype=torch.bool, device=chosen.device)
    return replace(record, kept=kept.scatter(1, chosen, True).flatten())
