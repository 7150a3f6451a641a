"""Finished candidates of many prompts, decoded once and kept, so that any score can be tried on them afterwards.

A revealed token never changes, so the finished tokens and the order hold every partial picture. The CPU seconds of
each step are kept with them. Batches lie in the user's cache by model, settings and prompts: a pass that was stopped
goes on where it was, and a second look (another score, another critic) decodes nothing.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dream.decoding.context import DecodeContext
from dream.decoding.critic import AnyCritic
from dream.decoding.decode import begin_decode, decode_step
from dream.decoding.paint import encode_prompts
from dream.decoding.selection import plan_steps
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import DecodeState, encode_state
from dream.evaluation.pieces import row_batches
from dream.evaluation.progress import Progress, quiet
from dream.files import replace_bytes, user_cache
from dream.masking import mask_from_order
from dream.model.pretrained import Pretrained

PICTURES = 64
"""Pictures decoded at once: small enough that a stopped pass loses seconds."""


@dataclass(frozen=True)
class SavedBatch:
    """K finished candidates of P prompts, and the CPU seconds that their T steps took."""

    tokens: Tensor
    """(P, K, N, D_tok) float16."""
    order: Tensor
    """(P, N) long, shared by the candidates of a prompt."""
    step_seconds: Tensor
    """(T,) float64: a decoder pass and the head, for all P K candidates, without the encoder."""
    encode_seconds: Tensor
    """(T,) float64: the encoder pass of what each step left, which also serves the next step."""


@dataclass(frozen=True)
class PartialStep:
    """All candidates of a batch after one step, encoded, ready to be scored."""

    index: int
    """Among the steps that reveal tokens."""
    step: int
    """Steps done."""
    decoded: float
    """Share of the tokens decoded."""
    context: DecodeContext
    state: DecodeState


def saved_folder(pretrained: Pretrained, prompts: Sequence[str], settings: DecodeSettings) -> Path:
    """Where the decodes of these prompts by this model are kept."""
    asked = json.dumps([pretrained.model_id, settings.to_dict(), list(prompts), PICTURES])
    return user_cache() / "decodes" / hashlib.sha256(asked.encode()).hexdigest()[:16]


def saved_decodes(
    pretrained: Pretrained, prompts: Sequence[str], settings: DecodeSettings, progress: Progress = quiet
) -> Iterator[tuple[range, SavedBatch]]:
    """(numbers of the prompts, their finished candidates) batch by batch: read, or decoded and kept.

    Picture i is drawn from (settings.seed, i). `settings` must finish all candidates, in one order per prompt.
    """
    for rows in saved_rows(prompts, settings):
        yield rows, saved_batch(pretrained, prompts, settings, rows, progress)


def saved_rows(prompts: Sequence[str], settings: DecodeSettings) -> list[range]:
    """Numbers of the prompts, batch by batch."""
    return row_batches(len(prompts), max(1, PICTURES // settings.candidates))


def saved_batch(
    pretrained: Pretrained, prompts: Sequence[str], settings: DecodeSettings, rows: range, progress: Progress = quiet
) -> SavedBatch:
    """One of the batches of `saved_decodes`, by its rows."""
    assert settings.selection == "none" and settings.orders == "shared", "a saved decode finishes all candidates"
    progress(rows.start / len(prompts), f"decoding {settings.candidates} x {len(prompts):,} pictures")
    path = saved_folder(pretrained, prompts, settings) / f"{rows.start:05d}.safetensors"
    batch = _read(path)
    if batch is None:
        batch = _decoded(pretrained, [prompts[i] for i in rows], settings, rows)
        _write(path, batch)
    return batch


def partial_steps(
    pretrained: Pretrained,
    prompts: Sequence[str],
    ids: Sequence[int],
    settings: DecodeSettings,
    batch: SavedBatch,
    critic: AnyCritic | None = None,
) -> Iterator[PartialStep]:
    """The batch after each of its steps, as it was while it was decoded (up to the rounding of the kept tokens)."""
    prompted = encode_prompts(pretrained, prompts, settings, ids)
    context = DecodeContext.of(pretrained.model, prompted, settings, critic=critic)
    count, k, num_tokens, _ = batch.tokens.shape
    device = prompted.text_ids.device
    picture, candidate = (torch.arange(count * k, device=device) // k, torch.arange(count * k, device=device) % k)
    tokens, order = batch.tokens.to(device).float().flatten(0, 1), batch.order.to(device)[picture]
    left = num_tokens
    for index, plan in enumerate(plan_steps(settings, num_tokens)):
        left -= plan.reveals
        mask = mask_from_order(order, left)
        state = DecodeState(tokens.masked_fill(mask.unsqueeze(-1), 0.0), mask, order, picture, candidate)
        state = encode_state(pretrained.model, state)
        yield PartialStep(index, plan.step + 1, 1 - left / num_tokens, context, state)


def _decoded(
    pretrained: Pretrained, prompts: Sequence[str], settings: DecodeSettings, ids: Sequence[int]
) -> SavedBatch:
    prompted = encode_prompts(pretrained, prompts, settings, ids)
    context = DecodeContext.of(pretrained.model, prompted, settings)
    state, seconds = begin_decode(context, prompted).state, []
    for plan in plan_steps(settings, state.mask.shape[1]):
        state = encode_state(pretrained.model, state)
        begun = time.process_time()
        state, _ = decode_step(context, state, plan)
        stepped = time.process_time()
        state = encode_state(pretrained.model, state)
        seconds.append((stepped - begun, time.process_time() - stepped))
    order = state.order.view(len(prompts), settings.candidates, -1)[:, 0]
    tokens = state.tokens.view(len(prompts), settings.candidates, *state.tokens.shape[1:])
    steps, encodes = torch.tensor(seconds, dtype=torch.float64).unbind(1)
    return SavedBatch(tokens.half().cpu(), order.cpu(), steps.contiguous(), encodes.contiguous())


def _read(path: Path) -> SavedBatch | None:
    """The batch at a path; None if there is none, or it is damaged, so that it is decoded again."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return SavedBatch(**{field.name: file.get_tensor(field.name) for field in fields(SavedBatch)})
    except (SafetensorError, OSError):
        return None


def _write(path: Path, batch: SavedBatch) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, save({field.name: getattr(batch, field.name).contiguous() for field in fields(SavedBatch)}))
