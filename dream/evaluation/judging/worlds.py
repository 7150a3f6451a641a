"""Which judge belongs to which data: the one place that knows them all."""

from functools import cache

from dream.config import DreamConfig
from dream.data.emoji.corpus import is_emoji
from dream.errors import InputError
from dream.evaluation.judging.emoji_judge import EmojiJudge
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.shapes_judge import ShapesJudge

JUDGED = ("shapes", "emoji")
"""Sources that have a judge."""


def judge_of(data: str, config: DreamConfig | None = None) -> PictureJudge | None:
    """The judge of a source of data, for a model of this configuration if there is one; None if the data have none.

    Raises InputError for pictures of shapes that are too small to be judged, or an unknown split of emoji.
    """
    if data == "shapes":
        return ShapesJudge.of(config or DreamConfig())
    return EmojiJudge.of(data) if is_emoji(data) else None


def needed_judge(task: str, data: str, config: DreamConfig) -> PictureJudge:
    """The judge of a source. Raises InputError if there is none."""
    judge = judge_of(data, config)
    if judge is None:
        raise InputError(f"task '{task}' needs an answer key: use --data {' or '.join(JUDGED)}, not '{data}'")
    return judge


def judge_knowing(caption: str) -> PictureJudge | None:
    """The judge that can judge pictures of a caption, whatever the data; None if no judge knows it."""
    return next((judge for judge in _judges() if judge.knows(caption)), None)


@cache
def _judges() -> tuple[PictureJudge, ...]:
    return tuple(judge for data in JUDGED if (judge := judge_of(data)))
