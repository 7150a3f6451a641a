"""The workbench in a notebook: five widgets that show the app's figures and players, each with its result as
data.

    from workbench.widgets import masking_explorer
    explorer = masking_explorer()
    explorer                  # the last line of a cell shows it
    explorer.result           # what it shows, as data

Long work runs beside the kernel's thread: the widget shows its progress and a button that cancels it,
`wait()` waits for its end, `cancel()` asks it to stop. What a reader can click can be set from a cell too,
through `controls`, a dictionary of ipywidgets. What goes wrong is one sentence below the figures.
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
    """The mask ratio's schedule as an instrument: sliders, the density over the training, what the draws
    train, closed form against draws at a moment, and masks on a picture of `grid` x `grid` tokens.

    It begins with `masking` and `objective` (default: the paper's). `run` is a run's folder or a shipped
    model's name, whose drawn ratios are laid over. `result` has the settings, the schedule, the moment, and
    the `dream train` line that trains with them. Raises InputError for settings that training refuses.
    """
    from workbench.widgets.masking import MaskingExplorer

    return MaskingExplorer(masking, objective, grid=grid, run=run, theme=theme)


def decode_player(
    record: "StoredDecode | DecodeRecord | str | Path", *, model: "Pretrained | str | None" = None, theme: str = "light"
) -> "DecodePlayback":
    """One decode, a step at a time, in the player that the app and the offline HTML have.

    `record` is a stored decode, a record, or the path of either. With the `model` that painted it (opened, or
    its name or path) previews of the rest, attention and denoising paths are computed in the background.
    `result` is the step that the reader rests at, as data. Raises InputError for a damaged record, and for
    another model than painted it.
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
    """Semantically Aligned Decoding, live: K candidates of a prompt side by side, their alignment scores over
    the decoded share, the moment of choice, and the winner going on.

    `selection` is `once`, `every`, `halving` or `none`; `select_at` says where candidates are compared, as
    `dream decode --select-at` reads it; `settings` are fields of `DecodeSettings` (seed, steps, guidance).
    It starts at once and is stored in the workspace as the app's are. `result` is the `Race`;
    `finish_all()` finishes every candidate and then `worth` says what choosing at each step is worth. Raises
    InputError for settings that do not go together.
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
    """A training, followed live: state, step, time left, curves, ratios drawn, shares that counted, sample
    sheets, and buttons to stop it, resume it or go on for longer.

    `run` is a training or a run's folder, which may not have begun yet. It is read every `every` seconds
    while it runs; `cancel()` stops following, never the training. `result` has its log as data frames.
    """
    from workbench.widgets.monitor import RunMonitor

    return RunMonitor(run, every=every, theme=theme)


def checkpoint_browser(path: str | Path, *, theme: str = "light") -> "CheckpointBrowser":
    """Any checkpoint, ours or foreign: the tree of its parameters, norms, histograms, non-finite and dead
    values, averaged weights beside raw ones, and position tables.

    `path` is what the Checkpoints page takes: a file, a checkpoint's folder, a run, a shipped model's name.
    Values are read lazily, tensor by tensor. `result` is a data frame with a row a tensor;
    `difference(other)` gives one by layer. Raises InputError for what is no checkpoint.
    """
    from workbench.widgets.checkpoint import CheckpointBrowser

    return CheckpointBrowser(path, theme=theme)
