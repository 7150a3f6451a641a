"""Measures models in the background, as `dream evaluate` does, and shows them side by side as they come.

Answers that the results folder already holds are taken from there.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import torch

from dream.evaluation.events import TaskEnded
from dream.evaluation.results import Results
from dream.evaluation.session import EvaluationRequest, evaluate, results_of
from dream.evaluation.tasks import named_tasks
from workbench.evaluate.progress import EvaluationProgress, activity
from workbench.figures.side_by_side import plot_comparison
from workbench.widgets.figures import live, redraw
from workbench.widgets.instrument import Instrument
from workbench.work import Work


class Measuring(Instrument[list[Results]]):
    """Models side by side, one panel per measure, with 95 % intervals.

    `models` are runs, checkpoints or shipped models by the name of their column; `tasks` and `assignments` are
    those of `dream evaluate --tasks ... --set ...`; `data` is a source, `out` the folder of results. `result` holds
    one `Results` per model that has any answer. Raises InputError for unknown tasks; other bad input is shown below
    the figure and raised by `wait`.
    """

    def __init__(
        self,
        models: Mapping[str, str | Path],
        tasks: str,
        out: Path,
        *,
        data: str = "shapes",
        assignments: Sequence[str] = (),
        seed: int = 0,
        theme: str = "light",
    ) -> None:
        super().__init__()
        paths = {name: Path(path) for name, path in models.items()}
        self._request = EvaluationRequest(paths, named_tasks(tasks, [data]), [data], out, tuple(assignments), seed=seed)
        self.figure = live(plot_comparison([]), theme)
        self.body.children = [self.figure]
        self.begin(self._measure, show=self._show, done=self._show)

    def _measure(self, work: Work[list[Results]]) -> list[Results]:
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # small models: see workbench.opening
        ended: list[TaskEnded] = []
        progress = EvaluationProgress()
        try:
            with closing(evaluate(self._request)) as events:
                for event in events:
                    progress = progress.after(event)
                    if isinstance(event, TaskEnded):
                        ended.append(event)
                        work.show(results_of(self._request.models, ended))
                    work.tell(progress.share, activity(progress.at_work) if progress.at_work else "")
        finally:
            torch.set_num_threads(before)
        return results_of(self._request.models, ended)

    def _show(self, results: list[Results]) -> None:
        self.result = results
        redraw(self.figure, plot_comparison(results, columns=2))
