"""The batch type, the share of a rank in it, and prefetching in a background thread."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """B captioned pictures."""

    images: Tensor
    """(B, 3, H, W) uint8; (B, 3, 0, 0) if they come from a cache."""
    captions: tuple[str, ...]
    """B captions."""
    keys: tuple[str, ...]
    """B sample ids, e.g. "shapes/train/123" or "shard.tar/000017"."""
    cached: Mapping[str, Tensor] = field(default_factory=dict)
    """What a cache holds of them, by the names in `data/cache/layout.py`: moments (B, 2, C, h, w), already mirrored."""

    def __len__(self) -> int:
        return len(self.captions)

    def part(self, rows: slice) -> "Batch":
        """The pictures of these rows."""
        cached = {name: values[rows] for name, values in self.cached.items()}
        return Batch(self.images[rows], self.captions[rows], self.keys[rows], cached)


class Share(NamedTuple):
    """The part of each global batch that one rank takes: equally many consecutive pictures, in the order of ranks."""

    rank: int
    world_size: int

    def of(self, batch_size: int) -> slice:
        """The places in a global batch; raises ValueError if ranks cannot take equally many."""
        if batch_size < 1 or batch_size % self.world_size:
            raise ValueError(f"batch_size must be a positive multiple of {self.world_size} ranks, got {batch_size}")
        size = batch_size // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)


@dataclass(frozen=True)
class _Message(Generic[Item]):
    """Message from the reader thread: an item, the end of the data, or the exception it raised."""

    item: Item | None = None
    error: BaseException | None = None
    ended: bool = False


def prefetch(iterator: Iterable[Item], depth: int = 4) -> "Prefetched[Item]":
    """Iterates over `iterator` in order while a background thread reads up to `depth` items ahead.

    An exception of `iterator` is raised here, after the items before it. Closing or dropping the result stops the
    thread and closes `iterator`.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    messages: queue.Queue[_Message[Item]] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_read_ahead, args=(iterator, messages, stop), name="dream-prefetch", daemon=True)
    return Prefetched(messages, stop, thread)


class Prefetched(Iterator[Item]):
    """The consumer's side of `prefetch`: an iterator that can be closed.

    It is not a generator, because a generator that is closed before it starts does not run its `finally`.
    """

    def __init__(
        self, messages: "queue.Queue[_Message[Item]]", stop: threading.Event, thread: threading.Thread
    ) -> None:
        self._messages, self._stop, self._thread = messages, stop, thread
        self._ended = False
        thread.start()

    def __next__(self) -> Item:
        if self._ended:
            raise StopIteration
        message = self._messages.get()
        if message.error is not None or message.ended:
            self.close()
            if message.error is not None:
                raise message.error
            raise StopIteration
        return message.item  # type: ignore[return-value]

    def close(self) -> None:
        """Stops reading. Returns when the thread has closed its iterator."""
        self._ended = True
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __del__(self) -> None:
        self.close()


def _read_ahead(iterator: Iterable[Item], messages: "queue.Queue[_Message[Item]]", stop: threading.Event) -> None:
    """Puts the items of `iterator`, then how it ended, until `stop` is set."""
    last: _Message[Item] = _Message(ended=True)
    try:
        for item in iterator:
            if not _put(messages, _Message(item), stop):
                break
    except BaseException as error:  # passed to the consumer, which raises it
        last = _Message(error=error)
    finally:
        close: Callable[[], None] | None = getattr(iterator, "close", None)
        if close is not None:
            close()
    _put(messages, last, stop)


def _put(messages: "queue.Queue[_Message[Item]]", message: _Message[Item], stop: threading.Event) -> bool:
    """Puts a message into the queue; False if the consumer stopped first."""
    while not stop.is_set():
        try:
            messages.put(message, timeout=0.05)
            return True
        except queue.Full:
            continue
    return False
