"""Captioned pictures that training did not see, for tasks that take captions."""

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.data.sources import open_source
from dream.errors import InputError


def held_out_pictures(
    task: str, data: str, config: DreamConfig, count: int, *, split: str | None = None, least: int = 2
) -> Batch:
    """Returns the first `count` pictures of a split, always the same; None is `test` of shapes, `val` of other data.

    The batch is smaller if the split is. Of stored pictures with equal captions only one is taken; drawn
    pictures are not filtered. Raises InputError for an unknown split, and for fewer than `least` pictures.
    """
    drawn = data == "shapes"
    source = open_source(data, config, split=split or ("test" if drawn else "val"))
    batch = next(source.batches(count))[0] if drawn and split != "train" else source.fixed(count)
    if len(batch) < least:
        raise InputError(
            f"task '{task}' needs {least} held-out pictures with different captions, '{data}' has {len(batch)}"
        )
    return batch


def part(batch: Batch, rows: range) -> Batch:
    """Returns the pictures of these rows."""
    return batch.part(slice(rows.start, rows.stop, rows.step))
