"""A snapshot of a run on disk for the run monitor, and its log as data frames."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.jobs.job import Job
from workbench.runs.curves import Curves
from workbench.runs.feed import RunFeed
from workbench.runs.folders import list_sheets, run_summary
from workbench.runs.trainings import Training, list_trainings
from workbench.workspace import Workspace


@dataclass(frozen=True)
class RunView:
    """A run at one moment; `training` is None if there is no run yet."""

    name: str
    training: Training | None
    version: int
    """Increases whenever the curves change."""
    curves: Curves
    sheets: tuple[Path, ...]

    @property
    def state(self) -> str:
        """State of the training; `absent` without one."""
        return self.training.state if self.training else "absent"

    @property
    def active(self) -> bool:
        """Whether the training is queued or running."""
        return self.training is not None and self.training.active

    @property
    def goes_on(self) -> bool:
        """Whether a later snapshot can differ."""
        return self.active or self.training is None

    @property
    def sentence(self) -> str:
        """Why the run failed, or what you can do."""
        return self.training.sentence if self.training else ""

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.training.run.step if self.training and self.training.run else 0

    @property
    def end(self) -> int:
        """Planned optimiser steps; 0 if not known yet."""
        return self.training.run.end if self.training and self.training.run else 0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left while it runs, else None."""
        run = self.training.run if self.training else None
        return run.seconds_left if run is not None and self.state == "running" else None

    @property
    def job(self) -> Job | None:
        """The last job of the training."""
        return self.training.job if self.training else None

    @property
    def command(self) -> str:
        """The command of the job; empty for a run started elsewhere."""
        return self.job.command if self.job else ""


def training_of(workspace: Workspace, run: Training | str | Path) -> Path:
    """Returns the folder of a training, of a run by its name, or the given folder, which need not exist yet.

    Raises InputError for a path outside the workspace if that is not allowed.
    """
    if isinstance(run, Training):
        return run.path
    named = {each.name: each.path for each in list_trainings(workspace)}
    return named.get(str(run)) or workspace.path(str(run))


def look_at_run(workspace: Workspace, path: Path, feed: RunFeed) -> RunView:
    """Returns the current state of the run in `path`."""
    training = next((each for each in list_trainings(workspace) if each.path == path), None)
    if training is None and (path / "config.json").exists():
        run = run_summary(path)  # a run outside the workspace
        state = "damaged" if run.problem else run.status
        training = Training(path.name, path, state, run.problem or run.message, run)
    version, curves = feed.curves()
    return RunView(training.name if training else path.name, training, version, curves, tuple(list_sheets(path)))


def train_frame(curves: Curves) -> pd.DataFrame:
    """Returns one row per log line: step, minutes, its numbers, and the generative loss by band of the mask ratio."""
    columns = {"step": curves.steps.astype(np.int64), "minutes": curves.minutes, **curves.train}
    return pd.DataFrame(columns | {f"generative at {band}": v for band, v in curves.by_ratio.items()})


def validation_frame(curves: Curves) -> pd.DataFrame:
    """Returns one row per validation: step, loss, R@1, and both losses by mask ratio."""
    columns = {"step": curves.checked.astype(np.int64), **curves.validation}
    columns |= {f"generative at {ratio}": v for ratio, v in curves.generative_at.items()}
    return pd.DataFrame(columns | {f"contrastive at {ratio}": v for ratio, v in curves.contrastive_at.items()})
