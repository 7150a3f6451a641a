"""What a batch is, and reading ahead in a thread. It knows nothing of where pictures come from."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """B captioned pictures."""

    images: Tensor
    """(B, 3, H, W) uint8."""
    captions: tuple[str, ...]
    """B captions."""
    keys: tuple[str, ...]
    """B sample ids, e.g. "shapes/train/123" or "shard.tar/000017"."""

    def __len__(self) -> int:
        return len(self.captions)


@dataclass(frozen=True)
class _Told(Generic[Item]):
    """What the reading thread says: an item, its end (neither), or what it died of."""

    item: Item | None = None
    error: BaseException | None = None
    ended: bool = False


def prefetch(iterator: Iterable[Item], depth: int = 4) -> "Prefetched[Item]":
    """The items of `iterator` in their order, read up to `depth` ahead by a background thread.

    What `iterator` raises is raised here, after the items before it. The result's `close()` (or dropping it)
    stops the thread and closes `iterator` before it returns.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    told: queue.Queue[_Told[Item]] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_read_ahead, args=(iterator, told, stop), name="dream-prefetch", daemon=True)
    return Prefetched(told, stop, thread)


class Prefetched(Iterator[Item]):
    """The consumer's side of `prefetch`: an iterator that can be closed.

    A class and no generator: a generator that was closed before it was started does not run its `finally`.
    """

    def __init__(self, told: "queue.Queue[_Told[Item]]", stop: threading.Event, thread: threading.Thread) -> None:
        self._told, self._stop, self._thread = told, stop, thread
        self._ended = False
        thread.start()

    def __next__(self) -> Item:
        if self._ended:
            raise StopIteration
        told = self._told.get()
        if told.error is not None or told.ended:
            self.close()
            if told.error is not None:
                raise told.error
            raise StopIteration
        return told.item  # type: ignore[return-value]

    def close(self) -> None:
        """Stop reading; returns when the thread has closed its iterator."""
        self._ended = True
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __del__(self) -> None:
        self.close()


def _read_ahead(iterator: Iterable[Item], told: "queue.Queue[_Told[Item]]", stop: threading.Event) -> None:
    """Puts every item of `iterator`, and how it ended, until `stop` is set."""
    last: _Told[Item] = _Told(ended=True)
    try:
        for item in iterator:
            if not _put(told, _Told(item), stop):
                break
    except BaseException as error:  # handed to the consumer, who raises it
        last = _Told(error=error)
    finally:
        close: Callable[[], None] | None = getattr(iterator, "close", None)
        if close is not None:
            close()
    _put(told, last, stop)


def _put(told: "queue.Queue[_Told[Item]]", message: _Told[Item], stop: threading.Event) -> bool:
    """Whether the message was taken before the consumer stopped."""
    while not stop.is_set():
        try:
            told.put(message, timeout=0.05)
            return True
        except queue.Full:
            continue
    return False
