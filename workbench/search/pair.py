"""Which patches of a picture, and which words of a text, carry their cosine.

A patch's part is how much the cosine falls when it is hidden, in a context: some of the other patches are
hidden too. Three contexts: a share of the others (none of them at ratio 0), all of them, and the mean over
all numbers and choices of them (the Shapley value, whose parts add up to the cosine of the whole picture
minus that of an empty one). The encoder was trained on masked pictures, so nothing here is foreign to it. A
cosine is linear in the text's features: once a picture was looked at, every text's map is a product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.evaluation.classes.features import caption_features
from dream.masking import mask_from_order, num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.randomness import generator
from workbench.search.index import chunk, features_under, text_features

Way = Literal["shapley", "hide", "show"]
WAYS: dict[Way, str] = {"shapley": "fair share", "hide": "hide one", "show": "show one"}
"""Each way of measuring a patch's part, as pages call it."""
PASSES = 500
"""Looks at a picture that the walks of `features_along` may take in all, but for FEWEST walks."""
FEWEST, MANY = 4, 24
CONTEXTS = 6
"""Random contexts of a patch where a share of the others is hidden."""
BAND = (0.1, 0.9)
"""Quantiles over masks between which a curve's band lies."""

Tell = Callable[[float, str], None]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Walks:
    """A picture while it disappears, token by token, in some random orders."""

    orders: Tensor
    """(M, N) long."""
    features: Tensor
    """(N + 1, M, E): after k tokens of each order were hidden."""


class TextParts(NamedTuple):
    """A text, whole and with each of its words left out."""

    words: tuple[str, ...]
    whole: Tensor
    """(E,)."""
    without: Tensor
    """(W, E)."""


class Curve(NamedTuple):
    """Cosine by mask ratio: mean over masks, and the band between the quantiles BAND."""

    ratios: Array
    mean: Array
    low: Array
    high: Array
    others: Array | None
    """Mean cosine with other captions, where there are any."""


def features_along(pretrained: Pretrained, tokens: Tensor, tell: Tell = lambda share, text: None) -> Walks:
    """The features of a picture (N, D_tok) along random orders of hiding; `tell` may raise to end it."""
    count = len(tokens)
    many = max(FEWEST, min(MANY, PASSES // (count + 1)))
    orders = sample_orders(many, count, generator("walks"))
    found = []
    for masked in range(count + 1):
        tell(masked / (count + 1), f"looking at the picture with {masked} of {count} patches hidden")
        mask = mask_from_order(orders, masked)
        found.append(features_under(pretrained, tokens.expand(many, -1, -1), mask))
    return Walks(orders, torch.stack(found))


def parts_of_walks(walks: Walks) -> Tensor:
    """(N, E): each patch's part by its Shapley value, estimated from the walks.

    Their sum is exactly the mean feature of the whole picture minus that of an empty one.
    """
    return _by_patch(walks).mean(0)


def error_of_walks(walks: Walks, text: Tensor) -> float:
    """Standard error of a patch's part for a text (E,), over the walks: root mean square over the patches."""
    spread = (_by_patch(walks) @ text).std(0) / len(walks.orders) ** 0.5
    return float(spread.square().mean().sqrt())


def parts_in_context(
    pretrained: Pretrained, tokens: Tensor, ratio: float, tell: Tell = lambda share, text: None
) -> Tensor:
    """(N, E): each patch's part where this share of the *other* patches is hidden (1: all of them).

    The mean over CONTEXTS random choices of them, where there is a choice.
    """
    count = len(tokens)
    others = min(count - 1, num_masked(ratio, count - 1))
    many = CONTEXTS if 0 < others < count - 1 else 1
    with_it, without = _contexts(count, others, many)
    found = []
    for start in range(0, len(with_it), chunk(count)):
        tell(start / len(with_it), "hiding patches one at a time")
        pairs = [masks[start : start + chunk(count)] for masks in (with_it, without)]
        seen, gone = (features_under(pretrained, tokens.expand(len(m), -1, -1), m) for m in pairs)
        found.append(seen - gone)
    return torch.cat(found).view(count, many, -1).mean(1)


def text_parts(pretrained: Pretrained, text: str) -> TextParts:
    """The features of a text and of what is left without each word. Raises InputError for an empty text."""
    whole, words = text_features(pretrained, text), tuple(text.split())
    shorter = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    return TextParts(words, whole, caption_features(pretrained, shorter))


def patch_map(parts: Tensor, text: TextParts, word: int | None = None) -> Array:
    """(g, g): how much the cosine falls when each patch is hidden; of one word, how much of its part goes.

    A word's part of the cosine is what is lost when it is left out (see `word_parts`).
    """
    direction = text.whole if word is None else text.whole - text.without[word]
    side = round(len(parts) ** 0.5)
    return (parts @ direction).double().numpy().reshape(side, side)


def word_parts(walks: Walks, text: TextParts, ratio: float) -> Array:
    """(W,): how much the cosine falls when each word is left out, at a mask ratio (mean over masks)."""
    seen = walks.features[hidden_count(walks, ratio)].mean(0)  # (E,)
    return ((text.whole - text.without) @ seen).double().numpy()


def cosine_at(walks: Walks, text: Tensor, ratio: float) -> float:
    """The cosine of picture and text (E,) at a mask ratio: mean over masks."""
    return float((walks.features[hidden_count(walks, ratio)] @ text).mean())


def cosine_of_nothing(walks: Walks, text: Tensor) -> float:
    """The cosine of a text (E,) with a picture of which nothing is visible."""
    return float((walks.features[-1] @ text).mean())


def cosine_curve(walks: Walks, text: Tensor, others: Tensor | None = None) -> Curve:
    """Cosine with a text (E,) by mask ratio, from nothing hidden to everything; beside it other captions'."""
    cosine = (walks.features @ text).double().numpy()  # (N + 1, M)
    low, high = np.quantile(cosine, BAND, axis=1)
    ratios = np.linspace(0, 1, len(cosine))
    mean = None if others is None or not len(others) else others.mean(0)
    beside = None if mean is None else (walks.features @ mean).mean(1).double().numpy()
    return Curve(ratios, cosine.mean(1), low, high, beside)


def hidden_count(walks: Walks, ratio: float) -> int:
    """Tokens hidden at a ratio; as when searching, one at least stays visible."""
    count = walks.orders.shape[1]
    return min(count - 1, num_masked(ratio, count))


def _contexts(count: int, others: int, many: int) -> tuple[Tensor, Tensor]:
    """(N * many, N) masks twice, patch by patch: the patch visible, and the same with it hidden."""
    orders = sample_orders(count * many, count, generator("contexts", others))
    patch = torch.arange(count).repeat_interleave(many)[:, None]
    orders = orders[orders != patch].view(count * many, count - 1)  # of the others alone
    visible = torch.zeros(count * many, count, dtype=torch.bool).scatter(1, orders[:, :others], True)
    return visible, visible.scatter(1, patch, True)


def _by_patch(walks: Walks) -> Tensor:
    """(M, N, E): what each walk lost when it hid each patch."""
    steps = (walks.features[:-1] - walks.features[1:]).transpose(0, 1)  # (M, N, E) by place in the order
    return torch.zeros_like(steps).scatter(1, walks.orders[..., None].expand_as(steps), steps)
