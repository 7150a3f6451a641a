"""One look at a run on disk, as the monitor shows it. It draws nothing and changes nothing."""

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
    """A run at one moment; without `training` there is none yet."""

    name: str
    training: Training | None
    version: int
    """Grows with what is new in the curves."""
    curves: Curves
    sheets: tuple[Path, ...]

    @property
    def state(self) -> str:
        """That of the training; `absent` without one."""
        return self.training.state if self.training else "absent"

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.training is not None and self.training.active

    @property
    def goes_on(self) -> bool:
        """Whether another look can show something new."""
        return self.active or self.training is None

    @property
    def sentence(self) -> str:
        """Why it failed, or what can be done."""
        return self.training.sentence if self.training else ""

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.training.run.step if self.training and self.training.run else 0

    @property
    def end(self) -> int:
        """Those planned; 0 while that is not known."""
        return self.training.run.end if self.training and self.training.run else 0

    @property
    def seconds_left(self) -> float | None:
        """Estimate, while it runs."""
        run = self.training.run if self.training else None
        return run.seconds_left if run is not None and self.state == "running" else None

    @property
    def job(self) -> Job | None:
        """The job that last worked on it."""
        return self.training.job if self.training else None

    @property
    def command(self) -> str:
        """Its command line; empty for a run that was started elsewhere."""
        return self.job.command if self.job else ""


def training_of(workspace: Workspace, run: Training | str | Path) -> Path:
    """The folder of a training, of a run by its name, or the folder named; it need not be there yet.

    Raises InputError for a path outside of the workspace while that is not allowed.
    """
    if isinstance(run, Training):
        return run.path
    named = {each.name: each.path for each in list_trainings(workspace)}
    return named.get(str(run)) or workspace.path(str(run))


def look_at_run(workspace: Workspace, path: Path, feed: RunFeed) -> RunView:
    """How the run in `path` stands now."""
    training = next((each for each in list_trainings(workspace) if each.path == path), None)
    if training is None and (path / "config.json").exists():
        run = run_summary(path)  # one that lies elsewhere than the workspace's runs
        state = "damaged" if run.problem else run.status
        training = Training(path.name, path, state, run.problem or run.message, run)
    version, curves = feed.curves()
    return RunView(training.name if training else path.name, training, version, curves, tuple(list_sheets(path)))


def train_frame(curves: Curves) -> pd.DataFrame:
    """A row a training row: step, minutes, its numbers, and the generative loss by band of the mask ratio."""
    columns = {"step": curves.steps.astype(np.int64), "minutes": curves.minutes, **curves.train}
    return pd.DataFrame(columns | {f"generative at {band}": v for band, v in curves.by_ratio.items()})


def validation_frame(curves: Curves) -> pd.DataFrame:
    """A row a validation: step, loss, R@1, and both losses by mask ratio."""
    columns = {"step": curves.checked.astype(np.int64), **curves.validation}
    columns |= {f"generative at {ratio}": v for ratio, v in curves.generative_at.items()}
    return pd.DataFrame(columns | {f"contrastive at {ratio}": v for ratio, v in curves.contrastive_at.items()})
