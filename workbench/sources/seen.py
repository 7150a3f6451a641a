"""A source through a model's tokenizers: the tokens of a caption, and a picture decoded from its image tokens.

Neither needs the model's weights.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dream.config import DreamConfig
from dream.data.sources import open_source
from dream.data.text import CaptionTokenizer, load_tokenizer
from dream.model.latents import ImageTokenizer, build_image_tokenizer
from dream.presets import tiny
from dream.pretrained import checkpoint_of
from dream.training.checkpoint import read_state
from dream.training.parts import obtain_tokenizer

Kind = Literal["begin", "known", "spelled", "unknown", "end", "cut"]
MEANINGS: dict[Kind, str] = {
    "begin": "begin of the caption",
    "known": "a token of the vocabulary",
    "spelled": "a single byte of a word that the vocabulary does not know",
    "unknown": "not in the vocabulary",
    "end": "end of the caption",
    "cut": "beyond the context length of the model: cut off",
}
SUFFIX, BLANK = "</w>", "Ġ"
"""CLIP's mark for the end of a word, and byte-level BPE's mark for a blank."""


@dataclass(frozen=True)
class Eyes:
    """The caption tokenizer and the image tokenizer of a model."""

    name: str
    """Name of the model."""
    config: DreamConfig
    tokenizer: CaptionTokenizer
    image_tokenizer: ImageTokenizer

    @property
    def exact(self) -> bool:
        """Whether pictures are recovered exactly from their tokens."""
        return self.config.image.tokenizer == "pixels"


class Token(NamedTuple):
    """A token of a caption, for display."""

    id: int
    text: str
    kind: Kind


class Returned(NamedTuple):
    """Pictures encoded into tokens and decoded again."""

    pictures: NDArray[np.uint8]
    """(B, 3, S, S)."""
    mean_error: NDArray[np.float64]
    """(B,): mean absolute difference in 8-bit levels."""
    greatest_error: NDArray[np.int64]
    """(B,): maximal absolute difference in 8-bit levels."""


def config_of_model(model: str) -> DreamConfig:
    """The configuration of a run, checkpoint or shipped model. Raises InputError if there is none."""
    return read_state(checkpoint_of(Path(model))).config


def eyes_of_model(model: str) -> Eyes:
    """Loads the tokenizers of a run, checkpoint or shipped model, but not its weights.

    Raises InputError if there is none, or if its VAE cannot be loaded.
    """
    folder = checkpoint_of(Path(model))
    config = read_state(folder).config
    tokenizer = load_tokenizer(folder / "tokenizer", config.text.context_length)
    return Eyes(model, config, tokenizer, build_image_tokenizer(config.image))


def eyes_of_training(source: str, level: int = 1) -> Eyes:
    """The tokenizers that a training of the preset `tiny` on this source would have.

    Reads up to 20,000 captions of the training split. Raises InputError like `open_source`.
    """
    config = tiny()
    config = replace(config, data=replace(config.data, level=level))
    tokenizer = obtain_tokenizer(config, open_source(source, config), None)
    return Eyes("tiny", config, tokenizer, build_image_tokenizer(config.image))


def tokens_of(tokenizer: CaptionTokenizer, caption: str) -> list[Token]:
    """Tokens of a caption with begin and end, followed by those that are cut off."""
    tokens = list(_inner(tokenizer, caption))
    kept, lost = tokens[: tokenizer.context_length - 2], tokens[tokenizer.context_length - 2 :]
    return [
        Token(tokenizer.begin_id, "begin", "begin"),
        *kept,
        Token(tokenizer.end_id, "end", "end"),
        *(token._replace(kind="cut") for token in lost),
    ]


def and_back(image_tokenizer: ImageTokenizer, pixels: NDArray[np.uint8]) -> Returned:
    """Encodes pictures (B, 3, S, S) into image tokens and decodes them again, with the error."""
    with torch.no_grad():
        tokens = image_tokenizer.tokenize(torch.from_numpy(pixels))
        back = (image_tokenizer.to_pixels(tokens) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    difference = np.abs(back.astype(np.int64) - pixels)
    return Returned(back, difference.mean(axis=(1, 2, 3)), difference.max(axis=(1, 2, 3)))


def _inner(tokenizer: CaptionTokenizer, caption: str) -> Iterator[Token]:
    pieces = tokenizer.pieces(caption)
    in_word = Counter(p.word for p in pieces)
    in_character = Counter((p.word, p.text) for p in pieces if p.token != BLANK)
    seen: Counter[tuple[int, str]] = Counter()
    for piece in pieces:
        bare = piece.token.removesuffix(SUFFIX)
        text = "␣" if bare == BLANK else piece.text.strip() or bare
        alone = len(bare) == 1 and in_word[piece.word] > 1
        if alone and bare != BLANK and not piece.text.isascii():  # a character of several bytes
            seen[piece.word, piece.text] += 1
            text = f"{text} {seen[piece.word, piece.text]}/{in_character[piece.word, piece.text]}"
        known: Kind = "spelled" if alone else "known"
        yield Token(piece.id, text, "unknown" if piece.id >= tokenizer.vocab_size else known)
