"""What was wrong with the data: counted by kind and shard, and named. It reads and prints nothing itself."""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

BROKEN_PICTURE = "broken picture"
EMPTY_CAPTION = "empty caption"
BROKEN_CAPTION = "broken caption"
MISSING_MEMBER = "missing member"
BROKEN_METADATA = "broken metadata"
DUPLICATE_MEMBER = "duplicate member"
DAMAGED_HEADER = "damaged header"
TRUNCATED_TAR = "truncated tar"
UNREADABLE_SHARD = "unreadable shard"
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
)
"""In the order in which they are listed; other kinds may be added by a source and come after."""


# Names are a stranger's, and end up on a terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


_LISTED: ContextVar["list[DataReport] | None"] = ContextVar("listed", default=None)


@contextmanager
def reports_made() -> Iterator["list[DataReport]"]:
    """A list that every report made in the block joins: for callers that see a measure and not its data."""
    found: list[DataReport] = []
    token = _LISTED.set(found)
    try:
        yield found
    finally:
        _LISTED.reset(token)


class DataReport:
    """Problems by kind and shard, with names. Several threads may fill and read it."""

    def __init__(self) -> None:
        self.samples_seen = 0
        """Good samples delivered so far (over all epochs)."""
        self._lock = threading.Lock()
        self._problems: dict[tuple[str, str], dict[str, str]] = {}  # (kind, shard) -> key -> detail
        if (listed := _LISTED.get()) is not None:
            listed.append(self)

    def add(self, kind: str, shard: str, key: str, detail: str = "") -> bool:
        """Whether this problem is new: the same kind, shard and key (of a later epoch) counts once."""
        shard, key, detail = (_CONTROL.sub("?", text) for text in (shard, key, detail))
        with self._lock:
            named = self._problems.setdefault((kind, shard), {})
            if key in named:
                return False
            named[key] = detail
            return True

    def join(self, other: "DataReport") -> None:
        """Takes over the other's problems; what both have counts once. Samples seen are not added up."""
        for kind, shard, key, detail in other.problems():
            self.add(kind, shard, key, detail)

    def saw(self, samples: int) -> None:
        """Counts `samples` good samples more."""
        with self._lock:
            self.samples_seen += samples

    @property
    def total(self) -> int:
        """Number of problems of all kinds."""
        with self._lock:
            return sum(len(named) for named in self._problems.values())

    def by_kind(self) -> dict[str, int]:
        """Number of problems of each kind that occurred."""
        counts: Counter[str] = Counter()
        for kind, _, named in self._listed():
            counts[kind] += len(named)
        return dict(counts)

    def by_shard(self) -> dict[str, int]:
        """Number of problems of each shard that has any."""
        counts: Counter[str] = Counter()
        for _, shard, named in self._listed():
            counts[shard] += len(named)
        return dict(counts)

    def problems(self) -> list[tuple[str, str, str, str]]:
        """Every problem as (kind, shard, key, detail), by kind, then shard, then as they were found."""
        return [(kind, shard, key, text) for kind, shard, named in self._listed() for key, text in named.items()]

    def to_dict(self, names: int = 100) -> dict[str, Any]:
        """JSON-able: samples seen, problems in all; by kind and shard the count and first `names` names."""
        kinds: dict[str, dict[str, Any]] = {}
        for kind, shard, named in self._listed():
            first = [{"key": key, "detail": named[key]} for key in list(named)[:names]]
            kinds.setdefault(kind, {})[shard] = {"count": len(named), "first": first}
        return {"samples_seen": self.samples_seen, "problems": self.total, "kinds": kinds}

    def summary(self, names: int = 10) -> str:
        """Lines to read: by kind and shard the count, the first `names` names and how many more."""
        return "\n".join(problem_lines(self.to_dict(names)["kinds"])) or "nothing broken"

    def _listed(self) -> list[tuple[str, str, dict[str, str]]]:
        """A copy that other threads do not change, in the order of KINDS, then of shards' names."""
        with self._lock:
            copy = [(kind, shard, dict(named)) for (kind, shard), named in self._problems.items()]
        rank = {kind: index for index, kind in enumerate(KINDS)}
        return sorted(copy, key=lambda entry: (rank.get(entry[0], len(rank)), entry[0], entry[1]))


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
