"""Norms, histograms, non-finite and dead values of every tensor, with constant memory.

A tensor is read in pieces of at most `CHUNK` values; a longer one is read twice, the second time for its histogram.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.checkpoints.files import Part, TensorEntry
from workbench.checkpoints.reader import CHUNK, Reader
from workbench.checkpoints.words import layer_of
from workbench.work import Work

BINS = 60
"""Bins of a tensor's histogram, between its lowest and highest value."""
DECADES = (-12.0, 6.0)
"""Range of counted magnitudes, as powers of ten; values beyond it count in the outermost bins."""
PER_DECADE = 4
SUMMED = 512
"""Values added up in float32 before their sums are added in float64."""
MAGNITUDES = int(DECADES[1] - DECADES[0]) * PER_DECADE
"""Number of magnitude bins."""


@dataclass(frozen=True)
class TensorStatistics:
    """Statistics of one tensor, over its finite values; NaN if it has none."""

    name: str
    dtype: str
    count: int
    mean: float
    rms: float
    low: float
    high: float
    nans: int
    infinities: int
    zeros: int
    """Number of exact zeros."""
    rows: int
    """Length of the first axis; 0 for vectors and scalars, and for rows longer than CHUNK."""
    zero_rows: int
    """Number of all-zero rows."""
    columns: int
    zero_columns: int
    histogram: tuple[int, ...]
    """Counts of finite values in BINS equal bins from `low` to `high`."""
    magnitudes: tuple[int, ...]
    """Counts of finite non-zero values by the logarithm of their magnitude."""

    @property
    def weights(self) -> bool:
        """Whether these are floating-point values; integers are counters, indices or masks."""
        return "float" in self.dtype

    @property
    def nonfinite(self) -> int:
        """Number of NaN and infinite values."""
        return self.nans + self.infinities

    @property
    def largest(self) -> float:
        """Largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @property
    def norm(self) -> float:
        """L2 norm of the finite values."""
        return self.rms * math.sqrt(self.count - self.nonfinite) if self.rms == self.rms else math.nan

    @property
    def constant(self) -> bool:
        """Whether it has several values and all are the same."""
        return self.count > 1 and self.low == self.high and not self.nonfinite

    @property
    def problems(self) -> list[str]:
        """Suspicious properties, in words."""
        rows = f"{self.zero_rows:,} of {self.rows:,} rows zero"
        columns = f"{self.zero_columns:,} of {self.columns:,} columns zero"
        checks = [
            (self.nans, f"{self.nans:,} NaN"),
            (self.infinities, f"{self.infinities:,} infinite"),
            (self.constant, f"constant {self.low:.4g}"),
            (not self.constant and self.zero_rows, rows),
            (not self.constant and self.zero_columns, columns),
        ]
        return [text for failed, text in checks if failed]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> "TensorStatistics":
        """Rebuilds the result of `to_dict`; raises TypeError for any other dict."""
        histogram, magnitudes = tuple(tree["histogram"]), tuple(tree["magnitudes"])
        return cls(**{**tree, "histogram": histogram, "magnitudes": magnitudes})


@dataclass(frozen=True)
class Layer:
    """Combined statistics of several tensors."""

    name: str
    tensors: int
    count: int
    mean: float
    rms: float
    largest: float
    nonfinite: int
    zeros: int
    magnitudes: tuple[int, ...]


def measure_part(part: Part, work: Work[Any]) -> list[TensorStatistics]:
    """Statistics of every readable tensor; `work` shows those computed so far."""
    statistics: list[TensorStatistics] = []
    entries = [entry for entry in part.entries if entry.readable]
    total, done, shown = max(1, sum(entry.bytes for entry in entries)), 0, time.monotonic()
    with Reader() as reader:
        for entry in entries:
            base, share = done / total, entry.bytes / total
            work.tell(base, f"reading {entry.name}")
            statistics.append(measure(entry, reader, lambda done, b=base, s=share: work.tell(b + s * done)))  # type: ignore[misc]
            done += entry.bytes
            if time.monotonic() - shown > 0.5:
                work.show(tuple(statistics))
                shown = time.monotonic()
    return statistics


def measure(
    entry: TensorEntry, reader: Reader, progress: Callable[[float], None] = lambda share: None
) -> TensorStatistics:
    """Statistics of one tensor; `progress` is called with the fraction done."""
    tally, passes = _Tally(entry), 1 if entry.count <= CHUNK else 2
    for start, values in _pieces(entry, reader):
        tally.add(values)
        progress((start + len(values)) / max(1, entry.count) / passes)
    if entry.count <= CHUNK:
        return tally.finished(tally.histogram(values) if entry.count else torch.zeros(BINS))
    histogram = torch.zeros(BINS, dtype=torch.float64)
    for start, values in _pieces(entry, reader):
        histogram += tally.histogram(values)
        progress(0.5 + (start + len(values)) / entry.count / passes)
    return tally.finished(histogram)


def statistics_by_layer(statistics: Iterable[TensorStatistics]) -> list[Layer]:
    """Combined statistics of the floating-point tensors of each layer, in order of appearance."""
    groups: dict[str, list[TensorStatistics]] = {}
    for one in (one for one in statistics if one.weights):
        groups.setdefault(layer_of(one.name), []).append(one)
    return [_layer(name, group) for name, group in groups.items()]


def edges(one: TensorStatistics) -> list[float]:
    """The BINS + 1 edges of its histogram."""
    return torch.linspace(one.low, one.high, BINS + 1, dtype=torch.float64).tolist()


def magnitude_centres() -> list[float]:
    """Magnitude at the centre of each bin of `magnitudes`."""
    return [10 ** (DECADES[0] + (i + 0.5) / PER_DECADE) for i in range(MAGNITUDES)]


def total(statistics: Sequence[TensorStatistics]) -> Layer:
    """Combined statistics of all floating-point tensors."""
    return _layer("all", [one for one in statistics if one.weights])


class _Tally:
    """Running sums over the pieces of a tensor."""

    def __init__(self, entry: TensorEntry) -> None:
        self.entry = entry
        self.sum = self.squares = 0.0
        self.low, self.high = math.inf, -math.inf
        self.nans = self.infinities = self.zeros = self.zero_rows = 0
        self.magnitudes = torch.zeros(MAGNITUDES, dtype=torch.float64)
        self.row = _row_length(entry)
        self.columns = torch.zeros(entry.shape[1] if self.row else 0, dtype=torch.bool)

    def add(self, values: Tensor) -> None:
        """Adds a piece (n,), which consists of whole rows if rows are tracked."""
        zeros = values.numel() - int(values.count_nonzero())
        if self.row:
            self._track_rows(values, zeros)
        finite, together = values, _sum(values)
        if not together.isfinite():  # the sum is finite only if all values are
            self.nans += int(values.isnan().sum())
            self.infinities += int(values.isinf().sum())
            finite = values[values.isfinite()]
            together = finite.sum(dtype=torch.float64)
        self.zeros += zeros
        if finite.numel():
            self.sum += float(together)
            low, high = (float(bound) for bound in finite.aminmax())
            self.low, self.high = min(self.low, low), max(self.high, high)
            self.squares += _squares(finite, max(-low, high))
            self.magnitudes += _magnitudes(finite)

    def histogram(self, values: Tensor) -> Tensor:
        """Histogram counts (BINS,) of a piece between the tensor's lowest and highest value."""
        if self.nans or self.infinities:
            values = values[values.isfinite()]
        counts = torch.zeros(BINS, dtype=torch.float64)
        if not values.numel() or self.low > self.high:
            return counts
        if self.low == self.high:  # histc treats equal bounds as "use the data's range"
            counts[BINS // 2] = values.numel()
            return counts
        values, low, high = values / 2, self.low / 2, self.high / 2  # halved, so that the range cannot overflow
        place = (values - low).div_(high - low).mul_(BINS)  # as torch.histc, which takes four times as long
        return torch.bincount(place.to(torch.int32).clamp_(max=BINS - 1), minlength=BINS).double()

    def _track_rows(self, values: Tensor, zeros: int) -> None:
        if not zeros:  # the usual case, in which nothing has to be looked for
            self.columns.fill_(True)
            return
        by_column = (values != 0).view(-1, len(self.columns), self.row // len(self.columns)).any(dim=2)
        self.zero_rows += int((~by_column.any(dim=1)).sum())
        self.columns |= by_column.any(dim=0)

    def finished(self, histogram: Tensor) -> TensorStatistics:
        """The final statistics as plain numbers."""
        finite = self.entry.count - self.nans - self.infinities
        return TensorStatistics(
            name=self.entry.name,
            dtype=self.entry.dtype,
            count=self.entry.count,
            mean=self.sum / finite if finite else math.nan,
            rms=math.sqrt(self.squares / finite) if finite else math.nan,
            low=self.low if finite else math.nan,
            high=self.high if finite else math.nan,
            nans=self.nans,
            infinities=self.infinities,
            zeros=self.zeros,
            rows=self.entry.shape[0] if self.row else 0,
            zero_rows=self.zero_rows,
            columns=len(self.columns),
            zero_columns=int((~self.columns).sum()),
            histogram=tuple(int(count) for count in histogram),
            magnitudes=tuple(int(count) for count in self.magnitudes),
        )


def _row_length(entry: TensorEntry) -> int:
    """Values per row of the first axis; 0 if rows are not tracked."""
    if len(entry.shape) < 2 or entry.count == 0:
        return 0
    length = entry.count // entry.shape[0]
    return length if length <= CHUNK else 0


def _pieces(entry: TensorEntry, reader: Reader) -> Iterator[tuple[int, Tensor]]:
    """Yields the start and the values (n,) of each piece as floats, in whole rows where they fit.

    Float32 represents all narrower types exactly; integers and doubles need float64.
    """
    narrow = entry.dtype in ("float32", "float16", "bfloat16", "bool") or entry.dtype.startswith("float8")
    wide = torch.float32 if narrow else torch.float64
    row = _row_length(entry) or 1
    step = CHUNK // row * row
    for start in range(0, entry.count, step):
        stop = min(start + step, entry.count)
        yield start, reader.piece(entry, start, stop).to(wide)


def _squares(values: Tensor, largest: float) -> float:
    """Sum of squares in float64; the squares are taken in float32 only if they cannot overflow."""
    if values.dtype == torch.float32 and 1e-15 < largest < 1e15:
        return float(_sum(values.square()))
    return float(values.double().square().sum())


def _sum(values: Tensor) -> Tensor:
    """() float64: sum of the values, in float32 within groups of SUMMED; not finite if any value is not, or is huge."""
    whole = len(values) // SUMMED * SUMMED
    if values.dtype != torch.float32 or not whole:
        return values.sum(dtype=torch.float64)
    return values[:whole].view(-1, SUMMED).sum(dim=1).sum(dtype=torch.float64) + values[whole:].sum(dtype=torch.float64)


def _magnitudes(values: Tensor) -> Tensor:
    """Counts (MAGNITUDES,) of the non-zero values by the logarithm of their magnitude.

    Logarithms are taken only of float32 values whose upper half does not say which bin they are in: about 1 of 100.
    """
    if values.dtype != torch.float32:
        return _by_logarithm(values)
    upper = (values.view(torch.int32) >> 16).bitwise_and_(0x7FFF)  # exponent and seven bits: rises with the magnitude
    bins = _bins_of_upper_halves()
    counts = torch.bincount(upper, minlength=len(bins)).double()
    known = bins >= 0
    totals = torch.bincount(bins[known], weights=counts[known], minlength=MAGNITUDES)
    if float(counts[~known].sum()):
        rest = np.flatnonzero((~known).index_select(0, upper).numpy())  # much faster than torch's indexing by a mask
        totals += _by_logarithm(values[torch.from_numpy(rest)])
    return totals


@lru_cache(maxsize=1)
def _bins_of_upper_halves() -> Tensor:
    """(2**15,) long: the bin of the float32 values with this upper half; -1 where they are in several, or zero."""
    ends = torch.stack([torch.arange(2**15) << 16, (torch.arange(2**15) << 16) + 0xFFFF]).to(torch.int32)
    logs = ends.view(torch.float32).double().log10()
    low, high = ((logs - DECADES[0]) * PER_DECADE).nan_to_num(-1e9, 1e9, -1e9).clamp(-1, MAGNITUDES)
    margin = 1e-4  # float32 logarithms near an edge
    same = ((low - margin).floor().clamp(0, MAGNITUDES - 1)) == ((high + margin).floor().clamp(0, MAGNITUDES - 1))
    bins = low.floor().clamp(0, MAGNITUDES - 1).long()
    bins[~same] = -1
    bins[0] = -1  # zeros, and values too small for this half
    return bins


def _by_logarithm(values: Tensor) -> Tensor:
    """As `_magnitudes`, by the logarithm of each value."""
    logs = values.abs().log10_()
    counts = torch.histc(logs, MAGNITUDES, *DECADES).double()
    above = int((logs > DECADES[1]).sum())
    below = int(values.count_nonzero() - above - counts.sum())
    counts[0], counts[-1] = counts[0] + max(0, below), counts[-1] + above
    return counts


def _layer(name: str, group: list[TensorStatistics]) -> Layer:
    known = [one for one in group if one.rms == one.rms]
    finite = sum(one.count - one.nonfinite for one in known)
    squares = sum(one.rms**2 * (one.count - one.nonfinite) for one in known)
    return Layer(
        name=name,
        tensors=len(group),
        count=sum(one.count for one in group),
        mean=sum(one.mean * (one.count - one.nonfinite) for one in known) / finite if finite else math.nan,
        rms=math.sqrt(squares / finite) if finite else math.nan,
        largest=max((one.largest for one in known), default=math.nan),
        nonfinite=sum(one.nonfinite for one in group),
        zeros=sum(one.zeros for one in group),
        magnitudes=tuple(map(sum, zip(*(one.magnitudes for one in group), strict=True))),
    )
