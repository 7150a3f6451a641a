"""What frozen models make of a batch: tokens, caption ids and text states, from its pictures or from a cache.

Both ways share every step after the VAE and T5, so that a training from a cache sees the same tokens. Also makes the
contents of a cache, and checks that a cache was made by the same models.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.data.cache.layout import BYTES_PER_PART, CAPTION_IDS, MOMENTS, MOST_PART_ROWS, T5_IDS, T5_STATES, CacheAbout
from dream.data.text import CaptionTokenizer, load_tokenizer
from dream.errors import InputError
from dream.model.conditioning import T5Conditioning
from dream.model.latents import VaeTokenizer
from dream.model.pretrained import ModelBundle
from dream.weights.finite import require_finite


def batch_tokens(bundle: ModelBundle, batch: Batch, images: Tensor, noise: Tensor | None) -> Tensor:
    """Tokens (B, N, D_tok) of a batch whose images (B, 3, H, W) are on the device, or of its cached moments."""
    if MOMENTS not in batch.cached:
        return bundle.image_tokenizer.tokenize(images, noise)
    assert isinstance(bundle.image_tokenizer, VaeTokenizer)
    return bundle.image_tokenizer.tokens_of(batch.cached[MOMENTS], noise)


def caption_ids(bundle: ModelBundle, batch: Batch) -> Tensor:
    """Ids (B, T) long of the captions for the text tower."""
    if CAPTION_IDS in batch.cached:
        return batch.cached[CAPTION_IDS].long()
    return bundle.tokenizer.token_ids(batch.captions)


def conditioning_of(bundle: ModelBundle, batch: Batch, captions: Sequence[str]) -> Tensor:
    """The decoder's text for a batch, of which `captions` are the captions, or empty where they are dropped."""
    conditioning = bundle.conditioning
    if isinstance(conditioning, T5Conditioning):
        dropped = torch.tensor([not caption for caption in captions])
        if T5_IDS in batch.cached:
            ids = batch.cached[T5_IDS].long()
            return conditioning.states_of(torch.where(dropped[:, None], conditioning.token_ids([""]), ids))
        if T5_STATES in batch.cached:
            states, device = batch.cached[T5_STATES].float(), conditioning.device
            empty = conditioning.condition([""])
            return torch.where(dropped[:, None, None].to(device), empty, states.to(device))
    return conditioning.condition(captions)


def check_cache(about: CacheAbout, bundle: ModelBundle) -> None:
    """Raises InputError if a cache was made by other frozen models than the bundle's, or lacks what it needs."""
    assert isinstance(bundle.image_tokenizer, VaeTokenizer)
    _require_same("VAE", "image.vae", about.vae, hash_of(bundle.image_tokenizer.vae.state_dict()), about)
    if isinstance(bundle.conditioning, T5Conditioning) and about.t5 is not None:
        _require_same("T5 encoder", "text.t5", about.t5, _t5_hash(bundle.conditioning), about)
    if about.caption_tokenizer is not None:
        ours = tokenizer_hash(bundle.tokenizer)
        _require_same("caption tokenizer", "text.tokenizer", about.caption_tokenizer, ours, about)


class FrozenEncoder:
    """Makes the contents of a cache of pictures and captions; see `data/cache/layout.py` for the arrays."""

    def __init__(
        self, config: DreamConfig, *, states: bool = False, dtype: str = "float16", device: str = "cpu"
    ) -> None:
        """Loads VAE, T5 and caption tokenizer; raises InputError if there is none to compute anything with."""
        from dream.model.latents import build_image_tokenizer

        if config.image.tokenizer == "pixels":
            raise InputError(
                "a cache holds the latents of a VAE, and this configuration trains on pixels: there is nothing to "
                "compute before; pack the pictures into tar shards instead, or choose a preset with a VAE (base, ...)"
            )
        self.config, self.dtype = config, dtype
        self.tokenizer: CaptionTokenizer | None = None
        if config.text.tokenizer != "bpe":
            text = config.text
            self.tokenizer = load_tokenizer(text.tokenizer, text.context_length, text.cleaning)
        self.t5: T5Conditioning | None = None
        if config.text.conditioning == "t5":
            t5 = T5Conditioning(config.text)
            self._t5_hash = _t5_hash(t5)  # before the device has its own type
            self.t5 = t5.to(torch.device(device))
        image_tokenizer = build_image_tokenizer(config.image)
        assert isinstance(image_tokenizer, VaeTokenizer)
        self._vae_hash = hash_of(image_tokenizer.vae.state_dict())
        self.image_tokenizer = image_tokenizer.to(torch.device(device))
        self.states = states and self.t5 is not None

    def about(self, source: str, splits: Mapping[str, Sequence[str]]) -> CacheAbout:
        """The description of the cache of a source with these shards by split."""
        image = self.config.image
        size = (1 + self.config.data.flip) * 2 * int(np.prod(image.latent_shape)) * np.dtype(self.dtype).itemsize
        if self.t5 is not None:
            text = self.config.text
            size += text.conditioning_length * (2 * text.conditioning_width if self.states else 4)
        if self.tokenizer is not None:
            size += 4 * self.config.text.context_length
        return CacheAbout(
            source=source,
            vae=self._vae_hash,
            t5=None if self.t5 is None else self._t5_hash,
            caption_tokenizer=None if self.tokenizer is None else tokenizer_hash(self.tokenizer),
            scale=image.scale,
            size=image.size,
            latent_shape=image.latent_shape,
            flipped=self.config.data.flip,
            dtype=self.dtype,
            states=self.states,
            splits={split: tuple(shards) for split, shards in splits.items()},
            sample_bytes=size,
            part_rows=max(64, min(MOST_PART_ROWS, BYTES_PER_PART // size)),
        )

    def __call__(self, pictures: np.ndarray, captions: Sequence[str]) -> dict[str, np.ndarray]:
        """Arrays by name, a row per sample, of pictures (B, 3, H, W) uint8 and their captions."""
        images = torch.from_numpy(pictures)
        views = [images, images.flip(-1)] if self.config.data.flip else [images]
        moments = torch.stack([self.image_tokenizer.moments(view) for view in views], dim=1)  # (B, F, 2, C, h, w)
        arrays = {MOMENTS: moments.to(getattr(torch, self.dtype))}
        if self.t5 is not None:
            ids = self.t5.token_ids(captions)
            arrays |= {T5_STATES: self.t5.states_of(ids).half()} if self.states else {T5_IDS: ids.int()}
        if self.tokenizer is not None:
            arrays[CAPTION_IDS] = self.tokenizer.token_ids(captions).int()
        for name, values in arrays.items():
            if values.is_floating_point():
                require_finite(values, f"the {name} of {len(captions)} pictures as {values.dtype}")
        return {name: values.cpu().numpy() for name, values in arrays.items()}


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """A short hash of weights by their names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def tokenizer_hash(tokenizer: CaptionTokenizer) -> str:
    """A short hash of a caption tokenizer and of its context length."""
    return hashlib.sha256(
        f"{tokenizer.context_length} {tokenizer.cleaning} {tokenizer.to_json()}".encode()
    ).hexdigest()[:16]


def _t5_hash(conditioning: T5Conditioning) -> str:
    """A short hash of T5's weights, its vocabulary and the number of states."""
    vocabulary = repr(sorted(conditioning.tokenizer.get_vocab().items()))
    text = f"{hash_of(conditioning.model.state_dict())} {conditioning.length} {vocabulary}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _require_same(what: str, key: str, stored: str, ours: str, about: CacheAbout) -> None:
    if stored != ours:
        raise InputError(
            f"the cache of '{about.source}' was made with another {what} ({stored}) than the one that {key} names "
            f"({ours}): set {key} to that one, or make the cache again"
        )
