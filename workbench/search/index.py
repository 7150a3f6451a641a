"""An index of a source's pictures in a model's joint space, with search for the nearest to a text or a picture.

Pictures are encoded with a share of their tokens hidden. Each picture has one random order of its tokens, and a mask
ratio hides the first tokens of it, so that a higher ratio hides everything that a lower one hides. Similarity is the
cosine of normalised features, in [-1, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.config import DreamConfig
from dream.data.transforms import BrokenPicture, center_crop, open_picture
from dream.errors import InputError
from dream.evaluation.classes.features import caption_features
from dream.evaluation.progress import Progress, quiet
from dream.masking import mask_from_order, num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.plain_text import require_text
from dream.randomness import generator
from workbench.sources.browse import Browsed, Sample, all_entries, read

CHUNK_TOKENS = 8192
"""Image tokens per forward pass; progress is reported between passes."""
CHUNK = 64
"""Pictures tokenized, or captions encoded, at once."""
MEMORY = 256 * 2**20
"""Bytes that the tokens and pixels of one index may take."""
MOST = 20_000
"""Maximal number of pictures in an index."""
UPLOAD_BYTES = 10 * 2**20
"""Maximal size of an uploaded picture's file."""


class Hit(NamedTuple):
    """A search result."""

    rank: int
    """From 1."""
    place: int
    """Number of the picture, or of the caption, in the index."""
    cosine: float


@dataclass(frozen=True)
class Looked:
    """A picture ready for the model."""

    name: str
    pixels: NDArray[np.uint8]
    """(3, S, S)."""
    tokens: Tensor
    """(N, D_tok)."""
    order: Tensor
    """(N,) long: the order in which its tokens are hidden."""
    place: int | None = None
    """Its number in the index, if it is from one."""


@dataclass(frozen=True)
class Index:
    """The first n readable pictures of a split."""

    names: tuple[str, ...]
    captions: tuple[str, ...]
    """One per picture."""
    pixels: NDArray[np.uint8]
    """(n, 3, S, S)."""
    tokens: Tensor
    """(n, N, D_tok)."""
    orders: Tensor
    """(n, N) long."""
    different: tuple[str, ...]
    """Captions without repetition, in order of appearance."""
    caption_features: Tensor
    """(c, E) of `different`."""
    skipped: int
    """Number of broken samples that were skipped."""
    more: bool
    """Whether the split has more pictures than the index."""
    features: dict[float, Tensor] = field(default_factory=dict)
    """(n, E) by mask ratio, for the ratios computed so far."""


def has_joint_space(config: DreamConfig) -> bool:
    """Whether the model was trained with the contrastive loss."""
    return config.objective.contrastive_weight > 0


def most_pictures(config: DreamConfig) -> int:
    """Number of pictures whose index fits into MEMORY."""
    image = config.image
    return min(MOST, MEMORY // (3 * image.size**2 + 4 * image.num_tokens * image.token_dim))


def build_index(pretrained: Pretrained, browsed: Browsed, count: int, progress: Progress = quiet) -> Index:
    """Builds the index of the first `count` readable pictures. `progress` may raise to stop it.

    Raises InputError for a model without a joint space, or if no picture can be read.
    """
    if not has_joint_space(pretrained.config):
        raise InputError("this model was trained without the contrastive loss: it has no joint space")
    size, skipped = pretrained.config.image.size, 0
    entries, samples = all_entries(browsed), []
    for entry in entries:
        sample = read(entry, size)
        if isinstance(sample, Sample):
            samples.append(sample)
        else:
            skipped += 1
        progress(0.3 * len(samples) / count, f"reading {len(samples):,} of {count:,} pictures")
        if len(samples) == count:
            break
    if not samples:
        raise InputError(f"none of the {skipped:,} samples of '{browsed.name}' can be read")
    more = len(samples) == count and next(entries, None) is not None
    pixels = np.stack([sample.pixels for sample in samples])
    captions = tuple(sample.caption for sample in samples)
    different = tuple(dict.fromkeys(captions))
    return Index(
        names=tuple(sample.name for sample in samples),
        captions=captions,
        pixels=pixels,
        tokens=_tokens(pretrained, pixels, progress),
        different=different,
        orders=sample_orders(len(samples), pretrained.config.image.num_tokens, generator("search orders")),
        caption_features=_captions(pretrained, different, progress),
        skipped=skipped,
        more=more,
    )


@torch.no_grad()
def features_at(pretrained: Pretrained, index: Index, ratio: float, progress: Progress = quiet) -> Tensor:
    """Features (n, E) of the index's pictures at a mask ratio, computed once per ratio."""
    if ratio not in index.features:
        features: list[Tensor] = []
        count = chunk(index.tokens.shape[1])
        for start in range(0, len(index.tokens), count):
            rows = slice(start, start + count)
            mask = hidden(pretrained, index.orders[rows], ratio)
            features.append(features_under(pretrained, index.tokens[rows], mask))
            share = min(1.0, (start + count) / len(index.tokens))
            progress(share, f"encoding the pictures with {100 * ratio:.0f} % hidden")
        index.features[ratio] = torch.cat(features)
    return index.features[ratio]


@torch.no_grad()
def features_under(pretrained: Pretrained, tokens: Tensor, mask: Tensor) -> Tensor:
    """Normalised features (B, E) of pictures (B, N, D_tok) under masks (B, N) that hide equally many tokens."""
    device = next(pretrained.model.parameters()).device
    tokens, mask = tokens.to(device), mask.to(device)
    return pretrained.model.image_features(pretrained.model.encode(tokens, mask), mask).float().cpu()


def hidden(pretrained: Pretrained, orders: Tensor, ratio: float) -> Tensor:
    """Masks (B, N) of the first tokens in each order at a mask ratio; at least one token stays visible."""
    tokens = pretrained.config.image.num_tokens
    return mask_from_order(orders, min(tokens - 1, num_masked(ratio, tokens)))


def chunk(num_tokens: int) -> int:
    """Number of pictures of `num_tokens` tokens per forward pass."""
    return max(8, min(256, CHUNK_TOKENS // num_tokens))


def text_features(pretrained: Pretrained, text: str) -> Tensor:
    """Normalised features (E,) of a text. Raises InputError if it is empty, or not plain text."""
    if not require_text(text, "the search text").strip():
        raise InputError("the search text is empty")
    return caption_features(pretrained, [" ".join(text.split())])[0]


def looked_up(index: Index, place: int) -> Looked:
    """A picture of the index."""
    name, pixels = index.names[place], index.pixels[place]
    return Looked(name, pixels, index.tokens[place], index.orders[place], place)


@torch.no_grad()
def looked_at(pretrained: Pretrained, name: str, content: bytes) -> Looked:
    """An uploaded picture, cropped to the model's size. Raises InputError if it cannot be used."""
    if len(content) > UPLOAD_BYTES:
        raise InputError(f"{name} is larger than {UPLOAD_BYTES // 2**20} MB: upload a smaller file")
    config = pretrained.config.image
    try:
        square = center_crop(open_picture(content).rgb, config.size)
    except BrokenPicture as error:
        raise InputError(f"{name} cannot be used as a picture: {error}") from error
    pixels = np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))
    tokens = pretrained.image_tokenizer.tokenize(torch.from_numpy(pixels)[None]).cpu()[0]
    return Looked(name, pixels, tokens, sample_orders(1, config.num_tokens, generator("search upload"))[0])


def looked_features(pretrained: Pretrained, picture: Looked, ratio: float) -> Tensor:
    """Normalised features (E,) of one picture at a mask ratio, hidden in its own order."""
    mask = hidden(pretrained, picture.order[None], ratio)
    return features_under(pretrained, picture.tokens[None], mask)[0]


def nearest(features: Tensor, query: Tensor, count: int, without: int | None = None) -> list[Hit]:
    """The `count` rows of `features` (n, E) with the highest cosine to `query` (E,); ties keep their order.

    Row `without` (the query itself) is left out.
    """
    cosine = features @ query
    if without is not None:
        cosine[without] = -torch.inf
    order = cosine.argsort(descending=True, stable=True)[: min(count, len(cosine) - (without is not None))]
    return [Hit(rank, int(place), float(cosine[place])) for rank, place in enumerate(order, start=1)]


def cosines(features: Tensor, query: Tensor) -> NDArray[np.float64]:
    """Cosines (n,) of `features` (n, E) with `query` (E,)."""
    return (features @ query).double().numpy()


def other_captions(index: Index, text: str) -> Tensor:
    """Features (c, E) of the index's captions except this text."""
    kept = [place for place, caption in enumerate(index.different) if caption.casefold() != text.casefold()]
    return index.caption_features[kept]


def ranks_of(features: Tensor, query: Tensor, places: Sequence[int]) -> list[int]:
    """Ranks (from 1) of the rows `places` of `features` (n, E) for `query` (E,)."""
    order = (features @ query).argsort(descending=True, stable=True)
    rank = torch.empty_like(order).scatter(0, order, torch.arange(1, len(order) + 1))
    return [int(rank[place]) for place in places]


def places_with_caption(index: Index, text: str) -> list[int]:
    """Numbers of the pictures whose caption is this text, in any case."""
    wanted = " ".join(text.casefold().split())
    return [place for place, caption in enumerate(index.captions) if caption.casefold() == wanted]


def _tokens(pretrained: Pretrained, pixels: NDArray[np.uint8], progress: Progress) -> Tensor:
    tokens = []
    with torch.no_grad():
        for start in range(0, len(pixels), CHUNK):
            images = torch.from_numpy(pixels[start : start + CHUNK])
            tokens.append(pretrained.image_tokenizer.tokenize(images).cpu())
            progress(0.3 + 0.4 * start / len(pixels), "turning pictures into tokens")
    return torch.cat(tokens)


def _captions(pretrained: Pretrained, captions: Sequence[str], progress: Progress) -> Tensor:
    features = []
    for start in range(0, len(captions), CHUNK):
        features.append(caption_features(pretrained, captions[start : start + CHUNK]))
        progress(0.7 + 0.3 * start / len(captions), "encoding the captions")
    return torch.cat(features)
