"""An index of a source's pictures in a model's joint space, and what is nearest to a text or a picture.

A picture is looked at with a share of its tokens hidden. Each picture has one random order of its tokens, of
which every ratio hides the first part, so that a higher ratio hides what a lower one hid and more. Similarity
is the cosine of normalised features, in [-1, 1].
"""

from collections.abc import Callable, Sequence
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
from dream.masking import mask_from_order, num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.randomness import generator
from workbench.sources.browse import Browsed, Sample, all_entries, read

CHUNK_TOKENS = 8192
"""Tokens of pictures that go through the model at once; between chunks progress is told."""
CHUNK = 64
"""Captions that do."""
MEMORY = 256 * 2**20
"""Bytes that the tokens and pictures of one index may take."""
MOST = 20_000
"""Pictures that an index never has more of."""
UPLOAD_BYTES = 10 * 2**20
"""Greatest file of a picture that is dropped."""

Tell = Callable[[float, str], None]


class Hit(NamedTuple):
    """One of the nearest."""

    rank: int
    """From 1."""
    place: int
    """Its number among the index's pictures, or among its captions."""
    cosine: float


@dataclass(frozen=True)
class Looked:
    """A picture as a model takes it."""

    name: str
    pixels: NDArray[np.uint8]
    """(3, S, S)."""
    tokens: Tensor
    """(N, D_tok)."""
    order: Tensor
    """(N,) long: the order in which its tokens are hidden."""
    place: int | None = None
    """Its number in an index."""


@dataclass(frozen=True)
class Index:
    """The first n readable pictures of a split."""

    names: tuple[str, ...]
    captions: tuple[str, ...]
    """One a picture."""
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
    """Broken samples that were met on the way."""
    more: bool
    """Whether the split has more pictures than were asked for."""
    features: dict[float, Tensor] = field(default_factory=dict)
    """(n, E) by mask ratio, as far as they were wanted."""


def has_joint_space(config: DreamConfig) -> bool:
    """Whether the model was trained to tell captions apart at all."""
    return config.objective.contrastive_weight > 0


def most_pictures(config: DreamConfig) -> int:
    """Pictures of which an index fits into MEMORY."""
    image = config.image
    return min(MOST, MEMORY // (3 * image.size**2 + 4 * image.num_tokens * image.token_dim))


def build_index(pretrained: Pretrained, browsed: Browsed, count: int, tell: Tell = lambda share, text: None) -> Index:
    """The index of the first `count` readable pictures. `tell` may raise to end it.

    Raises InputError for a model without a joint space, and where not one picture can be read.
    """
    if not has_joint_space(pretrained.config):
        raise InputError("this model was trained without the contrastive loss: it has no joint space")
    size, skipped = pretrained.config.image.size, 0
    entries, samples = all_entries(browsed), []
    for entry in entries:
        found = read(entry, size)
        if isinstance(found, Sample):
            samples.append(found)
        else:
            skipped += 1
        tell(0.3 * len(samples) / count, f"reading {len(samples):,} of {count:,} pictures")
        if len(samples) == count:
            break
    if not samples:
        raise InputError(f"not one of the {skipped:,} samples of '{browsed.name}' can be read")
    more = len(samples) == count and next(entries, None) is not None
    pixels = np.stack([sample.pixels for sample in samples])
    captions = tuple(sample.caption for sample in samples)
    different = tuple(dict.fromkeys(captions))
    return Index(
        names=tuple(sample.name for sample in samples),
        captions=captions,
        pixels=pixels,
        tokens=_tokens(pretrained, pixels, tell),
        different=different,
        orders=sample_orders(len(samples), pretrained.config.image.num_tokens, generator("search orders")),
        caption_features=_captions(pretrained, different, tell),
        skipped=skipped,
        more=more,
    )


@torch.no_grad()
def features_at(pretrained: Pretrained, index: Index, ratio: float, tell: Tell = lambda share, text: None) -> Tensor:
    """(n, E) features of the index's pictures at a mask ratio; computed once."""
    if ratio not in index.features:
        found: list[Tensor] = []
        count = chunk(index.tokens.shape[1])
        for start in range(0, len(index.tokens), count):
            part = slice(start, start + count)
            found.append(features_under(pretrained, index.tokens[part], hidden(pretrained, index.orders[part], ratio)))
            share = min(1.0, (start + count) / len(index.tokens))
            tell(share, f"looking at the pictures with {100 * ratio:.0f} % hidden")
        index.features[ratio] = torch.cat(found)
    return index.features[ratio]


@torch.no_grad()
def features_under(pretrained: Pretrained, tokens: Tensor, mask: Tensor) -> Tensor:
    """(B, E) normalised features of pictures (B, N, D_tok) under masks (B, N) that hide equally many."""
    device = next(pretrained.model.parameters()).device
    tokens, mask = tokens.to(device), mask.to(device)
    return pretrained.model.image_features(pretrained.model.encode(tokens, mask), mask).float().cpu()


def hidden(pretrained: Pretrained, orders: Tensor, ratio: float) -> Tensor:
    """(B, N) masks at a ratio, the first part of each order; one token at least stays visible."""
    tokens = pretrained.config.image.num_tokens
    return mask_from_order(orders, min(tokens - 1, num_masked(ratio, tokens)))


def chunk(num_tokens: int) -> int:
    """Pictures of so many tokens that go through the model at once."""
    return max(8, min(256, CHUNK_TOKENS // num_tokens))


def text_features(pretrained: Pretrained, text: str) -> Tensor:
    """(E,) normalised features of a text. Raises InputError for an empty one."""
    if not text.strip():
        raise InputError("there is no text to search for")
    return caption_features(pretrained, [" ".join(text.split())])[0]


def looked_up(index: Index, place: int) -> Looked:
    """A picture of the index."""
    name, pixels = index.names[place], index.pixels[place]
    return Looked(name, pixels, index.tokens[place], index.orders[place], place)


@torch.no_grad()
def looked_at(pretrained: Pretrained, name: str, content: bytes) -> Looked:
    """A picture that a user brought, cropped to the model's square. Raises InputError for none."""
    if len(content) > UPLOAD_BYTES:
        raise InputError(f"{name} is larger than {UPLOAD_BYTES // 2**20} MB: save it smaller")
    config = pretrained.config.image
    try:
        square = center_crop(open_picture(content).rgb, config.size)
    except BrokenPicture as error:
        raise InputError(f"{name} is no picture that can be used: {error}") from error
    pixels = np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))
    tokens = pretrained.image_tokenizer.tokenize(torch.from_numpy(pixels)[None]).cpu()[0]
    return Looked(name, pixels, tokens, sample_orders(1, config.num_tokens, generator("search upload"))[0])


def looked_features(pretrained: Pretrained, picture: Looked, ratio: float) -> Tensor:
    """(E,) normalised features of one picture at a mask ratio, by its own order."""
    mask = hidden(pretrained, picture.order[None], ratio)
    return features_under(pretrained, picture.tokens[None], mask)[0]


def nearest(features: Tensor, query: Tensor, count: int, without: int | None = None) -> list[Hit]:
    """The `count` rows of features (n, E) with the greatest cosine to a query (E,), equal ones in order.

    Row `without` (the query itself) has no rank.
    """
    cosine = features @ query
    if without is not None:
        cosine[without] = -torch.inf
    order = cosine.argsort(descending=True, stable=True)[: min(count, len(cosine) - (without is not None))]
    return [Hit(rank, int(place), float(cosine[place])) for rank, place in enumerate(order, start=1)]


def cosines(features: Tensor, query: Tensor) -> NDArray[np.float64]:
    """(n,) cosines of features (n, E) with a query (E,)."""
    return (features @ query).double().numpy()


def other_captions(index: Index, text: str) -> Tensor:
    """(c, E) features of the index's captions but the one that is this text."""
    kept = [place for place, caption in enumerate(index.different) if caption.casefold() != text.casefold()]
    return index.caption_features[kept]


def ranks_of(features: Tensor, query: Tensor, places: Sequence[int]) -> list[int]:
    """The rank (from 1) of some rows of features (n, E) for a query (E,)."""
    order = (features @ query).argsort(descending=True, stable=True)
    rank = torch.empty_like(order).scatter(0, order, torch.arange(1, len(order) + 1))
    return [int(rank[place]) for place in places]


def places_with_caption(index: Index, text: str) -> list[int]:
    """The pictures whose caption is this text (in any case)."""
    wanted = " ".join(text.casefold().split())
    return [place for place, caption in enumerate(index.captions) if caption.casefold() == wanted]


def _tokens(pretrained: Pretrained, pixels: NDArray[np.uint8], tell: Tell) -> Tensor:
    found = []
    with torch.no_grad():
        for start in range(0, len(pixels), CHUNK):
            found.append(pretrained.image_tokenizer.tokenize(torch.from_numpy(pixels[start : start + CHUNK])).cpu())
            tell(0.3 + 0.4 * start / len(pixels), "pictures to tokens")
    return torch.cat(found)


def _captions(pretrained: Pretrained, captions: Sequence[str], tell: Tell) -> Tensor:
    found = []
    for start in range(0, len(captions), CHUNK):
        found.append(caption_features(pretrained, captions[start : start + CHUNK]))
        tell(0.7 + 0.3 * start / len(captions), "looking at the captions")
    return torch.cat(found)
