"""Finishes all K candidates of some prompts, with scores at every step, times, and the judge's opinions.

`kept` stores the result, `worth` computes with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dream.decoding.paint import paint_iter
from dream.decoding.previews import previews
from dream.decoding.record_writer import RecordWriter
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import StepRecord
from dream.evaluation.judging.worlds import judge_knowing
from workbench.trajectories.race import timed

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

ROWS = 64
"""Pictures painted at once over many prompts; few, for early results and quick cancelling."""
PICTURE_BYTES = 48_000_000
"""Finished pictures beyond this total size are not kept."""


class Opinion(NamedTuple):
    """The judge's opinion on a finished picture."""

    right: bool
    """Every attribute is as the prompt says; what is malformed counts as what it resembles most."""
    well_formed: bool
    """Right, and nothing is malformed."""
    wrong: tuple[str, ...] = ()
    """Attributes that are not as the prompt says, e.g. layout, ground, shape, colour."""

    def __str__(self) -> str:
        if self.well_formed:
            return "right"
        return f"wrong {' and '.join(self.wrong)}" if self.wrong else "malformed"


def opinions(pictures: NDArray[np.uint8], prompts: Sequence[str]) -> list[Opinion | None]:
    """The opinion of the judge that knows its prompt on each picture (R, 3, H, W); None if no judge knows it."""
    result: list[Opinion | None] = [None] * len(prompts)
    judges = [judge_knowing(prompt) for prompt in prompts]
    for judge in {id(judge): judge for judge in judges if judge is not None}.values():
        rows = [row for row, own in enumerate(judges) if own is judge]
        verdict = judge.verdict(torch.from_numpy(pictures[rows]), [prompts[row] for row in rows])
        right, well_formed = verdict.right.tolist(), verdict.well_formed.tolist()
        for place, row in enumerate(rows):
            wrong = tuple(name for name, flags in verdict.attributes.items() if not flags[place])
            result[row] = Opinion(right[place], well_formed[place], wrong)
    return result


def judged(prompt: str) -> bool:
    """Whether a judge knows this prompt."""
    return judge_knowing(prompt) is not None


@dataclass(frozen=True)
class Finished:
    """K finished candidates of P prompts with their scores at every step."""

    prompts: tuple[str, ...]
    settings: DecodeSettings
    """With selection `none`."""
    steps: tuple[int, ...]
    """(T) steps done when scored."""
    decoded: tuple[float, ...]
    """(T) share of the tokens decoded then."""
    scores: NDArray[np.float32]
    """(T, P, K) cosine of the partial picture and its prompt."""
    judged: NDArray[np.bool_]
    """(P,) whether the judge knows the prompt."""
    right: NDArray[np.bool_]
    """(P, K) every attribute is right; false where not judged."""
    well_formed: NDArray[np.bool_]
    """(P, K) right, and nothing malformed; false where not judged."""
    seconds: tuple[float, ...]
    """(T) that the steps took, of all K candidates of the first `timed_prompts`."""
    plain_seconds: tuple[float, ...]
    """(T) the same with one candidate each."""
    timed_prompts: int
    pictures: NDArray[np.uint8]
    """(Q, K, 3, H, W): finished pictures of the first Q prompts."""

    @property
    def candidates(self) -> int:
        """K."""
        return self.scores.shape[2]

    def flags(self, strict: bool) -> NDArray[np.bool_]:
        """(J, K): candidates of the judged prompts that are right; `strict` counts malformed ones as wrong."""
        return (self.well_formed if strict else self.right)[self.judged]


def finish_all(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: DecodeSettings,
    *,
    progress: Callable[[float, str], None] = lambda share, text: None,
    show: Callable[[Finished], None] = lambda finished: None,
    writer: RecordWriter | None = None,
) -> Finished:
    """Finishes all candidates of the prompts.

    `show` receives the result so far after every batch, `writer` the steps of the first prompt.
    """
    settings = replace(settings, selection="none")
    size = max(1, ROWS // settings.candidates)
    first = list(prompts[:size])
    progress(0.0, "timing one picture per prompt")
    plain = replace(settings, candidates=1)
    tries = [[s for _, s in timed(paint_iter(pretrained, first, plain))] for _ in range(2)]
    plain_seconds = [min(both) for both in zip(*tries, strict=True)]  # the first try warms up
    finished: Finished | None = None
    for start in range(0, len(prompts), size):
        part = prompts[start : start + size]

        def report(done: float, start: int = start, count: int = len(part)) -> None:
            progress((start + done * count) / len(prompts), f"{start} of {len(prompts)} prompts finished")

        keep = None if start else writer
        batch = _batch(pretrained, part, settings, start, plain_seconds, report, keep)
        finished = batch if finished is None else _joined(finished, batch)
        show(finished)
    assert finished is not None
    return finished


def _batch(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: DecodeSettings,
    start: int,
    plain_seconds: Sequence[float],
    report: Callable[[float], None],
    writer: RecordWriter | None,
) -> Finished:
    p, k = len(prompts), settings.candidates
    scores, steps, decoded, seconds = [], [], [], []
    records = paint_iter(pretrained, prompts, settings, picture_ids=range(start, start + p), scored="all")
    pictures = np.zeros(0, np.uint8)
    for record, took in timed(records):
        assert record.alignment is not None
        scores.append(record.alignment.view(p, k).float().cpu().numpy())  # rows are prompt-major
        steps.append(record.step + 1)
        decoded.append(record.decoded_fraction)
        seconds.append(took)
        if writer is not None or record.decoded_fraction == 1.0:
            pictures = previews(pretrained.image_tokenizer, pretrained.config.image, record).cpu().numpy()
        if writer is not None:
            writer.add(_of_first(record, k), torch.from_numpy(pictures[:k]))
        report(record.decoded_fraction)
    said = opinions(pictures, [prompt for prompt in prompts for _ in range(k)])
    flags = np.array([(o is not None, bool(o and o.right), bool(o and o.well_formed)) for o in said])
    known, right, well_formed = flags.T.reshape(3, p, k)
    return Finished(
        tuple(prompts),
        settings,
        tuple(steps),
        tuple(decoded),
        np.stack(scores),
        known[:, 0],
        right,
        well_formed,
        tuple(seconds),
        tuple(plain_seconds),
        p,
        pictures.reshape(p, k, *pictures.shape[1:]),
    )


def _of_first(record: StepRecord, count: int) -> StepRecord:
    """The record of the first `count` rows, which are the first prompt's."""
    assert record.alignment is not None
    return replace(
        record,
        picture=record.picture[:count],
        candidate=record.candidate[:count],
        order=record.order[:count],
        revealed=record.revealed[:count],
        tokens=record.tokens[:count],
        mask=record.mask[:count],
        alignment=record.alignment[:count],
        kept=record.kept[:count],
    )


def _joined(a: Finished, b: Finished) -> Finished:
    room = PICTURE_BYTES - a.pictures.nbytes
    more = b.pictures[: max(0, room // max(1, b.pictures[0].nbytes))]
    return replace(
        a,
        prompts=(*a.prompts, *b.prompts),
        scores=np.concatenate([a.scores, b.scores], axis=1),
        judged=np.concatenate([a.judged, b.judged]),
        right=np.concatenate([a.right, b.right]),
        well_formed=np.concatenate([a.well_formed, b.well_formed]),
        pictures=np.concatenate([a.pictures, more]),
    )
