"""What a model reads of a prompt: where it stops, and which words it never saw."""

import time

import pytest

from dream.data.reading import Extent, PromptReader, shortened
from dream.data.text import CaptionTokenizer, Piece, load_tokenizer, train_tokenizer
from dream.data.words import TrainingWords
from dream.pretrained import open_prompt_reader

CAPTIONS = [f"a {colour} {shape}" for colour in ("red", "green", "blue") for shape in ("circle", "square")]


class Spaced:
    """A reader whose tokens are the words between spaces; `tokens` names those that it knows."""

    def __init__(self, room: int, unknown: str = "") -> None:
        self.room, self.unknown = room, unknown

    def pieces(self, caption: str) -> list[Piece]:
        found, at = [], 0
        for number, word in enumerate(caption.split(" ")):
            token = "<unk>" if word == self.unknown else word
            found.append(Piece(number, token, word, number, at, at + len(word)))
            at += len(word) + 1
        return found


def small(length: int = 16, every_caption: bool = True) -> CaptionTokenizer:
    return train_tokenizer(CAPTIONS, 400, length, every_caption)


def reader(tokenizer: CaptionTokenizer) -> PromptReader:
    return PromptReader(tokenizer, tokenizer, tokenizer.words)


def test_a_prompt_of_known_words_that_fits_needs_no_remark():
    reading = reader(small()).read("A  red\ncircle, a blue square")
    assert reading.remark == "" and reading.unseen == () and len(reading.words) == 6
    assert reading.to_dict() == {"words": 6, "read": "A red circle, a blue square", "words_read": 6, "remark": ""}


LONG = ("a red circle " * 9, "a 🐘🐘🐘🐘 🦄", "x" * 99, "एक लाल वृत्त " * 3, "!" * 40, "a é " * 8)


@pytest.mark.parametrize("prompt", LONG)
def test_what_is_said_to_be_read_is_what_the_ids_hold(prompt):
    tokenizer = small(12)
    reading = reader(tokenizer).read(prompt)
    assert reading.painted is not None
    kept = tokenizer.pieces(reading.prompt)[: tokenizer.room]
    assert tokenizer.token_ids([prompt])[0, 1:11].tolist() == [piece.id for piece in kept]
    assert kept[-1].start <= reading.painted.characters <= kept[-1].end < len(reading.prompt)
    assert reading.painted.words == sum(word.end <= reading.painted.characters for word in reading.words)


def test_a_long_prompt_says_how_many_words_are_read_and_which():
    reading = reader(small(8)).read("a red circle a blue square in the sun")
    assert reading.remark == "the model reads 6 of 9 words: 'a red circle a blue square'"
    assert [word.read for word in reading.words] == [True] * 6 + [False] * 3
    assert reading.to_dict()["words_read"] == 6 and reading.unseen == ()


def test_a_word_of_known_pieces_that_training_never_showed_is_unseen():
    reading = reader(small(30)).read("a redred circle, ELEPHANT")
    assert reading.unseen == ("redred", "ELEPHANT")
    assert reading.remark == "the model never saw: 'redred', 'ELEPHANT'"


def test_with_a_part_of_the_captions_known_never_is_not_claimed():
    assert reader(small(every_caption=False)).read("a cube").remark == "the model rarely or never saw: 'cube'"


def test_without_a_list_a_word_in_letters_is_said_to_be_spelled():
    tokenizer = small()
    reading = PromptReader(tokenizer, tokenizer, None).read("a red zqxj circle 🐘")
    assert reading.remark == "the model reads in single letters or bytes: 'zqxj', '🐘'"


def test_two_readers_with_limits_of_their_own_are_told_apart():
    reading = PromptReader(Spaced(4, "🐘"), Spaced(2), None).read("a b 🐘 d e")
    assert reading.painted == Extent(7, 4) and reading.scored == Extent(3, 2)
    assert reading.remark == "the decoder reads 4 of 5 words: 'a b 🐘 d'; the alignment score reads 2 of 5 words: 'a b'"
    assert reading.to_dict()["scored"] == "a b" and reading.to_dict()["read"] == "a b 🐘 d"
    assert PromptReader(None, Spaced(2), None).read("a b c").remark == "the model reads 2 of 3 words: 'a b'"


def test_a_word_without_a_token_is_named():
    assert PromptReader(Spaced(9, "🐘"), Spaced(9), None).read("a 🐘").remark == "the decoder has no token for: '🐘'"


def test_many_unseen_words_are_counted_and_long_texts_shortened():
    remark = PromptReader(Spaced(99), None, TrainingWords({}, True)).read(" ".join(map(str, range(30)))).remark
    assert remark.endswith("'7' and 22 more")
    assert shortened("abcdefghi" * 3, 15) == "abcde ... efghi" and shortened("abc", 3) == "abc"


@pytest.mark.parametrize("prompt", ["a red circle " * 8_000, "a" * 100_000, "🐘" * 100_000])
def test_a_very_long_prompt_takes_seconds_at_most(prompt):
    began = time.process_time()
    assert len(reader(small()).read(prompt).remark) < 400
    assert time.process_time() - began < 10


def test_the_shipped_model_knows_the_words_of_its_grammar():
    shipped = open_prompt_reader("demo")
    prompt = "an orange triangle right of a purple cross on a grey background"
    assert shipped.read(prompt).remark == ""
    assert shipped.read("a pink elephant").remark == "the model never saw: 'pink', 'elephant'"


def test_a_tokenizer_keeps_its_words_on_disk(tmp_path):
    tokenizer = small()
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path, 16).words == tokenizer.words
    (tmp_path / "words.json").write_text("[]")
    with pytest.raises(ValueError, match="damaged"):
        load_tokenizer(tmp_path, 16)
    (tmp_path / "words.json").unlink()
    assert load_tokenizer(tmp_path, 16).words is None
