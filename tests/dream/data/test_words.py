"""Words of captions: how they are split in any script, and what a model keeps of those that it was trained on."""

import pytest

from dream.data import words
from dream.data.words import TrainingWords, words_in


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("A Red-circle, don't", ["a", "red", "circle", "don", "t"]),
        ("x_1 12.5% <b>", ["x", "1", "12", "5", "b"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("שלום, עולם", ["שלום", "עולם"]),
        ("一只象 ひと", ["一", "只", "象", "ひ", "と"]),
        ("ผู้", ["ผู้"]),
        ("🐘🦄 👨‍👩‍👧 👍🏽", ["🐘", "🦄", "👨‍👩‍👧", "👍🏽"]),
        (" !!! ", []),
        ("", []),
    ],
)
def test_a_text_is_split_into_words(text, split):
    assert [word for word, _, _ in words_in(text)] == split


def test_places_lie_in_the_text_as_it_is_written():
    text = "A cafe\u0301, 🐘!"
    assert [text[start:end] for _, start, end in words_in(text)] == ["A", "cafe\u0301", "🐘"]


def test_words_are_counted_and_come_back():
    found = TrainingWords.of(["a red circle", "A circle, a café 🐘"], every_caption=True)
    assert found.counts == {"a": 3, "red": 1, "circle": 2, "café": 1, "🐘": 1} and found.complete
    assert TrainingWords.from_json(found.to_json()) == found


def test_a_cut_list_says_that_it_is_not_complete(monkeypatch):
    assert not TrainingWords.of(["a"], every_caption=False).complete
    assert not TrainingWords.of(["a " + "x" * 61], every_caption=True).complete
    monkeypatch.setattr(words, "MOST_WORDS", 2)
    few = TrainingWords.of(["a b c", "a b"], every_caption=True)
    assert few.counts == {"a": 2, "b": 2} and not few.complete


OTHERS = {
    "": "Expecting value",
    "[" * 99_999: "nested too deeply",
    "[]": "training words",
    '{"format": 1, "words": []}': "training words",
    '{"format": 2, "words": {}}': "training words",
    '{"format": 1, "words": {"a": null}}': "training words",
}


@pytest.mark.parametrize(("text", "reason"), OTHERS.items(), ids=range(len(OTHERS)))
def test_another_file_is_a_value_error(text, reason):
    with pytest.raises(ValueError, match=reason):
        TrainingWords.from_json(text)
