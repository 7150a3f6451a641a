"""Words are shown as they were written, whatever tokens they are read as: one row per kind of text."""

import pytest

from dream.pretrained import load_pretrained
from workbench.decode.words import END, PADDING, START, caption_words

TEXTS = {
    "letters with accents": ("a Zürich café", ["a", "Zürich", "café"]),
    "an emoji of four bytes": ("a 🙂 face", ["a", "🙂", "face"]),
    "a family joined of three": ("👩\u200d👩\u200d👧", ["👩\u200d👩\u200d👧"]),
    "a script without spaces": ("圆圈", ["圆圈"]),
    "a letter and its mark apart": ("e\u0301te", ["e\u0301te"]),
    "unknown words": ("qzx it's", ["qzx", "it", "'s"]),
    "capitals": ("A RED Circle", ["A", "RED", "Circle"]),
}


@pytest.fixture(scope="module")
def demo():
    """The shipped model."""
    return load_pretrained("demo")


@pytest.mark.parametrize("kind", TEXTS)
def test_a_word_is_shown_once_and_as_written(demo, kind):
    text, words = TEXTS[kind]
    assert [word for word, _ in caption_words(demo, text) if word not in (START, END, PADDING)] == words


class T5Tokens:
    """A tokenizer of T5's kind that spells rare characters in bytes."""

    tokens = ("▁a", "▁Z", "<0xC3>", "<0xBC>", "rich", "▁", "<0xF0>", "<0x9F>", "<0x99>", "<0x82>", "</s>")

    def __call__(self, prompt, **options):
        """Ids, one per token."""
        return type("Encoding", (), {"input_ids": list(range(len(self.tokens)))})

    def convert_ids_to_tokens(self, ids):
        """Tokens of the ids."""
        return [self.tokens[i] for i in ids]


def test_bytes_of_t5_are_characters_again():
    from types import SimpleNamespace

    conditioning = SimpleNamespace(tokenizer=T5Tokens(), length=12)
    config = SimpleNamespace(text=SimpleNamespace(conditioning="t5"))
    words = caption_words(SimpleNamespace(config=config, conditioning=conditioning), "a Zürich 🙂")
    assert words == [("a", [0]), ("Zürich", [1, 2, 3, 4]), ("🙂", [5, 6, 7, 8, 9]), (END, [10]), (PADDING, [11])]
