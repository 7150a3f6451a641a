"""Five widgets with the figures and players of the app, each with its result as data.

    from workbench.widgets import masking_explorer
    explorer = masking_explorer()
    explorer                  # the last line of a cell displays it
    explorer.result           # the data behind it

Long work runs in the background: the widget shows its progress and a Cancel button, `wait()` waits for its end,
`cancel()` asks it to stop. Every control can also be set from a cell, through `controls`, a dictionary of ipywidgets.
Errors are shown as one sentence below the figures.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.config import MaskingConfig, ObjectiveConfig

if TYPE_CHECKING:
    from dream.decoding.record import DecodeRecord
    from dream.model.pretrained import Pretrained
    from workbench.runs.trainings import Training
    from workbench.store import StoredDecode
    from workbench.widgets.checkpoint import CheckpointBrowser
    from workbench.widgets.masking import MaskingExplorer
    from workbench.widgets.monitor import RunMonitor
    from workbench.widgets.player import DecodePlayback
    from workbench.widgets.race import TrajectoryRace
    from workbench.workspace import Workspace

__all__ = ["checkpoint_browser", "decode_player", "masking_explorer", "run_monitor", "trajectory_race"]


def masking_explorer(
    masking: MaskingConfig | None = None,
    objective: ObjectiveConfig | None = None,
    *,
    grid: int = 5,
    run: str | Path | None = None,
    theme: str = "light",
) -> "MaskingExplorer":
    """Explores the schedule of the mask ratio with sliders.

    It shows the density over the training, draws per objective, closed form and draws at a moment, and masks on a
    picture of `grid` x `grid` tokens. It starts with `masking` and `objective` (default: the paper's). `run` is the
    folder of a run or the name of a shipped model; its draws are overlaid. `result` has the settings, the schedule,
    the moment, and the `dream train` command. Raises InputError for settings that training rejects.
    """
    from workbench.widgets.masking import MaskingExplorer

    return MaskingExplorer(masking, objective, grid=grid, run=run, theme=theme)


def decode_player(
    record: "StoredDecode | DecodeRecord | str | Path", *, model: "Pretrained | str | None" = None, theme: str = "light"
) -> "DecodePlayback":
    """Plays one decode step by step, in the player of the app.

    `record` is a stored decode, a record, or the path of either. With the `model` that painted it (opened, or its
    name or path), previews of the rest, attention and denoising paths are computed in the background. `result` is
    the step shown, as data. Raises InputError for a damaged record, and for a model that did not paint it.
    """
    from workbench.widgets.player import DecodePlayback

    return DecodePlayback(record, model=model, theme=theme)


def trajectory_race(
    model: "Pretrained | str",
    prompt: str,
    *,
    candidates: int = 8,
    selection: str = "once",
    select_at: str | None = None,
    workspace: "Workspace | None" = None,
    theme: str = "light",
    **settings: Any,
) -> "TrajectoryRace":
    """Runs Semantically Aligned Decoding live, with K candidates of a prompt side by side.

    It shows their alignment by decoded share, the choice, and how the chosen one continues. `selection` is `once`,
    `every`, `halving` or `none`; `select_at` is the moment of the comparison, as in `dream decode --select-at`;
    `settings` are fields of `DecodeSettings` (seed, steps, guidance_scale). Painting starts immediately, and the race
    is stored in the workspace. `result` is the `Race`. After `finish_all()`, `worth` has the value of choosing at each
    step. Raises InputError for settings that cannot be combined.
    """
    from workbench.widgets.race import TrajectoryRace

    return TrajectoryRace(
        model,
        prompt,
        candidates=candidates,
        selection=selection,
        select_at=select_at,
        workspace=workspace,
        theme=theme,
        settings=settings,
    )


def run_monitor(run: "Training | str | Path", *, every: float = 1.0, theme: str = "light") -> "RunMonitor":
    """Follows a training live: state, step, time left, curves, sample sheets, and buttons to stop, resume or extend it.

    `run` is a training or the folder of a run, which need not exist yet. It is read every `every` seconds while it
    runs; `cancel()` stops following, not the training. `result` has its log as data frames.
    """
    from workbench.widgets.monitor import RunMonitor

    return RunMonitor(run, every=every, theme=theme)


def checkpoint_browser(path: str | Path, *, theme: str = "light") -> "CheckpointBrowser":
    """Inspects any checkpoint, ours or foreign.

    It shows the tree of parameters, norms, histograms, non-finite and dead values, averaged against raw weights, and
    position tables. `path` is a file, a checkpoint folder, a run, or the name of a shipped model. Values are read
    lazily, tensor by tensor. `result` is a data frame with one row per tensor; `difference(other)` returns one by
    layer. Raises InputError if `path` is not a checkpoint.
    """
    from workbench.widgets.checkpoint import CheckpointBrowser

    return CheckpointBrowser(path, theme=theme)
