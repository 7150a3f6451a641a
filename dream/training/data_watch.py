"""Watches the data of a training for samples that break or vanish while it runs, and says so at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from dream.data.report import problems_clause
from dream.errors import RunError
from dream.training.state import Run, save_state


class DataWatch:
    """What a training says of its data: on the console when it begins and at every doubling, and in heartbeats."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.message = ""
        """What heartbeats say; empty while nothing was lost since the training began."""
        self._known = self._said = run.source.report.total

    def look(self) -> None:
        """Says on the console, and in a heartbeat, that more samples cannot be read than before."""
        run, total = self.run, self.run.source.report.total
        lost = total - self._known
        if lost < 1:
            return
        samples = f"{lost:,} sample{'s' * (lost > 1)}"
        self.message = (
            f"{samples} of '{run.source.name}' cannot be read, or no longer, and others take their place"
            f"{problems_clause(run.source.report)}"
        )
        if lost >= 2 * max(1, self._said - self._known) or self._said == self._known:
            self._said = total
            run.console.say(f"step {run.step}: {self.message}")
            run.log.heartbeat("running", run.step, run.end, message=self.message)

    @contextmanager
    def saved_if_gone(self) -> Iterator[None]:
        """Saves the state if the block finds no data left. Several ranks cannot save alone: their last one counts."""
        try:
            yield
        except RunError as error:
            if self.run.fabric.world_size > 1:
                raise
            folder = save_state(self.run)
            raise RunError(
                f"{error}; the training is saved in {folder}: put the data back and continue with --resume"
            ) from error
