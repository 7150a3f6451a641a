"""The mask ratios that a run drew, read from its log, as plain numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dream.config import DreamConfig
from dream.errors import InputError
from dream.training import run_log
from workbench.masking.study import Moment, Shares, counted_shares


@dataclass(frozen=True)
class DrawnRatios:
    """Mask ratios from the log of a run, in training order."""

    name: str
    progress: np.ndarray
    """(M,) training progress, 0 to 1."""
    ratios: np.ndarray
    """(M,) mask ratio of one group."""
    config: DreamConfig


def read_drawn(folder: Path, name: str = "") -> DrawnRatios:
    """Returns the ratios logged by the run (or exported model) in `folder`; raises InputError if there are none."""
    if run_log.holds_run(folder):
        tree = run_log.read_record(folder)["config"]
    else:
        from dream.training.checkpoint import read_state

        tree = read_state(folder).config.to_dict()
    rows = [
        (row["progress"], row["mask_ratios"])
        for row in run_log.read_metrics(folder, "train")
        if isinstance(row.get("progress"), (int, float)) and row.get("mask_ratios")
    ]
    if not rows:
        raise InputError(f"{name or folder.name} has logged no mask ratios yet; the first follow after a few steps")
    progress = np.concatenate([np.full(len(ratios), at, dtype=float) for at, ratios in rows])
    ratios = np.concatenate([np.array(ratios, dtype=float) for _, ratios in rows])
    return DrawnRatios(name or folder.name, progress, ratios, DreamConfig.from_dict(tree))


def drawn_windows(drawn: DrawnRatios, count: int = 20) -> list[tuple[float, float, Shares, int]]:
    """Returns (middle, mean ratio, shares, draws) for each of `count` equal windows of the training with draws."""
    window = np.minimum((drawn.progress * count).astype(int), count - 1)
    windows = []
    for number in np.unique(window).tolist():
        ratios = drawn.ratios[window == number]
        shares = counted_shares(ratios, drawn.config.objective, drawn.config.image.num_tokens)
        windows.append(((number + 0.5) / count, float(ratios.mean()), shares, len(ratios)))
    return windows


def near(drawn: DrawnRatios, progress: float, within: float = 0.025) -> np.ndarray:
    """Returns the ratios that the run drew within `within` of a moment, both as training progress."""
    return drawn.ratios[np.abs(drawn.progress - progress) <= within]


def drawn_table(moment: Moment, drawn: DrawnRatios | None = None) -> dict[str, list[str]]:
    """Returns a table by columns, as text: mean and shares at a moment in closed form, of draws, and of a run."""
    columns = {
        "": ["mean ratio", *(f"train {name}" for name in Shares._fields[:3])],
        "closed form": _column(moment.mean, moment.shares),
        f"{len(moment.ratios):,} draws": _column(float(moment.ratios.mean()), moment.counted),
    }
    if drawn is not None:
        ratios = near(drawn, moment.progress)
        shares = counted_shares(ratios, drawn.config.objective, drawn.config.image.num_tokens)
        mean = float(ratios.mean()) if len(ratios) else float("nan")
        columns[f"{len(ratios):,} of {drawn.name}"] = _column(mean, shares)
    return columns


def _column(mean: float, shares: Shares) -> list[str]:
    return [_number(mean, ".3f"), *(_number(share, ".1%") for share in shares[:3])]


def _number(value: float, form: str) -> str:
    return "-" if value != value else format(value, form)
