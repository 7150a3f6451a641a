"""Ends a rank whose others have ended or hang: in bounded time, with one sentence.

Three cases. A collective that fails (a peer closed its connection) or that waits longer than `train.rank_timeout`
raises an error of the backend, which becomes a RunError. A rank that waits where nothing is raised is ended by a thread
that watches the processes next to it: the ranks that this one started, and the process that started this one.
"""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch.distributed as dist

from dream.errors import RunError
from dream.training.launchers import is_started_as_rank

LOOK_SECONDS = 1.0
"""Time between looks at the other processes."""
LOST_GRACE_SECONDS = 30.0
"""Time for the main thread to notice a lost rank by itself, at its next collective, before the process is ended."""
_BACKENDS = re.compile(
    r"gloo|nccl|connection (closed|reset)|broken pipe|pair clos|process group|timed out", re.IGNORECASE
)
_WAITED = re.compile(r"time[d-]?\s?out", re.IGNORECASE)


CONTINUE = "the last checkpoint is whole: continue with --resume"
"""What to do about a training that lost a rank."""


def lost_rank_sentence(reason: str, advice: str = CONTINUE) -> str:
    """The sentence for a rank that was lost."""
    return f"{reason}: this one stops; {advice}"


@contextmanager
def lost_ranks_in_words(world_size: Callable[[], int], timeout: float, advice: str = CONTINUE) -> Iterator[None]:
    """Turns errors of collectives inside the block into a RunError of one sentence that ends with `advice`."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, RunError) or world_size() == 1 or not _is_of_ranks(error):
            raise
        name = " (train.rank_timeout)" if advice == CONTINUE else ""
        waited = f"another rank did not answer for {timeout:g} s{name}"
        reason = waited if _WAITED.search(str(error)) else "another rank ended"
        raise RunError(lost_rank_sentence(reason, advice)) from error


class RankWatch:
    """Watches `children`, the ranks that this process started, or the launcher that started it, during a `with` block.

    If one is lost and the block does not end by itself within the grace period, `say` is called with a sentence, and
    the process and its children are ended. On an error in the block the children are ended too.
    """

    def __init__(self, children: Sequence["subprocess.Popen[bytes]"], say: Callable[[str], None]) -> None:
        self.children, self.say = children, say
        self.parent = os.getppid() if is_started_as_rank() else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rank-watch", daemon=True)

    def __enter__(self) -> "RankWatch":
        if self.children:
            _dismiss_fabrics_observer()
        if self.children or self.parent is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        if kind is not None:
            self._end_children(2 * LOOK_SECONDS)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            reason = self._lost()
            if reason and not self._ended.wait(LOST_GRACE_SECONDS):
                with suppress(Exception):  # whatever it is, the process has to end
                    self.say(lost_rank_sentence(reason))
                self._end_children(0.0)
                os._exit(1)

    def _lost(self) -> str:
        """Which process was lost, in words; empty if all are there."""
        codes = [child.poll() for child in self.children]
        if any(codes):
            rank = next(i for i, code in enumerate(codes, start=1) if code)
            return f"rank {rank} ended (exit code {codes[rank - 1]})"
        return "the process that started this rank ended" if self.parent not in (None, os.getppid()) else ""

    def _end_children(self, patience: float) -> None:
        """Kills the children that do not end by themselves within `patience` seconds each: a hung one never does."""
        for child in self.children:
            try:
                child.wait(patience)
            except subprocess.TimeoutExpired:
                child.kill()


def _is_of_ranks(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or _BACKENDS.search(str(error)) is not None


def _dismiss_fabrics_observer() -> None:
    """Leaves the children to this watch: Fabric's thread kills this process within 5 s, before it can say why."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            thread._child_processes = []  # type: ignore[attr-defined]
