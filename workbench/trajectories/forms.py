"""Compares the forms of choosing at equal K: how many prompts come out right, and at what cost.

Every prompt is painted with each form from the same seed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dream.decoding.paint import paint_iter
from dream.decoding.previews import previews
from dream.decoding.selection import plan_steps
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import StepRecord
from dream.evaluation.statistics import Estimate, share
from workbench.trajectories.finished import ROWS, opinions
from workbench.trajectories.race import timed

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

COLUMNS = (
    "right (share of the prompts)",
    "low",
    "high",
    "cost (plain pictures, in steps)",
    "time a prompt (s)",
    "prompts",
)
"""Columns of the table; low and high are the ends of a 95 % interval over prompts."""


@dataclass(frozen=True)
class Form:
    """Result and cost of one form of choosing."""

    name: str
    settings: DecodeSettings
    right: NDArray[np.bool_]
    """(P,) the final picture is right and well-formed; false if the judge does not know the prompt."""
    seconds: float
    """Duration for all prompts."""
    picture_steps: float
    """Decoding steps of single candidates, relative to those of one plain picture."""

    @property
    def share(self) -> Estimate:
        """Share of the prompts that came out right."""
        return share(self.right, "prompts")


def compare_forms(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    forms: Mapping[str, DecodeSettings],
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> list[Form]:
    """Paints all prompts with each form; of several finished candidates (`none`) the best scored counts."""
    results = []
    for i, (name, settings) in enumerate(forms.items()):
        progress(i / len(forms), name)
        right, seconds = _painted(pretrained, prompts, settings)
        steps = cost_in_steps(settings, pretrained.config.image.num_tokens)
        results.append(Form(name, settings, right, seconds, steps))
    return results


def cost_in_steps(settings: DecodeSettings, num_tokens: int) -> float:
    """Decoding steps of single candidates, relative to those of a plain picture."""
    plan = plan_steps(settings, num_tokens)
    rows, alive = 0, 1
    for step in plan:
        rows += alive * step.draws
        alive = step.keep
    return rows / len(plan)


def forms_table(forms: Sequence[Form]) -> pd.DataFrame:
    """Table with one row per form and the columns COLUMNS."""
    rows = [
        [
            form.share.value,
            form.share.low,
            form.share.high,
            form.picture_steps,
            form.seconds / len(form.right),
            len(form.right),
        ]
        for form in forms
    ]
    names = pd.Index([form.name for form in forms], name="choice")
    return pd.DataFrame(rows, index=names, columns=list(COLUMNS))


def _painted(
    pretrained: "Pretrained", prompts: Sequence[str], settings: DecodeSettings
) -> tuple[NDArray[np.bool_], float]:
    right, seconds = [], 0.0
    size = max(1, ROWS // settings.candidates)
    for first in range(0, len(prompts), size):
        part = prompts[first : first + size]
        ids = range(first, first + len(part))
        last: StepRecord | None = None
        for last, took in timed(  # noqa: B007
            paint_iter(pretrained, part, settings, picture_ids=ids, scored="finished")
        ):
            seconds += took
        assert last is not None and last.alignment is not None
        k = len(last.alignment) // len(part)
        best = last.alignment.view(len(part), k).argmax(1).cpu().numpy() + k * np.arange(len(part))
        pictures = previews(pretrained.image_tokenizer, pretrained.config.image, last).cpu().numpy()[best]
        right += [bool(said and said.well_formed) for said in opinions(pictures, part)]
    return np.array(right, bool), seconds
