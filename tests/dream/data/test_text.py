"""Caption tokenizers: the shape of ids, reading back, saving, and CLIP's files."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import pre_tokenizers

from dream.data.text import SMALLEST_VOCABULARY, CaptionTokenizer, load_tokenizer, train_tokenizer
from dream.errors import InputError

CAPTIONS = [
    f"a {size} {colour} {shape} on a white background"
    for size in ("large", "small")
    for colour in ("red", "green", "blue", "orange")
    for shape in ("circle", "square", "triangle")
]


@pytest.fixture(scope="module")
def small() -> CaptionTokenizer:
    return train_tokenizer(CAPTIONS, vocab_size=400, context_length=16)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLIP's two files with three merges: bytes, bytes that end a word, merges, begin, end."""
    folder = tmp_path_factory.mktemp("clip")
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    assert sorted(letters) == sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = ["r e", "re d</w>", "c i"]
    words = letters + [c + "</w>" for c in letters] + [m.replace(" ", "") for m in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    return folder


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> CaptionTokenizer:
    return load_tokenizer(clip_folder, 10)


def test_rows_begin_end_and_are_padded_with_zeros(small: CaptionTokenizer) -> None:
    ids = small.token_ids(["a red circle", "", "a large green triangle on a white background " * 9])
    assert ids.shape == (3, 16) and ids.dtype == torch.long
    assert (ids[:, 0] == small.begin_id).all()
    assert (ids == small.end_id).sum(dim=1).tolist() == [1, 1, 1]
    assert (ids.argmax(dim=1) == (ids == small.end_id).long().argmax(dim=1)).all()
    assert ids[1].tolist() == [small.begin_id, small.end_id] + [0] * 14
    assert ids[2, -1] == small.end_id
    assert small.token_ids([]).shape == (0, 16)


def test_ids_are_contiguous_and_the_end_is_the_last(small: CaptionTokenizer) -> None:
    assert small.end_id == small.vocab_size - 1 == small.begin_id + 1
    assert small.vocab_size <= 400
    assert int(small.token_ids(CAPTIONS).max()) == small.end_id and small.pad_id == 0


def test_captions_read_back_in_lower_case(small: CaptionTokenizer) -> None:
    texts = ["A large RED circle", "  two\n spaces ", "ümläut", "日本", ""]
    back = small.text_of(small.token_ids(texts))
    assert back == ["a large red circle", "two spaces", "ümläut", "日本", ""]


def test_white_space_and_case_do_not_matter(small: CaptionTokenizer) -> None:
    one, other = small.token_ids(["a red circle", " A  Red\tcircle\n"])
    assert torch.equal(one, other)


def test_words_of_the_captions_are_one_token(small: CaptionTokenizer) -> None:
    assert int((small.token_ids(["a large red circle"]) > 0).sum()) == 6


def test_special_words_in_a_caption_are_only_text(small: CaptionTokenizer, clip: CaptionTokenizer) -> None:
    for tokenizer, words in ((small, "<end> <pad>"), (clip, "<|endoftext|>")):
        ids = tokenizer.token_ids([words])[0]
        assert int((ids == tokenizer.end_id).sum()) == 1
        assert ids[1] not in (tokenizer.begin_id, tokenizer.end_id, tokenizer.pad_id)


def test_training_is_deterministic_in_the_captions() -> None:
    first = train_tokenizer(CAPTIONS, 300, 16)
    for _ in range(3):
        assert torch.equal(train_tokenizer(CAPTIONS, 300, 16).token_ids(CAPTIONS), first.token_ids(CAPTIONS))


def test_saved_tokenizers_give_the_same_ids(small: CaptionTokenizer, clip: CaptionTokenizer, tmp_path: Path) -> None:
    for name, tokenizer in (("small", small), ("clip", clip)):
        texts = [*CAPTIONS, "Red ümläut", "<end> <|endoftext|>"]
        tokenizer.save(tmp_path / name)
        again = load_tokenizer(tmp_path / name, tokenizer.context_length)
        assert torch.equal(again.token_ids(texts), tokenizer.token_ids(texts))
        assert again.text_of(again.token_ids(texts)) == tokenizer.text_of(tokenizer.token_ids(texts))
        assert (again.vocab_size, again.end_id) == (tokenizer.vocab_size, tokenizer.end_id)
        assert load_tokenizer(tmp_path / name, 7).token_ids(texts).shape[1] == 7


def test_clips_files_give_clips_ids(clip: CaptionTokenizer) -> None:
    vocabulary = 256 + 256 + 3 + 2
    assert (clip.vocab_size, clip.begin_id, clip.end_id) == (vocabulary, vocabulary - 2, vocabulary - 1)
    ids = clip.token_ids(["Red  red", "a b c d e f g h i j k"])
    assert ids[0].tolist() == [clip.begin_id, 513, 513, clip.end_id] + [0] * 6
    assert ids[1, -1] == clip.end_id and ids[1, 0] == clip.begin_id
    assert clip.text_of(ids[:1]) == ["red red"]


@pytest.mark.parametrize("size", [0, SMALLEST_VOCABULARY - 1])
def test_a_vocabulary_without_room_for_bytes_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"at least {SMALLEST_VOCABULARY}"):
        train_tokenizer(CAPTIONS, size, 16)


def test_the_smallest_vocabulary_still_reads_everything() -> None:
    tokenizer = train_tokenizer(CAPTIONS, SMALLEST_VOCABULARY, 64)
    assert tokenizer.vocab_size == SMALLEST_VOCABULARY
    assert tokenizer.text_of(tokenizer.token_ids(["naïve: 日本"])) == ["naïve: 日本"]


def test_nothing_to_train_on_and_nothing_to_load_are_named(tmp_path: Path, small: CaptionTokenizer) -> None:
    with pytest.raises(InputError, match="no captions"):
        train_tokenizer(["", "  "], 400, 16)
    with pytest.raises(InputError, match="no folder"):
        load_tokenizer(tmp_path / "missing", 16)
    with pytest.raises(InputError, match="vocab.json and merges.txt missing"):
        load_tokenizer(tmp_path, 16)
    small.save(tmp_path / "cut")
    (tmp_path / "cut" / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load_tokenizer(tmp_path / "cut", 16)
