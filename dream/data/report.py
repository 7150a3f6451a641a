"""Problems found in the data, counted by kind and shard and listed by name."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dream.plain_text import printable

BROKEN_PICTURE = "broken picture"
EMPTY_CAPTION = "empty caption"
BROKEN_CAPTION = "broken caption"
MISSING_MEMBER = "missing member"
BROKEN_METADATA = "broken metadata"
DUPLICATE_MEMBER = "duplicate member"
DAMAGED_HEADER = "damaged header"
TRUNCATED_TAR = "truncated tar"
UNREADABLE_SHARD = "unreadable shard"
NOT_USED = "not used"
MIXED_SPLITS = "mixed splits"
KINDS = (
    BROKEN_PICTURE,
    EMPTY_CAPTION,
    BROKEN_CAPTION,
    MISSING_MEMBER,
    BROKEN_METADATA,
    DUPLICATE_MEMBER,
    DAMAGED_HEADER,
    TRUNCATED_TAR,
    UNREADABLE_SHARD,
    NOT_USED,
    MIXED_SPLITS,
)
"""In the order of listing; a source may report further kinds, which come last."""
LAYOUT_KINDS = (NOT_USED, MIXED_SPLITS)
"""Kinds that are about whole folders, and are said when a training starts."""


_LISTED: ContextVar["list[DataReport] | None"] = ContextVar("listed", default=None)


@contextmanager
def reports_made() -> Iterator["list[DataReport]"]:
    """Collects the reports created in the block, for callers that have no access to the data sources."""
    reports: list[DataReport] = []
    token = _LISTED.set(reports)
    try:
        yield reports
    finally:
        _LISTED.reset(token)


class DataReport:
    """Problems by kind and shard, with names. Several threads may fill and read it."""

    def __init__(self) -> None:
        self.samples_seen = 0
        """Good samples delivered so far, over all epochs."""
        self._lock = threading.Lock()
        self._problems: dict[tuple[str, str], dict[str, str]] = {}  # (kind, shard) -> key -> detail
        if (listed := _LISTED.get()) is not None:
            listed.append(self)

    def add(self, kind: str, shard: str, key: str, detail: str = "") -> bool:
        """Adds a problem; returns False if it is known (same kind, shard and key, e.g. from an earlier epoch)."""
        shard, key, detail = (printable(text) for text in (shard, key, detail))
        with self._lock:
            named = self._problems.setdefault((kind, shard), {})
            if key in named:
                return False
            named[key] = detail
            return True

    def join(self, other: "DataReport") -> None:
        """Adds the problems of another report; those in both count once. `samples_seen` does not change."""
        for kind, shard, key, detail in other.problems():
            self.add(kind, shard, key, detail)

    def saw(self, samples: int) -> None:
        """Adds `samples` to `samples_seen`."""
        with self._lock:
            self.samples_seen += samples

    @property
    def total(self) -> int:
        """Number of problems of all kinds."""
        with self._lock:
            return sum(len(named) for named in self._problems.values())

    def by_kind(self) -> dict[str, int]:
        """Number of problems per kind that occurred."""
        counts: Counter[str] = Counter()
        for kind, _, named in self._listed():
            counts[kind] += len(named)
        return dict(counts)

    def by_shard(self) -> dict[str, int]:
        """Number of problems per shard that has any."""
        counts: Counter[str] = Counter()
        for _, shard, named in self._listed():
            counts[shard] += len(named)
        return dict(counts)

    def problems(self) -> list[tuple[str, str, str, str]]:
        """All problems as (kind, shard, key, detail), by kind, then shard, then in the order found."""
        return [(kind, shard, key, text) for kind, shard, named in self._listed() for key, text in named.items()]

    def to_dict(self, names: int = 100) -> dict[str, Any]:
        """JSON-able: samples seen, number of problems; by kind and shard the count and the first `names` names."""
        kinds: dict[str, dict[str, Any]] = {}
        for kind, shard, named in self._listed():
            first = [{"key": key, "detail": named[key]} for key in list(named)[:names]]
            kinds.setdefault(kind, {})[shard] = {"count": len(named), "first": first}
        return {"samples_seen": self.samples_seen, "problems": self.total, "kinds": kinds}

    def summary(self, names: int = 10) -> str:
        """Text for readers: by kind and shard the count, the first `names` names and how many more there are."""
        return "\n".join(problem_lines(self.to_dict(names)["kinds"])) or "nothing broken"

    def _listed(self) -> list[tuple[str, str, dict[str, str]]]:
        """A copy that other threads cannot change, in the order of KINDS, then of shard names."""
        with self._lock:
            copy = [(kind, shard, dict(named)) for (kind, shard), named in self._problems.items()]
        rank = {kind: index for index, kind in enumerate(KINDS)}
        return sorted(copy, key=lambda entry: (rank.get(entry[0], len(rank)), entry[0], entry[1]))


def problems_clause(report: DataReport) -> str:
    """Counts of the report and an example, to end a sentence; empty without problems."""
    counts = ", ".join(f"{count:,} {kind}" for kind, count in report.by_kind().items())
    first = next(iter(report.problems()), None)
    return f" ({counts}; e.g. {first[1]}/{first[2]}: {first[3] or first[0]})" if first else ""


def problem_lines(kinds: Mapping[str, Any]) -> list[str]:
    """Lines to read of the `kinds` of `DataReport.to_dict`: counts, the names it holds and how many more there are."""
    lines = []
    for kind, shards in kinds.items():
        lines.append(f"{kind}: {sum(named['count'] for named in shards.values()):,}")
        for shard, named in shards.items():
            lines.append(f"  {shard}: {named['count']:,}")
            lines += [f"    {each['key']}: {each['detail']}".removesuffix(": ") for each in named["first"]]
            if named["count"] > len(named["first"]):
                lines.append(f"    and {named['count'] - len(named['first']):,} more")
    return lines
