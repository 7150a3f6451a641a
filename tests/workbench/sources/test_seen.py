"""Tokens of a caption, and a picture after the image tokenizer."""

import numpy as np
import pytest
import torch

from dream.errors import InputError
from tests.workbench.search.search_small import small_config, small_tokenizer
from workbench.sources.seen import and_back, eyes_of_model, eyes_of_training, tokens_of

TOKENIZER = small_tokenizer(small_config())


def kinds(caption):
    return [token.kind for token in tokens_of(TOKENIZER, caption)]


@pytest.mark.parametrize("caption", ["a red square", "a blue 😀 in a house: it rains", ""])
def test_kept_tokens_are_those_that_the_model_reads(caption):
    kept = [token.id for token in tokens_of(TOKENIZER, caption) if token.kind != "cut"]
    read = TOKENIZER.token_ids([caption])[0].tolist()
    assert kept == read[: len(kept)] and not any(read[len(kept) :])


def test_known_words_are_tokens_and_others_are_spelled():
    assert kinds("a red square") == ["begin", "known", "known", "known", "end"]
    assert "spelled" in kinds("zebu") and "spelled" not in kinds("a")


def test_what_is_too_long_is_marked_cut():
    caption = "a red square " * 5
    assert kinds(caption).count("cut") == TOKENIZER.lengths([caption])[0] - 6
    assert kinds(caption)[7] == "end"


def test_a_character_of_several_bytes_says_which_byte():
    texts = [token.text for token in tokens_of(TOKENIZER, "😀")]
    assert "😀 1/4" in texts and "😀 4/4" in texts


def test_pixels_come_back_exactly_and_errors_are_in_levels():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 30, 30)).astype(np.uint8)
    back = and_back(eyes_of_model("demo").image_tokenizer, pixels)
    assert (back.pictures == pixels).all() and not back.mean_error.any()

    class Dark:
        def tokenize(self, images, generator=None):
            return images.float()

        def to_pixels(self, tokens):
            return (tokens / 255 - 10 / 255).clamp(0, 1)

        def to(self, device: torch.device):
            return self

    worse = and_back(Dark(), np.full((1, 3, 4, 4), 100, np.uint8))
    assert worse.mean_error.tolist() == [10.0] and worse.greatest_error.tolist() == [10]


def test_a_training_would_learn_the_words_of_the_source():
    eyes = eyes_of_training("shapes", level=0)
    assert eyes.exact and eyes.config.data.level == 0
    assert {token.kind for token in tokens_of(eyes.tokenizer, "a red circle")} == {"begin", "known", "end"}


def test_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such model"):
        eyes_of_model(str(tmp_path / "absent"))
