"""Collects the previews of a decode into a sheet of finished pictures and candidates, or frames of a trajectory.

`pictures` draws them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL.Image import Image
from torch import Tensor

from dream.decoding import pictures
from dream.decoding.pictures import Picture, SheetPanel, SheetRow
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import StepRecord


@dataclass(frozen=True)
class Shown:
    """A candidate after one step, as a picture."""

    candidate: int
    picture: Picture
    alignment: float | None
    """Cosine with its prompt, if it was scored."""
    kept: bool
    """Whether it went on after the step."""


@dataclass
class GalleryStep:
    """All pictures after one step."""

    decoded_fraction: float
    shown: dict[int, list[Shown]] = field(default_factory=dict)
    """Candidates of each picture, by the picture's number."""


class Gallery:
    """Previews of a decode of `prompts`, one per picture; `keep_steps` keeps those of all steps, for `frames`."""

    def __init__(self, prompts: Sequence[str], settings: DecodeSettings, *, keep_steps: bool = False) -> None:
        self.prompts, self.settings, self.keep_steps = list(prompts), settings, keep_steps
        self.moments: dict[int, GalleryStep] = {}
        self.compared_at: int | None = None
        self.last = 0

    def wants(self, record: StepRecord) -> bool:
        """Whether this step will be shown; a VAE's previews take time, so others need not be made."""
        return self.keep_steps or self._first_comparison(record) or not bool(record.mask.any())

    def add(self, record: StepRecord, previews: Tensor, first: int = 0) -> None:
        """Adds a step of the pictures from `first` on, with the previews (R, 3, H, W) uint8 of its rows."""
        if self._first_comparison(record):
            self.compared_at = record.step
        moment = self.moments.setdefault(record.step, GalleryStep(record.decoded_fraction))
        scores = [None] * len(record.kept) if record.alignment is None else record.alignment.tolist()
        columns = (record.picture.tolist(), record.candidate.tolist(), previews.cpu().numpy(), scores)
        for picture, candidate, preview, score, kept in zip(*columns, record.kept.tolist(), strict=True):
            shown = Shown(candidate, preview, score, kept)
            moment.shown.setdefault(first + picture, []).append(shown)
        self.last = max(self.last, record.step)

    def finished(self) -> list[list[Shown]]:
        """The finished candidates of every picture."""
        shown = self.moments[self.last].shown
        return [[s for s in shown[picture] if s.kept] for picture in range(len(self.prompts))]

    def rows(self, columns: int | None = None) -> list[SheetRow]:
        """Rows of the sheet: one per picture if candidates are shown, else all pictures in `columns`."""
        finished = self.finished()
        if self.settings.candidates > 1 and self.settings.selection != "every":
            return [self._candidates_row(picture, shown) for picture, shown in enumerate(finished)]
        panels = [
            SheetPanel(shown[0].picture, _lines(prompt, shown[0].alignment))
            for prompt, shown in zip(self.prompts, finished, strict=True)
        ]
        return pictures.panel_rows(panels, columns or _columns(len(panels)))

    def frames(self) -> list[Image]:
        """One sheet per step (needs `keep_steps`) with every candidate; those that were dropped are marked."""
        latest: dict[tuple[int, int], Shown] = {}
        frames = []
        single = self.settings.candidates == 1 or self.settings.selection == "every"
        for step in sorted(self.moments):
            moment = self.moments[step]
            alive = set()
            for picture, shown in moment.shown.items():
                for one in (s for s in shown if s.kept or not single):
                    key = (picture, 0 if single else one.candidate)
                    latest[key] = one
                    alive.add(key)
            share = f"{moment.decoded_fraction:.0%} of the tokens decoded"
            heading = f"step {step + 1} of {self.settings.steps}, {share}"
            rows = self._frame_rows(latest, alive, single)
            frames.append(pictures.draw_sheet(rows, heading, progress=moment.decoded_fraction))
        return frames

    def _first_comparison(self, record: StepRecord) -> bool:
        return self.compared_at in (None, record.step) and not bool(record.kept.all())

    def _candidates_row(self, picture: int, finished: list[Shown]) -> SheetRow:
        """The candidates at the first comparison, the chosen one framed, then the finished picture."""
        prompt = self.prompts[picture]
        if self.compared_at is None:
            return SheetRow([SheetPanel(s.picture, _candidate(s)) for s in finished], prompt)
        chosen = {s.candidate for s in finished}
        panels = [
            SheetPanel(s.picture, _candidate(s), s.candidate in chosen)
            for s in self.moments[self.compared_at].shown[picture]
        ]
        panels += [SheetPanel(s.picture, _lines("finished", s.alignment)) for s in finished]
        return SheetRow(panels, prompt)

    def _frame_rows(
        self, latest: dict[tuple[int, int], Shown], alive: set[tuple[int, int]], single: bool
    ) -> list[SheetRow]:
        if single:
            panels = [SheetPanel(latest[picture, 0].picture, prompt) for picture, prompt in enumerate(self.prompts)]
            return pictures.panel_rows(panels, _columns(len(panels)))
        rows = []
        for picture, prompt in enumerate(self.prompts):
            panels = []
            for candidate in range(self.settings.candidates):
                shown, there = latest[picture, candidate], (picture, candidate) in alive
                alone = sum(key[0] == picture for key in alive) == 1
                panels.append(SheetPanel(shown.picture, _candidate(shown), there and alone, not there))
            rows.append(SheetRow(panels, prompt))
        return rows


def _candidate(shown: Shown) -> str:
    """Name of a candidate for readers, who count from 1; records count from 0."""
    return _lines(f"candidate {shown.candidate + 1}", shown.alignment)


def _lines(text: str, alignment: float | None) -> str:
    return text if alignment is None else f"{text}: {alignment:.3f}"


def _columns(count: int) -> int:
    """Number of columns that makes a grid a little wider than high."""
    return min(8, max(1, int(np.ceil(np.sqrt(count * 1.5)))))
