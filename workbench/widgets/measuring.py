"""Measures of models, taken in the background as `dream evaluate` takes them, beside each other as they come.

What a results folder answers already is taken from there. It measures nothing itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from dream.console import Console
from dream.evaluation.results import Results, read_folder
from dream.evaluation.session import EvaluationRequest, evaluate
from dream.evaluation.tasks import named_tasks
from workbench.figures.side_by_side import plot_comparison
from workbench.widgets.figures import live, redraw
from workbench.widgets.instrument import Instrument
from workbench.work import Work


class Measuring(Instrument[list[Results]]):
    """Models side by side, a panel a measure, with 95 % intervals.

    `models` are runs, checkpoints or shipped models by the name of their column; `tasks` and `assignments` as
    `dream evaluate --tasks ... --set ...` takes them; `out` is the folder of results. `result` is what was
    measured, a `Results` a model, as soon as there is any. Raises InputError for tasks that there are not;
    what else is wrong is said where it is measured, and by `wait`.
    """

    def __init__(
        self,
        models: Mapping[str, str | Path],
        tasks: str,
        out: Path,
        *,
        assignments: Sequence[str] = (),
        seed: int = 0,
        theme: str = "light",
    ) -> None:
        super().__init__()
        paths = {name: Path(path) for name, path in models.items()}
        self._request = EvaluationRequest(
            paths, named_tasks(tasks, ["shapes"]), ["shapes"], out, tuple(assignments), seed=seed, device="cpu"
        )
        self.figure = live(plot_comparison([]), theme)
        self.body.children = [self.figure]
        self.begin(self._measure, show=self._show, done=self._show)

    def _measure(self, work: Work[list[Results]]) -> list[Results]:
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # small models: see workbench.opening
        try:
            return evaluate(self._request, _Teller(work, self._request)).results
        finally:
            torch.set_num_threads(before)

    def _show(self, results: list[Results]) -> None:
        self.result = results
        redraw(self.figure, plot_comparison(results, columns=2))


class _Teller(Console):
    """Tells the work what the evaluation says; ends it once it was asked to stop."""

    def __init__(self, work: Work[list[Results]], request: EvaluationRequest) -> None:
        super().__init__(True)
        self.work, self.request, self.done = work, request, 0
        self.total = len(request.models) * len(request.tasks)

    def say(self, text: str) -> None:
        """A question was answered (or the data are broken)."""
        if ": cached" in text or ": took" in text or ": skipped" in text:
            self.done += 1
            self.work.show([r for r in read_folder(self.request.out) if r.name in self.request.models])
        self.work.tell(self.done / self.total, text)

    def progress(self, text: str, last: bool = False) -> None:
        """What is being measured."""
        self.work.tell(self.done / self.total, text)
