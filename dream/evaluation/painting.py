"""How `prompts` and `selection` have a model paint: its own settings, in batches. It judges nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dream.data.grammar import Scene, caption
from dream.decoding.decode import StepRecord, paint_batches
from dream.decoding.selection import DecodeSettings
from dream.errors import InputError
from dream.evaluation.damage import LEVEL

if TYPE_CHECKING:
    from dream.config import DreamConfig
    from dream.pretrained import Pretrained

ROWS = 128
"""Pictures painted at once."""


def judged_level(config: "DreamConfig") -> int:
    """The level of `shapes` that the model was trained on; InputError where the judge does not know it."""
    if config.data.level > LEVEL:
        raise InputError(
            f"prompts and selection need the judge, which knows levels 0 to {LEVEL} of shapes; "
            f"this model was trained on level {config.data.level}"
        )
    return config.data.level


def settings_of(config: "DreamConfig", seed: int, **changes: Any) -> DecodeSettings:
    """The model's own decoding defaults, changed where told."""
    own = config.decode
    settings = DecodeSettings(
        steps=own.steps,
        guidance_scale=own.guidance_scale,
        guidance_schedule=own.guidance_schedule,
        temperature=own.temperature,
        seed=seed,
    )
    return replace(settings, **changes)


def records_by_batch(
    pretrained: "Pretrained", scenes: Sequence[Scene], settings: DecodeSettings, *, scored: bool = False
) -> Iterator[tuple[Sequence[Scene], Iterator[StepRecord]]]:
    """Scenes by batches of ROWS pictures, with the records of decoding their captions.

    Picture i is drawn from (settings.seed, i), whatever its batch. `scored` fills every record's alignment.
    The records must be taken before the next batch is asked for.
    """
    size = max(1, ROWS // settings.candidates)
    records = paint_batches(
        pretrained,
        [caption(scene) for scene in scenes],
        settings,
        picture_ids=range(len(scenes)),
        batch_size=size,
        record_scores=scored,
        score_finished=scored,
    )
    for first, batch in groupby(records, key=lambda pair: pair[0]):
        yield scenes[first : first + size], (record for _, record in batch)
