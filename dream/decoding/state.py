"""State of a decode at one moment: its rows, the record of a step, and where a decode begins.

K candidates of B prompts are rows of one batch, prompt-major (row b * k + c). `encode_state` alone takes a model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dream.model.blocks import KeysValues
    from dream.model.dream import Dream

SLICE_TOKENS, ON_DEVICES = 640, 16384
"""Image tokens that go through encoder or decoder at once, on a CPU and elsewhere: more are hardly faster."""


@dataclass(frozen=True)
class Prompted:
    """B prompts as the model reads them, and the ids of the pictures they become."""

    text_ids: Tensor
    """(B, T) long, for the text tower, which scores."""
    conditioning: Tensor
    """(B, ..), for the text aligner."""
    unconditional: Tensor | None = None
    """(B or 1, ..), the conditioning of no text; None without guidance."""
    picture_ids: Sequence[int] | None = None
    """(B) ids that orders and noise are drawn for; None stands for 0 .. B-1."""

    def __len__(self) -> int:
        return len(self.text_ids)

    @property
    def ids(self) -> Sequence[int]:
        """The ids of the B pictures."""
        return range(len(self)) if self.picture_ids is None else self.picture_ids


class DecoderMemory(NamedTuple):
    """The decoder's keys and values as of an earlier step, for C rows that the rows of a state come from."""

    keys_values: "list[KeysValues]"
    """(C or, guided, 2 C, H, R + N, d) per block, conditional rows first."""
    mask: Tensor
    """(C, N) bool, True = hidden in that step."""
    row: Tensor
    """(R,) long: which of the C rows each row of the state comes from."""
    steps: int
    """Steps since then, that one included."""

    @property
    def guided(self) -> bool:
        """Whether it has unconditional rows."""
        return len(self.keys_values[0][0]) > len(self.mask)


@dataclass(frozen=True)
class DecodeState:
    """R rows during a decode; all hide equally many tokens."""

    tokens: Tensor
    """(R, N, D_tok); zero where hidden."""
    mask: Tensor
    """(R, N) bool, True = hidden."""
    order: Tensor
    """(R, N) long; tokens are revealed from its end."""
    picture: Tensor
    """(R,) long, number of the row's picture in the batch."""
    candidate: Tensor
    """(R,) long, number of the row's candidate among those of its picture."""
    encoded: Tensor | None = None
    """Encoder output for this state, if computed: it scores the row and serves its next step."""
    memory: DecoderMemory | None = None
    """What the next step may reuse of an earlier one; candidates of a picture can share it."""

    def take(self, rows: Tensor) -> "DecodeState":
        """Copy of the given `rows` (long) only."""
        encoded = None if self.encoded is None else self.encoded[rows]
        memory = None if self.memory is None else self.memory._replace(row=self.memory.row[rows])
        picture, candidate = self.picture[rows], self.candidate[rows]
        return DecodeState(self.tokens[rows], self.mask[rows], self.order[rows], picture, candidate, encoded, memory)


class Given(NamedTuple):
    """Tokens of a given picture to keep: tokens (B or 1, N, D_tok) and the kept positions (N,) bool."""

    tokens: Tensor
    kept: Tensor


class Midway(NamedTuple):
    """A decode to continue after some of its steps."""

    state: DecodeState
    steps: int
    """Steps already done."""
    hidden: int
    """Tokens per row that were hidden before the first step: they determine how many each step reveals."""


Beginning = Given | Midway | None
"""Where a decode begins: with every token hidden (None), with given tokens, or midway through another decode."""


@dataclass(frozen=True)
class StepRecord:
    """Result of one step, as it stands before candidates are dropped."""

    step: int
    """Index of the step (0 = first) of `num_steps`; steps that reveal nothing leave no record."""
    num_steps: int
    """S."""
    decoded_fraction: float
    """Share of the picture's tokens that is visible."""
    guidance: float
    """Guidance scale of the step."""
    picture: Tensor
    """(R,) long, number of the row's picture in the batch."""
    candidate: Tensor
    """(R,) long, number of the row's candidate among those of its picture."""
    order: Tensor
    """(R, N) long; tokens are revealed from its end."""
    revealed: Tensor
    """(R, M) long, the positions revealed in this step, in rising order."""
    tokens: Tensor
    """(R, N, D_tok); zero where hidden."""
    mask: Tensor
    """(R, N) bool, True = hidden."""
    condition: Tensor
    """(R * M, D) or, guided, (2 R * M, D): rows given to the head, conditional first, each row-major."""
    alignment: Tensor | None
    """(R,) cosine of picture and caption in the joint space, if the step was scored."""
    kept: Tensor
    """(R,) bool, the candidates that go on."""

    @property
    def num_pictures(self) -> int:
        """B, pictures in the batch."""
        return int(self.picture.max()) + 1

    @property
    def sampled(self) -> Tensor:
        """(R, M, D_tok): the tokens revealed in this step."""
        return self.tokens.gather(1, self.revealed.unsqueeze(-1).expand(-1, -1, self.tokens.shape[-1]))


def start_state(orders: Tensor, token_dim: int, given: Given | None = None, candidates: int = 1) -> DecodeState:
    """One row per order (R, N), all hidden but the `given` tokens (1 or R rows), moved to the revealed end.

    Rows are prompt-major, `candidates` of each picture.
    """
    batch, num_tokens = orders.shape
    rows = torch.arange(batch, device=orders.device)
    tokens = torch.zeros(batch, num_tokens, token_dim, device=orders.device)
    mask = torch.ones(batch, num_tokens, dtype=torch.bool, device=orders.device)
    if given is not None:
        kept = given.kept.to(orders.device)
        # a stable sort: hidden positions stay first, and both groups keep their random order
        orders = orders.gather(1, kept[orders].long().argsort(dim=1, stable=True))
        tokens[:, kept] = given.tokens.to(tokens)[:, kept]
        mask[:, kept] = False
    return DecodeState(tokens, mask, orders, rows // candidates, rows % candidates)


@torch.no_grad()
def encode_state(model: "Dream", state: DecodeState) -> DecodeState:
    """The state with its encoder output, computed unless it is there, in slices of its rows."""
    if state.encoded is not None:
        return state
    length = model.config.encoder.buffer_tokens + int((~state.mask[0]).sum())
    parts = [model.encode(state.tokens[own], state.mask[own]) for own in row_slices(state, length)]
    return replace(state, encoded=torch.cat(parts) if len(parts) > 1 else parts[0])


def row_slices(state: DecodeState, length: int, halves: int = 1) -> Iterator[slice]:
    """Slices of the halves * R rows, of `length` tokens each, that are computed at once.

    They have as many rows as a plain guided decode of the same prompts, or more while those are at most SLICE_TOKENS:
    memory then does not grow with the candidates. If there are several slices, each is of one half.
    """
    rows, most_tokens = len(state.mask), SLICE_TOKENS if state.mask.device.type == "cpu" else ON_DEVICES
    most = max(2 * int(state.picture.max() + 1), most_tokens // max(1, length))
    if halves * rows <= most:
        yield slice(0, halves * rows)
        return
    for half in range(halves):
        for first in range(0, rows, most):
            yield slice(half * rows + first, half * rows + min(first + most, rows))
