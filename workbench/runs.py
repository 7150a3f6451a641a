"""Which runs a folder holds, as plain data. It opens no weights and knows nothing of how a run came about."""

from dataclasses import dataclass
from pathlib import Path

from dream.training import run_log


@dataclass(frozen=True)
class RunSummary:
    """What can be said of a run at a glance."""

    path: Path
    """The run's folder."""
    status: str
    """`starting`, `running`, `finished`, `stopped`, `failed`; `killed` if its process went without a word."""
    step: int
    """Optimiser steps done."""
    end: int
    """Optimiser steps at which it ends (0 = not known yet)."""
    changed: float
    """When it last gave a sign, in seconds since 1970."""
    sheet: Path | None
    """The newest sample sheet."""


def list_runs(folder: Path) -> list[RunSummary]:
    """The runs directly under `folder`, the last changed first; empty if there is no such folder."""
    if not folder.is_dir():
        return []
    runs = [_summary(path) for path in folder.iterdir() if run_log.holds_run(path)]
    return sorted(runs, key=lambda run: run.changed, reverse=True)


def _summary(path: Path) -> RunSummary:
    sheets = sorted(path.glob("samples/step-*.png"))
    sheet = sheets[-1] if sheets else None
    beat = run_log.read_heartbeat(path)
    if beat is None:
        changed = (path / "config.json").stat().st_mtime
        return RunSummary(path, "starting", step=0, end=0, changed=changed, sheet=sheet)
    gone = beat.status in ("starting", "running") and not run_log.is_alive(beat)
    return RunSummary(path, "killed" if gone else beat.status, beat.step, beat.end, beat.time, sheet)
