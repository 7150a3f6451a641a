"""The decoder's output for a step: at all places, or (a departure) at those that changed since an earlier step.

With `reuse` n, every n-th step computes all places and keeps the keys and values of self-attention. The steps in
between compute buffer tokens, tokens revealed since, and the places to reveal; all others serve as keys as they were
then. It is the token cache of LazyMAR (arXiv 2503.12450) with a fixed choice of tokens; candidates share it.
Rows go through the decoder in slices (`row_slices`), so that candidates cost time and hardly any memory.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dream.decoding.context import DecodeContext
from dream.decoding.state import DecoderMemory, DecodeState, row_slices

if TYPE_CHECKING:
    from dream.model.blocks import KeysValues
    from dream.model.decoder import CrossCache

Run = Callable[[slice, Tensor, "CrossCache"], Tensor]
"""(part of the halves * R rows, their rows in the state, their text) -> condition (rows * M, D)."""


def decoder_conditions(context: DecodeContext, state: DecodeState, places: Tensor, *, guided: bool) -> Tensor:
    """(1 or 2, R, M, D): decoder output at `places` (R, N), conditional and, guided, unconditional."""
    encoded, mask = _encoded(state), state.mask

    def run(_: slice, own: Tensor, text: "CrossCache") -> Tensor:
        return context.model.decode(encoded[own], mask[own], text, wanted=places[own])

    return _in_slices(context, state, guided, mask.shape[1], run)


def step_conditions(
    context: DecodeContext, state: DecodeState, places: Tensor, *, guided: bool
) -> tuple[Tensor, DecodeState]:
    """As `decoder_conditions`, but with the settings' `reuse`; returns the state with what the next step may reuse."""
    every, memory = context.settings.reuse, state.memory
    if every == 1:
        return decoder_conditions(context, state, places, guided=guided), state
    if memory is None or memory.steps >= every or memory.guided != guided:
        condition, memory = _remembered(context, state, places, guided)
    else:
        condition, memory = _reused(context, state, places, memory), memory._replace(steps=memory.steps + 1)
    return condition, replace(state, memory=memory)


def _remembered(
    context: DecodeContext, state: DecodeState, places: Tensor, guided: bool
) -> tuple[Tensor, DecoderMemory]:
    """The condition of all places computed, and the memory of it."""
    encoded, mask, kept = _encoded(state), state.mask, []  # type: ignore[var-annotated]

    def run(_: slice, own: Tensor, text: "CrossCache") -> Tensor:
        seen: list[KeysValues] = []
        condition = context.model.decode(encoded[own], mask[own], text, wanted=places[own], seen=seen)
        kept.append(seen)
        return condition

    condition = _in_slices(context, state, guided, mask.shape[1], run)
    joined = [tuple(torch.cat(each) for each in zip(*block, strict=True)) for block in zip(*kept, strict=True)]
    rows = torch.arange(len(mask), device=mask.device)
    return condition, DecoderMemory(joined, mask, rows, 1)  # type: ignore[arg-type]


def _reused(context: DecodeContext, state: DecodeState, places: Tensor, memory: DecoderMemory) -> Tensor:
    """The condition with only the changed places computed: those revealed since the memory, and `places`."""
    encoded, mask, count = _encoded(state), state.mask, len(memory.mask)
    changed = memory.mask[memory.row] & (~mask | places)  # (R, N)
    source = torch.cat([memory.row + half * count for half in range(2 if memory.guided else 1)])
    length = context.model.config.encoder.buffer_tokens + int(changed[0].sum())

    def run(part: slice, own: Tensor, text: "CrossCache") -> Tensor:
        known = [(key[source[part]], value[source[part]]) for key, value in memory.keys_values]
        return context.model.decode_again(encoded[own], mask[own], text, known, changed[own], places[own])

    return _in_slices(context, state, memory.guided, length, run)


def _in_slices(context: DecodeContext, state: DecodeState, guided: bool, length: int, run: Run) -> Tensor:
    """(1 or 2, R, M, D): what `run` returns for slices of the rows, `length` tokens each."""
    halves, rows = 2 if guided else 1, len(state.mask)
    text = torch.cat([state.picture + half * len(context.picture_ids) for half in range(halves)])  # (halves * R,)
    row = torch.arange(rows, device=text.device).repeat(halves)
    parts = [run(part, row[part], context.text.of_rows(text[part])) for part in row_slices(state, length, halves)]
    condition = torch.cat(parts) if len(parts) > 1 else parts[0]
    return condition.view(halves, rows, -1, condition.shape[-1])


def _encoded(state: DecodeState) -> Tensor:
    assert state.encoded is not None
    return state.encoded
