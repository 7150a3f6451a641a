"""Inputs that a model receives from a source: tokens of captions, and pictures after the image tokenizer.

Neither needs the weights of the model.
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
from dream.data.captions import USUAL, Names
from dream.data.reading import SUFFIX, spelled
from dream.data.sources import open_source
from dream.data.text import CaptionTokenizer, load_tokenizer
from dream.model.latents import ImageTokenizer, build_image_tokenizer
from dream.presets import tiny
from dream.pretrained import checkpoint_of
from dream.training.bundle import obtain_tokenizer
from dream.training.checkpoint import read_state

Kind = Literal["begin", "known", "spelled", "unknown", "end", "cut"]
MEANINGS: dict[Kind, str] = {
    "begin": "start of the caption",
    "known": "a token of the vocabulary",
    "spelled": "a single byte of a word outside the vocabulary",
    "unknown": "not in the vocabulary",
    "end": "end of the caption",
    "cut": "cut: beyond the context length of the model",
}
BLANK = "Ġ"
"""Mark for a space in byte-level BPE."""


@dataclass(frozen=True)
class Eyes:
    """Both tokenizers of a model."""

    name: str
    """Name of the model."""
    config: DreamConfig
    tokenizer: CaptionTokenizer
    image_tokenizer: ImageTokenizer

    @property
    def exact(self) -> bool:
        """Whether reconstruction from tokens is exact."""
        return self.config.image.tokenizer == "pixels"


class Token(NamedTuple):
    """A token of a caption, for display."""

    id: int
    text: str
    kind: Kind


class Returned(NamedTuple):
    """Pictures reconstructed from their tokens."""

    pictures: NDArray[np.uint8]
    """(B, 3, S, S)."""
    mean_error: NDArray[np.float64]
    """(B,) mean absolute difference, in 8-bit levels."""
    greatest_error: NDArray[np.int64]
    """(B,) maximum absolute difference."""


def config_of_model(model: str) -> DreamConfig:
    """Returns the configuration of a run, checkpoint or shipped model. Raises InputError if there is none."""
    return read_state(checkpoint_of(Path(model))).config


def eyes_of_model(model: str) -> Eyes:
    """Returns the tokenizers of a run, checkpoint or shipped model without reading its weights.

    Raises InputError if there is none, or its VAE cannot be loaded.
    """
    folder = checkpoint_of(Path(model))
    config = read_state(folder).config
    tokenizer = load_tokenizer(folder / "tokenizer", config.text.context_length)
    return Eyes(model, config, tokenizer, build_image_tokenizer(config.image))


def eyes_of_training(source: str, level: int = 1, names: Names = USUAL) -> Eyes:
    """Returns the tokenizers that a training of the preset `tiny` on this source would have.

    Reads up to 20,000 captions of the training split. Raises InputError as `open_source` does.
    """
    config = tiny()
    config = replace(config, data=replace(config.data, level=level, caption=names.caption, picture=names.picture))
    tokenizer = obtain_tokenizer(config, open_source(source, config), None)
    return Eyes("tiny", config, tokenizer, build_image_tokenizer(config.image))


def tokens_of(tokenizer: CaptionTokenizer, caption: str) -> list[Token]:
    """Returns the tokens of the caption with begin and end, then those that are cut."""
    tokens = list(_inner(tokenizer, caption))
    kept, lost = tokens[: tokenizer.room], tokens[tokenizer.room :]
    return [
        Token(tokenizer.begin_id, "begin", "begin"),
        *kept,
        Token(tokenizer.end_id, "end", "end"),
        *(token._replace(kind="cut") for token in lost),
    ]


def and_back(image_tokenizer: ImageTokenizer, pixels: NDArray[np.uint8]) -> Returned:
    """Encodes pictures (B, 3, S, S) with the image tokenizer and decodes them again; returns result and errors."""
    with torch.no_grad():
        tokens = image_tokenizer.tokenize(torch.from_numpy(pixels))
        back = (image_tokenizer.to_pixels(tokens) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    difference = np.abs(back.astype(np.int64) - pixels)
    return Returned(back, difference.mean(axis=(1, 2, 3)), difference.max(axis=(1, 2, 3)))


def _inner(tokenizer: CaptionTokenizer, caption: str) -> Iterator[Token]:
    pieces = tokenizer.pieces(caption)
    in_character = Counter((p.word, p.text) for p in pieces if p.token != BLANK)
    seen: Counter[tuple[int, str]] = Counter()
    for piece, alone in zip(pieces, spelled(pieces), strict=True):
        bare = piece.token.removesuffix(SUFFIX)
        text = "␣" if bare == BLANK else piece.text.strip() or bare
        if alone and bare != BLANK and not piece.text.isascii():  # a character of several bytes
            seen[piece.word, piece.text] += 1
            text = f"{text} {seen[piece.word, piece.text]}/{in_character[piece.word, piece.text]}"
        known: Kind = "spelled" if alone else "known"
        yield Token(piece.id, text, "unknown" if piece.id >= tokenizer.vocab_size else known)
