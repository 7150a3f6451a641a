"""Scores that a race can be chosen by, in words, and how often choosing by each helps the models that ship.

The numbers come from the study of choosing (`dream evaluate --tasks choosing`), kept by `python -m workbench.choosing
--keep`. They hold for the weights that were measured, and for no others.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dream.config import DecodeConfig
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.json_text import read_json_object
from workbench.trajectories.gain import Gain

SCORE_WORDS = {
    "cosine": "joint space (the paper's)",
    "preview": "preview of the rest",
    "confidence": "confidence of the head: sees form",
    "relevance": "use of the caption: sees meaning",
    "critic": "learned critic",
    "critic+cosine": "learned critic and joint space",
}
"""Scores that the page offers."""
STUDIES = Path(__file__).with_name("studies.json")
"""What was measured, by the short name of the weights."""


class HowOften(NamedTuple):
    """A choice among all candidates, as the study measured it."""

    kind: str
    """Kind of the prompts, in words."""
    outcome: str
    """What a right picture shows."""
    score: str
    decoded: float
    """Share of the tokens decoded at the choice."""
    candidates: int
    prompts: int
    gain: Gain


def how_often(model_id: str, score: str, decoded: float, path: Path = STUDIES) -> list[HowOften]:
    """How often choosing by this score helped these weights, at the measured step nearest to the decoded share.

    One entry per kind of prompts and outcome; none for weights or scores that were not measured.
    """
    rows = [row for row in read_studies(path).get(model_id, []) if row["score"] == score]
    found = []
    for kind, outcome in dict.fromkeys((row["combination"], row["outcome"]) for row in rows):
        own = [row for row in rows if (row["combination"], row["outcome"]) == (kind, outcome)]
        row = min(own, key=lambda row: abs(row["decoded_fraction"] - decoded))
        ends = (100 * row["low"], 100 * row["high"])
        without = 100 * row["plain"]
        gain = Gain(without, without + 100 * row["value"], *ends, row["step"], row["time"], "CPU time")
        found.append(HowOften(kind, outcome, score, row["decoded_fraction"], row["candidates"], row["prompts"], gain))
    return found


def is_measured(settings: DecodeSettings, own: DecodeConfig, one: HowOften) -> bool:
    """Whether a race was painted as the study was: the model's own settings, as many candidates, chosen once."""
    choice: dict[str, Any] = {"seed": 0, "candidates": 1, "selection": "once", "select_steps": (), "score": "cosine"}
    as_usual = replace(settings, **choice) == replace(DecodeSettings.of(own), **choice)
    return as_usual and settings.candidates == one.candidates and settings.selection == "once"


def how_often_words(one: HowOften) -> str:
    """A sentence: of how many prompts, chosen when, and against what."""
    interval = "" if math.isnan(one.gain.low) else f" [{one.gain.low:+.1f}, {one.gain.high:+.1f}]"
    return (
        f"{one.kind} combinations, {one.outcome}: of 100 prompts {one.gain.without:.1f} come out right with one "
        f"sample, {one.gain.chosen:.1f} with the one of {one.candidates} that is chosen at {one.decoded:.0%} of the "
        f"tokens ({one.gain.chosen - one.gain.without:+.1f}{interval}), in {one.gain.times:.1f} times the CPU time "
        f"({one.prompts} prompts)."
    )


def read_studies(path: Path = STUDIES) -> dict[str, list[dict[str, Any]]]:
    """Studies by the name of the weights; none without a file. Raises InputError for a damaged one."""
    if not path.is_file():
        return {}
    try:
        return read_json_object(path)
    except InputError as error:
        raise InputError(
            f"{path} is damaged ({error}): make it again with python -m workbench.choosing --keep"
        ) from None
