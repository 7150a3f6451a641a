"""Contributions of patches and words to the cosine between a picture and a text.

The contribution of a patch is the drop in cosine when it is hidden, in a context of other hidden patches. There are
three contexts: a share of the others (none at ratio 0), all of them, and the mean over all subsets (the Shapley value,
whose contributions sum to the cosine of the whole picture minus that of an empty one). The encoder was trained on
masked pictures, so masked inputs are not out of distribution. The cosine is linear in the features of the text, so
once the features of a picture are known, the map for any text is a product.
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
WAYS: dict[Way, str] = {"shapley": "Shapley value", "hide": "hide one", "show": "show one"}
"""Name of each way to measure the contribution of a patch."""
PASSES = 500
"""Forward passes of a picture for all walks of `features_along`, which has at least FEWEST walks."""
FEWEST, MANY = 4, 24
CONTEXTS = 6
"""Random contexts per patch when a share of the others is hidden."""
BAND = (0.1, 0.9)
"""Quantiles over masks that bound the band of a curve."""

Tell = Callable[[float, str], None]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Walks:
    """Features of a picture while its tokens are hidden one by one, in several random orders."""

    orders: Tensor
    """(M, N) long."""
    features: Tensor
    """(N + 1, M, E): with the first k tokens of each order hidden."""


class TextParts(NamedTuple):
    """Features of a text, whole and with each of its words left out."""

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
    """Mean cosine with other captions, if there are any."""


def features_along(pretrained: Pretrained, tokens: Tensor, tell: Tell = lambda share, text: None) -> Walks:
    """Computes the features of a picture (N, D_tok) along random hiding orders; `tell` may raise to stop."""
    count = len(tokens)
    many = max(FEWEST, min(MANY, PASSES // (count + 1)))
    orders = sample_orders(many, count, generator("walks"))
    found = []
    for masked in range(count + 1):
        tell(masked / (count + 1), f"computing features with {masked} of {count} patches hidden")
        mask = mask_from_order(orders, masked)
        found.append(features_under(pretrained, tokens.expand(many, -1, -1), mask))
    return Walks(orders, torch.stack(found))


def parts_of_walks(walks: Walks) -> Tensor:
    """Returns the contribution (N, E) of each patch as its Shapley value, estimated from the walks.

    The contributions sum exactly to the mean feature of the whole picture minus that of an empty one.
    """
    return _by_patch(walks).mean(0)


def error_of_walks(walks: Walks, text: Tensor) -> float:
    """Returns the standard error of a contribution for a text (E,) over the walks, as RMS over the patches."""
    spread = (_by_patch(walks) @ text).std(0) / len(walks.orders) ** 0.5
    return float(spread.square().mean().sqrt())


def parts_in_context(
    pretrained: Pretrained, tokens: Tensor, ratio: float, tell: Tell = lambda share, text: None
) -> Tensor:
    """Returns the contribution (N, E) of each patch with this share of the *other* patches hidden (1: all of them).

    It is the mean over CONTEXTS random choices of the others, if there is a choice.
    """
    count = len(tokens)
    others = min(count - 1, num_masked(ratio, count - 1))
    many = CONTEXTS if 0 < others < count - 1 else 1
    with_it, without = _contexts(count, others, many)
    drops = []
    for start in range(0, len(with_it), chunk(count)):
        tell(start / len(with_it), "hiding patches one by one")
        pairs = [masks[start : start + chunk(count)] for masks in (with_it, without)]
        shown, hidden = (features_under(pretrained, tokens.expand(len(m), -1, -1), m) for m in pairs)
        drops.append(shown - hidden)
    return torch.cat(drops).view(count, many, -1).mean(1)


def text_parts(pretrained: Pretrained, text: str) -> TextParts:
    """Returns the features of a text and of the text without each word. Raises InputError if it is empty."""
    whole, words = text_features(pretrained, text), tuple(text.split())
    shorter = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    return TextParts(words, whole, caption_features(pretrained, shorter))


def patch_map(parts: Tensor, text: TextParts, word: int | None = None) -> Array:
    """Returns the contribution (g, g) of each patch to the cosine, or to the contribution of one `word`.

    The contribution of a word is the drop in cosine when it is left out (see `word_parts`).
    """
    direction = text.whole if word is None else text.whole - text.without[word]
    side = round(len(parts) ** 0.5)
    return (parts @ direction).double().numpy().reshape(side, side)


def word_parts(walks: Walks, text: TextParts, ratio: float) -> Array:
    """Returns the drop in cosine (W,) when each word is left out, at a mask ratio (mean over masks)."""
    seen = walks.features[hidden_count(walks, ratio)].mean(0)  # (E,)
    return ((text.whole - text.without) @ seen).double().numpy()


def cosine_at(walks: Walks, text: Tensor, ratio: float) -> float:
    """Returns the cosine between picture and text (E,) at a mask ratio, as mean over masks."""
    return float((walks.features[hidden_count(walks, ratio)] @ text).mean())


def cosine_of_nothing(walks: Walks, text: Tensor) -> float:
    """Returns the cosine between a text (E,) and a fully hidden picture."""
    return float((walks.features[-1] @ text).mean())


def cosine_curve(walks: Walks, text: Tensor, others: Tensor | None = None) -> Curve:
    """Returns the cosine with a text (E,) by mask ratio, from 0 to 1, and the mean over other captions."""
    cosine = (walks.features @ text).double().numpy()  # (N + 1, M)
    low, high = np.quantile(cosine, BAND, axis=1)
    ratios = np.linspace(0, 1, len(cosine))
    mean = None if others is None or not len(others) else others.mean(0)
    other_cosines = None if mean is None else (walks.features @ mean).mean(1).double().numpy()
    return Curve(ratios, cosine.mean(1), low, high, other_cosines)


def hidden_count(walks: Walks, ratio: float) -> int:
    """Returns the number of tokens hidden at a ratio; as in search, at least one stays visible."""
    count = walks.orders.shape[1]
    return min(count - 1, num_masked(ratio, count))


def _contexts(count: int, others: int, many: int) -> tuple[Tensor, Tensor]:
    """Returns two sets of masks (N * many, N), patch by patch: with the patch visible, and with it hidden."""
    orders = sample_orders(count * many, count, generator("contexts", others))
    patch = torch.arange(count).repeat_interleave(many)[:, None]
    orders = orders[orders != patch].view(count * many, count - 1)  # of the others alone
    visible = torch.zeros(count * many, count, dtype=torch.bool).scatter(1, orders[:, :others], True)
    return visible, visible.scatter(1, patch, True)


def _by_patch(walks: Walks) -> Tensor:
    """Returns the drop (M, N, E) in each walk when it hid each patch."""
    steps = (walks.features[:-1] - walks.features[1:]).transpose(0, 1)  # (M, N, E) by place in the order
    return torch.zeros_like(steps).scatter(1, walks.orders[..., None].expand_as(steps), steps)
