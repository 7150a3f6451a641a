"""Search for values that are not numbers, in every part of a checkpoint; reads each value once, in pieces."""

from typing import Any

from dream.weights.finite import NAMED, count_nonfinite
from workbench.checkpoints.files import Checkpoint
from workbench.checkpoints.reader import CHUNK, Reader
from workbench.work import Work


def nonfinite_by_tensor(found: Checkpoint, work: Work[Any]) -> dict[str, tuple[int, int]]:
    """(NaN and infinite values, all values) of each tensor that has any; tensors are named `part: tensor`."""
    entries = [(part, entry) for part in found.parts for entry in part.entries if entry.readable]
    total, done = max(1, sum(entry.bytes for _, entry in entries)), 0
    bad: dict[str, tuple[int, int]] = {}
    with Reader() as reader:
        for part, entry in entries:
            work.tell(done / total, f"looking into {entry.name}")
            starts = range(0, entry.count, CHUNK)
            count = sum(count_nonfinite(reader.piece(entry, i, min(i + CHUNK, entry.count))) for i in starts)
            if count:
                bad[f"{part.name}: {entry.name}"] = count, entry.count
            done += entry.bytes
    return bad


def health_sentence(bad: dict[str, tuple[int, int]]) -> str:
    """What is not a number, in a sentence; empty if all values are."""
    if not bad:
        return ""
    named = ", ".join(f"{name} ({count:,} of {of:,} values)" for name, (count, of) in list(bad.items())[:NAMED])
    more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
    tensors = "1 tensor holds" if len(bad) == 1 else f"{len(bad):,} tensors hold"
    return (
        f"{tensors} values that are NaN or infinite: {named}{more}. "
        "A model with such weights is not opened for decoding, search or evaluation."
    )
