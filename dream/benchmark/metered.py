"""Meters the cost of a model's encoder, decoder and head while it decodes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from dream.model.dream import Dream


class MeteredModel:
    """Stands in for a `Dream` during a decode and adds up what its encoder, decoder and head spend."""

    training = False

    def __init__(self, model: Dream) -> None:
        self.model, self.config = model, model.config
        self.head = _MeteredHead(self)
        self.reset(time.perf_counter)

    def reset(self, meter: Callable[[], float]) -> None:
        """Starts again at zero; `meter` reads a clock or a counter."""
        self.meter = meter
        self.spent = {"encoder": 0.0, "decoder": 0.0, "head": 0.0}

    @contextmanager
    def metered(self, part: str) -> Iterator[None]:
        """Adds the cost of the block to `part`."""
        before = self.meter()
        yield
        self.spent[part] += self.meter() - before

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`Dream.encode`, metered."""
        with self.metered("encoder"):
            return self.model.encode(tokens, mask)

    def decode(self, *arguments: Any, **options: Any) -> Tensor:
        """`Dream.decode`, metered."""
        with self.metered("decoder"):
            return self.model.decode(*arguments, **options)

    def decode_again(self, *arguments: Any, **options: Any) -> Tensor:
        """`Dream.decode_again`, metered."""
        with self.metered("decoder"):
            return self.model.decode_again(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class _MeteredHead:
    def __init__(self, owner: MeteredModel) -> None:
        self.owner, self.head, self.project = owner, owner.model.head, owner.model.head.project

    def embed_times(self, times: Tensor) -> Tensor:
        with self.owner.metered("head"):
            return self.head.embed_times(times)

    def predict(self, *arguments: Tensor) -> Tensor:
        with self.owner.metered("head"):
            return self.head.predict(*arguments)
