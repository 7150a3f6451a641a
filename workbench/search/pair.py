"""How much each patch of a picture, and each word of a text, contributes to their cosine.

The contribution of a patch is the fall of the cosine when it is hidden, in a context where some of the other patches
are hidden too. There are three contexts: a share of the others (none at ratio 0), all of them, and the mean over all
numbers and choices of them. The last is the Shapley value, whose contributions add up to the cosine of the whole
picture minus that of an empty one. The encoder was trained on masked pictures, so it has seen such inputs. A cosine is
linear in the text's features, so once a picture is encoded, the map of any text is a matrix product.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.evaluation.classes.features import caption_features
from dream.evaluation.progress import Progress, quiet
from dream.masking import mask_from_order, num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.randomness import generator
from workbench.search.index import chunk, features_under, text_features

Way = Literal["shapley", "hide", "show"]
WAYS: dict[Way, str] = {"shapley": "Shapley value", "hide": "hide one", "show": "show one"}
"""The contexts that a patch's contribution is measured in, and their names on pages."""
PASSES = 500
"""Encoder passes that `features_along` may take in total, unless FEWEST walks take more."""
FEWEST, MANY = 4, 24
"""Minimal and maximal number of walks."""
CONTEXTS = 6
"""Random contexts per patch if a share of the others is hidden."""
BAND = (0.1, 0.9)
"""Quantiles over masks that bound a curve's band."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Walks:
    """Features of a picture while its tokens are hidden one by one, in M random orders."""

    orders: Tensor
    """(M, N) long."""
    features: Tensor
    """(N + 1, M, E): with the first k tokens of each order hidden, for k = 0 to N."""


class TextParts(NamedTuple):
    """Features of a text, whole and with each of its W words left out."""

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


def features_along(pretrained: Pretrained, tokens: Tensor, progress: Progress = quiet) -> Walks:
    """Features of a picture (N, D_tok) along random orders of hiding. `progress` may raise to stop it."""
    count = len(tokens)
    many = max(FEWEST, min(MANY, PASSES // (count + 1)))
    orders = sample_orders(many, count, generator("walks"))
    features = []
    for masked in range(count + 1):
        progress(masked / (count + 1), f"encoding the picture with {masked} of {count} patches hidden")
        mask = mask_from_order(orders, masked)
        features.append(features_under(pretrained, tokens.expand(many, -1, -1), mask))
    return Walks(orders, torch.stack(features))


def parts_of_walks(walks: Walks) -> Tensor:
    """Contribution (N, E) of each patch: its Shapley value, estimated from the walks.

    They add up exactly to the mean feature of the whole picture minus that of an empty one.
    """
    return _by_patch(walks).mean(0)


def error_of_walks(walks: Walks, text: Tensor) -> float:
    """Standard error over the walks of a patch's contribution for a text (E,): root mean square over the patches."""
    spread = (_by_patch(walks) @ text).std(0) / len(walks.orders) ** 0.5
    return float(spread.square().mean().sqrt())


def parts_in_context(pretrained: Pretrained, tokens: Tensor, ratio: float, progress: Progress = quiet) -> Tensor:
    """Contribution (N, E) of each patch while this share of the *other* patches is hidden (1: all of them).

    It is the mean over CONTEXTS random choices of them, if there is a choice.
    """
    count = len(tokens)
    others = min(count - 1, num_masked(ratio, count - 1))
    many = CONTEXTS if 0 < others < count - 1 else 1
    with_patch, without_patch = _contexts(count, others, many)
    differences = []
    for start in range(0, len(with_patch), chunk(count)):
        progress(start / len(with_patch), "hiding patches one at a time")
        pair = [masks[start : start + chunk(count)] for masks in (with_patch, without_patch)]
        shown, hidden = (features_under(pretrained, tokens.expand(len(m), -1, -1), m) for m in pair)
        differences.append(shown - hidden)
    return torch.cat(differences).view(count, many, -1).mean(1)


def text_parts(pretrained: Pretrained, text: str) -> TextParts:
    """Features of a text, and of the text without each word that is read. Raises InputError as `text_features`."""
    whole, room = text_features(pretrained, text), pretrained.tokenizer.room
    # a word has a token or more, so without one of them no word beyond the next is read
    words = tuple(text.split())[: room + 1]
    shorter = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    return TextParts(words, whole, caption_features(pretrained, shorter))


def patch_map(parts: Tensor, text: TextParts, word: int | None = None) -> Array:
    """Fall of the cosine (g, g) when each patch is hidden; with `word`, the fall of that word's contribution.

    The contribution of a word is the fall of the cosine when it is left out (see `word_parts`).
    """
    direction = text.whole if word is None else text.whole - text.without[word]
    side = round(len(parts) ** 0.5)
    return (parts @ direction).double().numpy().reshape(side, side)


def word_parts(walks: Walks, text: TextParts, ratio: float) -> Array:
    """Fall of the cosine (W,) when each word is left out, at a mask ratio (mean over masks)."""
    picture = walks.features[hidden_count(walks, ratio)].mean(0)  # (E,)
    return ((text.whole - text.without) @ picture).double().numpy()


def cosine_at(walks: Walks, text: Tensor, ratio: float) -> float:
    """Cosine of the picture and a text (E,) at a mask ratio (mean over masks)."""
    return float((walks.features[hidden_count(walks, ratio)] @ text).mean())


def cosine_of_nothing(walks: Walks, text: Tensor) -> float:
    """Cosine of a text (E,) with the picture when all of it is hidden."""
    return float((walks.features[-1] @ text).mean())


def cosine_curve(walks: Walks, text: Tensor, others: Tensor | None = None) -> Curve:
    """Cosine with a text (E,) by mask ratio from 0 to 1, and the mean cosine with `others` (c, E)."""
    cosine = (walks.features @ text).double().numpy()  # (N + 1, M)
    low, high = np.quantile(cosine, BAND, axis=1)
    ratios = np.linspace(0, 1, len(cosine))
    mean = None if others is None or not len(others) else others.mean(0)
    other_cosine = None if mean is None else (walks.features @ mean).mean(1).double().numpy()
    return Curve(ratios, cosine.mean(1), low, high, other_cosine)


def hidden_count(walks: Walks, ratio: float) -> int:
    """Number of tokens hidden at a mask ratio; as in the index, at least one stays visible."""
    count = walks.orders.shape[1]
    return min(count - 1, num_masked(ratio, count))


def _contexts(count: int, others: int, many: int) -> tuple[Tensor, Tensor]:
    """Two sets of masks (N * many, N), patch by patch: with the patch visible, and the same with it hidden."""
    orders = sample_orders(count * many, count, generator("contexts", others))
    patch = torch.arange(count).repeat_interleave(many)[:, None]
    orders = orders[orders != patch].view(count * many, count - 1)  # without the patch itself
    visible = torch.zeros(count * many, count, dtype=torch.bool).scatter(1, orders[:, :others], True)
    return visible, visible.scatter(1, patch, True)


def _by_patch(walks: Walks) -> Tensor:
    """Fall of the features (M, N, E) in each walk when it hid each patch."""
    steps = (walks.features[:-1] - walks.features[1:]).transpose(0, 1)  # (M, N, E) by step of the walk
    return torch.zeros_like(steps).scatter(1, walks.orders[..., None].expand_as(steps), steps)
