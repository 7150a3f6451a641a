"""Distance between two sets of weights, by tensor and by layer, and the tensors without a counterpart.

Tensors are matched by name; if hardly any name matches, the authors' names are translated to ours first. Both files
are read in pieces.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor

from dream.errors import InputError
from dream.official import our_name
from workbench.checkpoints.files import Part, TensorEntry
from workbench.checkpoints.reader import CHUNK, Reader
from workbench.checkpoints.words import layer_of, shape_words
from workbench.work import Work

TRANSPOSED = "text_tower.projection.weight"
"""The only matrix that the authors store transposed."""


@dataclass(frozen=True)
class Distance:
    """Distance of a tensor (or all tensors of a layer) of B from that of A, over values that are finite in both."""

    name: str
    count: int
    squares_a: float
    squares_b: float
    squares_difference: float
    product: float
    largest: float
    """Largest change of a single value."""
    nonfinite: int = 0
    """Values that are NaN or infinite in A or B; the sums exclude them."""
    weights: bool = True
    """False for integers, which are counters, indices or masks."""

    @property
    def equal(self) -> bool:
        """Whether all values are finite and identical."""
        return not self.squares_difference and not self.nonfinite

    @property
    def relative(self) -> float:
        """L2 norm of the change divided by that of A; 0 = equal, infinite if A is zero."""
        if not self.squares_difference:
            return 0.0
        return math.sqrt(self.squares_difference / self.squares_a) if self.squares_a else math.inf

    @property
    def cosine(self) -> float:
        """Cosine between the two; NaN if either is zero."""
        if self.squares_a and not self.squares_difference:
            return 1.0
        if not (self.squares_a and self.squares_b):
            return math.nan
        return self.product / math.sqrt(self.squares_a) / math.sqrt(self.squares_b)


@dataclass(frozen=True)
class Difference:
    """Comparison of B with A."""

    distances: tuple[Distance, ...]
    """Distances of the tensors with the same shape in both, in A's order."""
    added: tuple[str, ...]
    """Names that occur only in B."""
    missing: tuple[str, ...]
    """Names that occur only in A."""
    reshaped: tuple[str, ...]
    """Names with different shapes in both, followed by the shapes."""
    unread: tuple[str, ...]
    """Names in both whose data type cannot be read."""
    translated: bool
    """Whether the authors' names were translated to ours."""

    @property
    def weights(self) -> list[Distance]:
        """The distances of floating-point tensors."""
        return [distance for distance in self.distances if distance.weights]

    @property
    def counters(self) -> int:
        """Number of integer tensors that differ."""
        return sum(not d.weights and d.squares_difference > 0 for d in self.distances)

    @property
    def equal(self) -> bool:
        """Whether all values are identical and no tensor is unmatched."""
        return not (self.added or self.missing or self.reshaped or self.unread) and all(
            distance.equal for distance in self.distances
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Difference":
        """Rebuilds the result of `to_dict`; raises TypeError or KeyError for any other dict."""
        lists = {name: tuple(tree[name]) for name in ("added", "missing", "reshaped", "unread")}
        distances = tuple(Distance(**distance) for distance in tree["distances"])
        return cls(distances, translated=tree["translated"], **lists)


def compare_parts(a: Part, b: Part, work: Work[Any]) -> Difference:
    """Compares `b` with `a`; raises InputError if they share no tensor name."""
    ours, theirs, translated = _names(a), _names(b), False
    if len(ours.keys() & theirs.keys()) * 10 < min(len(ours), len(theirs)):
        ours, theirs, translated = _names(a, translate=True), _names(b, translate=True), True
    pairs = [(name, ours[name], theirs[name]) for name in ours if name in theirs]
    reshaped = [
        f"{name}: {shape_words(one.shape)} became {shape_words(other.shape)}"
        for name, one, other in pairs
        if _shape(one) != _shape(other)
    ]
    same = [pair for pair in pairs if _shape(pair[1]) == _shape(pair[2])]
    if translated and any(name == TRANSPOSED for name, *_ in same):
        same = [pair for pair in same if pair[0] != TRANSPOSED]
        reshaped.append(f"{TRANSPOSED}: stored transposed by the authors")
    read = [pair for pair in same if pair[1].readable and pair[2].readable]
    if not pairs:
        raise InputError("the two checkpoints have no tensor name in common, so there is nothing to compare")
    return Difference(
        distances=_distances(read, work),
        added=tuple(name for name in theirs if name not in ours),
        missing=tuple(name for name in ours if name not in theirs),
        reshaped=tuple(reshaped),
        unread=tuple(name for name, one, other in same if not (one.readable and other.readable)),
        translated=translated,
    )


def distances_by_layer(distances: Iterable[Distance]) -> list[Distance]:
    """Combined distance of each layer, in order of appearance."""
    groups: dict[str, list[Distance]] = {}
    for distance in distances:
        groups.setdefault(layer_of(distance.name), []).append(distance)
    return [combined_distance(name, group) for name, group in groups.items()]


def combined_distance(name: str, group: Iterable[Distance]) -> Distance:
    """Distance of several tensors taken as one."""
    each = list(group)
    a, b, difference, product = (
        math.fsum(getattr(distance, key) for distance in each)
        for key in ("squares_a", "squares_b", "squares_difference", "product")
    )
    largest = max((distance.largest for distance in each), default=0.0)
    count, nonfinite = sum(distance.count for distance in each), sum(distance.nonfinite for distance in each)
    return Distance(name, count, a, b, difference, product, largest, nonfinite)


def _distances(pairs: list[tuple[str, TensorEntry, TensorEntry]], work: Work[Any]) -> tuple[Distance, ...]:
    total, done, distances = max(1, sum(one.count for _, one, _ in pairs)), 0, []
    with Reader() as reader:
        for name, one, other in pairs:
            pieces = []
            for start in range(0, one.count, CHUNK):
                work.tell((done + start) / total, f"comparing {name}")
                stop = min(start + CHUNK, one.count)
                x, y = reader.piece(one, start, stop).double(), reader.piece(other, start, stop).double()
                pieces.append(_distance(name, x, y))
            done += one.count
            whole = combined_distance(name, pieces)
            distances.append(replace(whole, weights="float" in one.dtype))
    return tuple(distances)


def _distance(name: str, x: Tensor, y: Tensor) -> Distance:
    count, change = len(x), y - x
    finite = change.isfinite()
    if not finite.all():
        x, y, change = x[finite], y[finite], change[finite]
    squares = float(x.dot(x)), float(y.dot(y)), float(change.dot(change)), float(x.dot(y))
    largest = float(change.abs().max()) if len(change) else 0.0
    return Distance(name, count, *squares, largest, nonfinite=count - len(change))


def _names(part: Part, translate: bool = False) -> dict[str, TensorEntry]:
    """Tensors by the name used for matching."""
    return {_name(entry.name, translate): entry for entry in part.entries}


def _name(name: str, translate: bool) -> str:
    name = name.removeprefix("module.")
    if not translate:
        return name
    try:
        return our_name(name)
    except InputError:
        return name


def _shape(entry: TensorEntry) -> tuple[int, ...]:
    """The shape without leading dimensions of size 1."""
    shape = entry.shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape
