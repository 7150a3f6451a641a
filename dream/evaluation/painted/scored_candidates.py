"""Everything that a study of choosing measures on: all scores of all partial pictures, how they ended, and CPU seconds.

The candidates come from `saved_decodes`; nothing here chooses.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.decoding.critic import AnyCritic, critic_path, load_critic
from dream.decoding.scores import SCORES
from dream.decoding.settings import DecodeSettings
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.painted.saved_decodes import PartialStep, SavedBatch, partial_steps, saved_batch, saved_rows
from dream.evaluation.pieces import in_pieces
from dream.evaluation.progress import Progress, quiet
from dream.model.pretrained import Pretrained

Array = NDArray[np.float64]
WITHOUT_PASSES = ("cosine", "critic")
"""Scores that read the encoder's output alone: they are measured after every step, the others at marked shares."""


@dataclass
class Seconds:
    """CPU seconds per candidate, (T,) each: NaN where a score was not measured."""

    step: Array
    """A decoder pass and the head."""
    encode: Array
    """The encoder pass of what the step left, which also serves the next step."""
    scores: dict[str, Array]
    """The score itself, beside that encoder pass."""

    @property
    def plain(self) -> float:
        """A whole decode of one candidate; what the last step leaves is not encoded."""
        return float(self.step.sum() + self.encode[:-1].sum())

    def of_choice(self, score: str, size: int, index: int) -> float:
        """Choosing among `size` after the step at `index` by a score, a sum of scores included."""
        own = sum(self.scores[name][index] for name in score.split("+"))
        if index == len(self.step) - 1:
            return size * (self.plain + float(self.encode[-1] + own))
        before = self.step[: index + 1].sum() + self.encode[: index + 1].sum() + own
        after = self.step[index + 1 :].sum() + self.encode[index + 1 : -1].sum()
        return float(size * before + after)


@dataclass
class ScoredCandidates:
    """K finished candidates of P prompts with their scores after each of T steps."""

    steps: tuple[int, ...]
    """(T) steps done."""
    decoded: tuple[float, ...]
    """(T) share of the tokens decoded."""
    scores: dict[str, Array]
    """(T, P, K) by name; NaN where a score was not measured."""
    outcomes: dict[str, NDArray[np.bool_]]
    """(P, K) by what was asked of the finished picture: the judge's attributes, and 'everything'."""
    grade: Array
    """(P, K): the judge's log-probability of the finished picture."""
    seconds: Seconds
    batches: list[float] = field(default_factory=list)
    """CPU seconds of a plain decode, batch by batch."""

    def first_with(self, share: float) -> int:
        """Index of the first step with at least this share of the tokens decoded."""
        return next(i for i, decoded in enumerate(self.decoded) if decoded >= share - 1e-9)

    def score(self, name: str) -> Array:
        """(T, P, K) of a score, or of a sum `a+b`: each in standard deviations among a prompt's candidates."""
        parts = [self.scores[part] for part in name.split("+")]
        return parts[0] if len(parts) == 1 else np.sum([standardised(part) for part in parts], 0)


def standardised(scores: Array) -> Array:
    """(..., K): in standard deviations from the mean of the row; 0 where all are equal."""
    centred = scores - scores.mean(-1, keepdims=True)
    return centred / np.maximum(scores.std(-1, keepdims=True), 1e-12)


def scored_candidates(
    pretrained: Pretrained,
    judge: PictureJudge,
    prompts: Sequence[str],
    settings: DecodeSettings,
    names: Sequence[str],
    shares: Sequence[float],
    progress: Progress = quiet,
) -> ScoredCandidates:
    """Decodes (or reads) the candidates of the prompts and scores them by all `names`.

    Scores that need passes of their own are measured at the first steps that reach one of `shares`, and at the end. A
    critic that the model has not is left out.
    """
    path = critic_path(pretrained) if "critic" in names else None
    critic = None if path is None else load_critic(path)
    measured = [name for name in names if name != "critic" or critic is not None]

    def scored(rows: range) -> dict[str, Tensor]:
        batch = saved_batch(pretrained, prompts, settings, rows, progress)
        own = [prompts[i] for i in rows]
        return _tensors(_scored(pretrained, judge, own, rows, settings, batch, (measured, shares, critic)))

    return _joined([_from_tensors(piece) for piece in in_pieces(saved_rows(prompts, settings), scored)])


def _tensors(found: ScoredCandidates) -> dict[str, Tensor]:
    """All that was found of a batch, as a piece of the work (`pieces.py`)."""
    arrays: dict[str, NDArray[Any]] = {"grade": found.grade, "step": found.seconds.step, "encode": found.seconds.encode}
    groups: dict[str, Mapping[str, NDArray[Any]]] = {"scores": found.scores, "outcomes": found.outcomes}
    for group, named in {**groups, "seconds": found.seconds.scores}.items():
        arrays |= {f"{group}/{name}": array for name, array in named.items()}
    steps, decoded = torch.tensor(found.steps), torch.tensor(found.decoded, dtype=torch.float64)
    return {"steps": steps, "decoded": decoded, **{name: torch.from_numpy(array) for name, array in arrays.items()}}


def _from_tensors(piece: Mapping[str, Tensor]) -> ScoredCandidates:
    def group(name: str) -> dict[str, NDArray[Any]]:
        return {key.partition("/")[2]: each.numpy() for key, each in piece.items() if key.startswith(f"{name}/")}

    seconds = Seconds(piece["step"].numpy(), piece["encode"].numpy(), group("seconds"))
    steps, decoded = tuple(piece["steps"].tolist()), tuple(piece["decoded"].tolist())
    grade = piece["grade"].numpy()
    return ScoredCandidates(steps, decoded, group("scores"), group("outcomes"), grade, seconds, [seconds.plain])


def _scored(
    pretrained: Pretrained,
    judge: PictureJudge,
    prompts: Sequence[str],
    ids: Sequence[int],
    settings: DecodeSettings,
    batch: SavedBatch,
    wanted: tuple[Sequence[str], Sequence[float], AnyCritic | None],
) -> ScoredCandidates:
    names, shares, critic = wanted
    count, k = batch.tokens.shape[:2]
    steps, decoded = [], []
    values: dict[str, list[Array]] = {name: [] for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    reached = 0.0
    last: PartialStep | None = None
    for step in partial_steps(pretrained, prompts, ids, settings, batch, critic):
        marked = step.decoded >= 1 - 1e-9 or any(reached < share - 1e-9 <= step.decoded for share in shares)
        for name in names:
            begun = time.process_time()
            if name in WITHOUT_PASSES or marked:
                scores = SCORES[name](step.context, step.state).view(count, k).double().cpu().numpy()
                spent = (time.process_time() - begun) / (count * k)
            else:
                scores, spent = np.full((count, k), np.nan), np.nan
            values[name].append(scores)
            taken[name].append(spent)
        steps.append(step.step)
        decoded.append(step.decoded)
        reached, last = step.decoded, step
    assert last is not None
    captions = [prompt for prompt in prompts for _ in range(k)]
    pictures = pretrained.image_tokenizer.to_pixels(last.state.tokens).cpu()
    verdict = judge.verdict(pictures, captions)
    flags = {**verdict.attributes, "everything": verdict.right, "everything, nothing malformed": verdict.well_formed}
    seconds = Seconds(
        batch.step_seconds.numpy() / (count * k),
        batch.encode_seconds.numpy() / (count * k),
        {name: np.array(each) for name, each in taken.items()},
    )
    return ScoredCandidates(
        tuple(steps),
        tuple(decoded),
        {name: np.stack(each) for name, each in values.items()},
        {name: flag.view(count, k).numpy() for name, flag in flags.items()},
        judge.grade(pictures, captions).view(count, k).double().numpy(),
        seconds,
        [seconds.plain],
    )


def _joined(parts: Sequence[ScoredCandidates]) -> ScoredCandidates:
    """All prompts of the parts; seconds are means over the prompts, the first batch's left out where there are more.

    The first pass of a process sets up memory and caches, so it is slower than what it stands for.
    """
    first = parts[0]
    timed = parts[1:] or parts
    weights = np.array([len(part.grade) for part in timed], float)

    def mean(values: Sequence[Array]) -> Array:
        return np.average(np.stack(values), axis=0, weights=weights)

    def joined(of: Sequence[Mapping[str, NDArray[Any]]], axis: int) -> dict[str, NDArray[Any]]:
        return {name: np.concatenate([each[name] for each in of], axis) for name in of[0]}

    seconds = Seconds(
        mean([part.seconds.step for part in timed]),
        mean([part.seconds.encode for part in timed]),
        {name: mean([part.seconds.scores[name] for part in timed]) for name in first.scores},
    )
    return ScoredCandidates(
        first.steps,
        first.decoded,
        joined([part.scores for part in parts], 1),
        joined([part.outcomes for part in parts], 0),
        np.concatenate([part.grade for part in parts]),
        seconds,
        [part.seconds.plain for part in timed],
    )
