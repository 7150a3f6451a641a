"""Suggestions are what the captions say, whole or in two parts, and lie beside the model."""

import pytest

from dream.data.phrasings import Phrased
from dream.data.suggestions import MOST_ENDINGS, Suggestions
from dream.data.text import load_tokenizer, train_tokenizer
from dream.data.words import TrainingWords

STYLED = [f"thing {n}, {style}" for n in range(20) for style in ("ink", "flat")]


def test_captions_that_end_in_few_ways_come_in_two_parts():
    known = Suggestions.of(STYLED)
    assert known.starts == tuple(f"thing {n}" for n in range(20)) and set(known.endings) == {"ink", "flat"}
    assert {known.prompt(start, end) for start in known.starts for end in known.endings} == set(STYLED)


@pytest.mark.parametrize(
    "captions",
    [
        ["a cat", "a dog", "a cat"],
        [f"one, {n}" for n in range(MOST_ENDINGS * 9)],
        [*STYLED, *(f"another caption {n}" for n in range(20))],
        ["x, only one ending", "y, only one ending"],
    ],
)
def test_other_captions_are_whole(captions):
    known = Suggestions.of(captions)
    assert known.endings == () and known.starts == tuple(dict.fromkeys(captions))
    assert known.prompt(known.starts[0]) == captions[0]


def test_other_phrasings_are_no_suggestions():
    phrased = [Phrased.of(caption, (("whatever",),)) for caption in STYLED]
    assert Suggestions.of([*phrased, "tag, ink", "ink thing"]) == Suggestions.of(STYLED)


def test_long_captions_are_no_suggestions():
    assert Suggestions.of(["short", "long " * 40]).starts == ("short",)


def test_a_saved_tokenizer_keeps_them(tmp_path):
    train_tokenizer(STYLED, 400, 12).save(tmp_path)
    words = load_tokenizer(tmp_path, 12).words
    assert words is not None and words.suggestions == Suggestions.of(STYLED)


def test_models_of_before_have_none():
    words = TrainingWords.from_json('{"format": 1, "complete": true, "words": {"a": 1}}')
    assert words.suggestions == Suggestions()
    with pytest.raises(ValueError, match="suggestions"):
        TrainingWords.from_json('{"format": 1, "complete": true, "words": {"a": 1}, "starts": [1]}')
