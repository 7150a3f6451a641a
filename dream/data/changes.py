"""What is remembered of a source in a run's record, and how it differs when the run continues."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from dream.data.corpora.shards import TarShards
from dream.data.samples import Corpus, Row, sample_id

_NOUNS = {"shards": "shards", "rows": "samples", "bytes": "bytes"}


def corpus_facts(corpus: Corpus, first: Sequence[Row] | None = None) -> dict[str, Any]:
    """Numbers that change when a corpus does: shards, bytes of tars, and number and hash of the `first` window's rows.

    Reads no picture and no caption.
    """
    facts: dict[str, Any] = {"shards": len(corpus.shards)}
    if isinstance(corpus, TarShards):
        facts["bytes"] = sum(path.stat().st_size for path in corpus.paths if path.exists())
    counts = [corpus.count(shard) for shard in range(len(corpus.shards))] if first is None else []
    if counts and None not in counts:
        facts["rows"] = sum(count or 0 for count in counts)
    if first is not None:
        digest = blake2b("\n".join(map(sample_id, first)).encode("utf-8", "surrogateescape"), digest_size=8)
        facts |= {"rows": len(first), "names": digest.hexdigest()}
    return facts


def changes_between(before: object, now: Mapping[str, Any]) -> str:
    """How the facts of a source, by split, differ from those `before`; empty if they do not, or if none are known."""
    if not isinstance(before, Mapping):
        return ""
    parts = []
    for split, facts in now.items():
        old = before.get(split)
        if not isinstance(old, Mapping):
            parts += [f"a split {split} that was not there"] if before else []
            continue
        differing = [key for key in facts if key in old and old[key] != facts[key]]
        counts = [f"{facts[key]:,} {_NOUNS[key]} (before: {_shown(old[key])})" for key in _NOUNS if key in differing]
        if counts or differing:
            parts.append(f"{split} has {', '.join(counts) or 'samples of other names'}")
    parts += [f"no split {split}" for split in before if split not in now]
    return "; ".join(parts)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "not a number"
