"""Features of pictures and captions, as all evaluations compute them.

Joint features are normalised. Encoder and patch features are the encoder's output with nothing masked.
"""

import typing
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from dream.errors import InputError
from dream.evaluation.classes.pictures import LabelledPictures
from dream.evaluation.classes.settings import Pooling
from dream.evaluation.pieces import in_pieces
from dream.masking import mask_from_order, num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.weights.finite import require_lengths, require_unit

Answer = typing.TypeVar("Answer")
POOLINGS: tuple[str, ...] = typing.get_args(Pooling)
CHUNK = 256
"""Pictures or captions that go through the model at once."""


@torch.no_grad()
def picture_features(pretrained: Pretrained, images: Tensor, mask_ratio: float, generator: Generator) -> Tensor:
    """(B, E) normalised features of pictures (B, 3, H, W) uint8; each has its own random tokens masked.

    These functions raise InputError for features that are NaN, infinite or too large to be compared.
    """
    config, model = pretrained.config.image, pretrained.model
    device = next(model.parameters()).device
    masked = num_masked(mask_ratio, config.num_tokens)
    chunks = images.split(CHUNK)
    orders = [sample_orders(len(chunk), config.num_tokens, generator) for chunk in chunks]

    def encoded(number: int) -> dict[str, Tensor]:
        tokens = pretrained.image_tokenizer.tokenize(chunks[number]).to(device)  # (b, N, D_tok)
        mask = mask_from_order(orders[number], masked).to(device)  # (b, N)
        return {"features": model.image_features(model.encode(tokens, mask), mask).float().cpu()}  # (b, E)

    numbers = range(len(chunks))
    pieces = in_pieces(numbers, encoded) if len(chunks) > 1 else [encoded(number) for number in numbers]
    return require_unit(torch.cat([piece["features"] for piece in pieces]), "the model's features of pictures")


@torch.no_grad()
def caption_features(pretrained: Pretrained, captions: Sequence[str]) -> Tensor:
    """(B, E) normalised features of captions."""
    device = next(pretrained.model.parameters()).device
    ids = pretrained.tokenizer.token_ids(list(captions))
    features = [pretrained.model.text_features(chunk.to(device)).float().cpu() for chunk in ids.split(CHUNK)]
    return require_unit(torch.cat(features), "the model's features of captions")


@torch.no_grad()
def encoder_features(pretrained: Pretrained, images: Tensor, pooling: str = "image") -> Tensor:
    """(B, D) mean of the `image`, `buffer` or `all` encoder tokens, or (B, E) normalised `joint` features.

    Nothing in the pictures (B, 3, H, W) uint8 is masked. Raises InputError for any other pooling, and for `buffer`
    if the model has no buffer tokens.
    """
    check_pooling(pretrained, pooling)
    chunks = images.split(CHUNK) if len(images) else ()
    features = [pooled(pretrained, _encoded(pretrained, chunk), pooling).float().cpu() for chunk in chunks]
    if not features:
        return torch.empty(0, feature_width(pretrained, pooling))
    check = require_unit if pooling == "joint" else require_lengths
    return check(torch.cat(features), "the model's features of pictures")


def labelled_features(
    pretrained: Pretrained, chunks: Iterable[LabelledPictures], pooling: str = "image"
) -> tuple[Tensor, Tensor]:
    """`encoder_features` (B, D) and labels (B,) of labelled pictures, which are dropped once encoded."""
    pairs = encoded_beside(pretrained, ((chunk.images, chunk.labels) for chunk in chunks), pooling)
    assert pairs, "a set that was opened has a chunk"
    return torch.cat([features for features, _ in pairs]), torch.cat([labels for _, labels in pairs])


def encoded_beside(
    pretrained: Pretrained, pairs: Iterable[tuple[Tensor, Answer]], pooling: str
) -> list[tuple[Tensor, Answer]]:
    """`encoder_features` (b, D) of the pictures of each pair, with its answer; pictures are dropped once encoded."""
    answers: list[Answer] = []

    def images() -> Iterator[Tensor]:
        for each, answer in pairs:
            answers.append(answer)
            yield each

    pieces = in_pieces(images(), lambda each: {"features": encoder_features(pretrained, each, pooling)})
    return [(piece["features"], answer) for piece, answer in zip(pieces, answers, strict=True)]


def pooled(pretrained: Pretrained, encoded: Tensor, pooling: str) -> Tensor:
    """(B, D) or (B, E): one vector per picture, from the encoder output (B, R + N, D) with nothing masked."""
    front = pretrained.config.encoder.buffer_tokens
    if pooling == "joint":
        nothing = torch.zeros(len(encoded), encoded.shape[1] - front, dtype=torch.bool, device=encoded.device)
        return pretrained.model.image_features(encoded, nothing)
    kept = {"image": encoded[:, front:], "buffer": encoded[:, :front], "all": encoded}[pooling]
    return kept.mean(dim=1)


def check_pooling(pretrained: Pretrained, pooling: str) -> None:
    """Raises InputError for an unknown pooling, and for `buffer` if the model has no buffer tokens."""
    if pooling not in POOLINGS:
        raise InputError(f"pooling must be one of {', '.join(POOLINGS)}, got '{pooling}'")
    if pooling == "buffer" and not pretrained.config.encoder.buffer_tokens:
        raise InputError("this model has no buffer tokens to pool: use pooling image, all or joint")


def feature_width(pretrained: Pretrained, pooling: str) -> int:
    """D, or E for `joint`."""
    return pretrained.config.joint.width if pooling == "joint" else pretrained.config.encoder.width


def _encoded(pretrained: Pretrained, images: Tensor) -> Tensor:
    """(B, R + N, D) encoder output of whole pictures."""
    tokens = pretrained.image_tokenizer.tokenize(images).to(next(pretrained.model.parameters()).device)
    return pretrained.model.encode(tokens, torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device))
