"""Images to tokens and back: patches of the pixels, or of the latents of a frozen VAE.

Only this file uses diffusers.
"""

from pathlib import Path
from typing import Protocol

import torch
from torch import Generator, Tensor, nn

from dream.config import ImageConfig
from dream.errors import InputError
from dream.model.frozen import frozen_dtype
from dream.weights.finite import require_finite, require_finite_weights
from dream.weights.hub import how_to_bring, hub_options, local_model
from dream.weights.reading import check_model_folder


class ImageTokenizer(Protocol):
    """Turns images into tokens and tokens into images."""

    def tokenize(self, images: Tensor, noise: Generator | Tensor | None = None) -> Tensor:
        """Tokens (B, N, D_tok) float of images (B, 3, H, W) uint8."""
        ...

    def to_pixels(self, tokens: Tensor) -> Tensor:
        """Images (B, 3, H, W) float in [0, 1] of tokens (B, N, D_tok)."""
        ...

    def to(self, device: torch.device) -> "ImageTokenizer":
        """Moves the VAE, if there is one, to `device`."""
        ...


def build_image_tokenizer(config: ImageConfig) -> ImageTokenizer:
    """Builds the tokenizer of the configuration. Raises InputError if its VAE cannot be loaded or does not fit."""
    return PixelTokenizer(config) if config.tokenizer == "pixels" else VaeTokenizer(config)


def patchify(latents: Tensor, patch: int) -> Tensor:
    """Tokens (B, N, C p p) of latents (B, C, H, W) in raster order; within a token (channel, row, column)."""
    batch, channels, height, width = latents.shape
    x = latents.reshape(batch, channels, height // patch, patch, width // patch, patch)  # (B, C, h, p, w, p)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * patch**2)  # (B, N, C p p)


def unpatchify(tokens: Tensor, patch: int, channels: int) -> Tensor:
    """Square latents (B, C, H, W) of tokens (B, N, C p p): the inverse of `patchify`."""
    batch, grid = tokens.shape[0], round(tokens.shape[1] ** 0.5)
    x = tokens.reshape(batch, grid, grid, channels, patch, patch)  # (B, h, w, C, p, p)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, grid * patch, grid * patch)  # (B, C, H, W)


class PixelTokenizer:
    """Patches of the image in [-1, 1]; needs no weights."""

    def __init__(self, config: ImageConfig) -> None:
        self.config = config

    def tokenize(self, images: Tensor, noise: Generator | Tensor | None = None) -> Tensor:
        """Tokens (B, N, D_tok) of images (B, 3, H, W) uint8; `noise` is unused."""
        _check_size(images, self.config)
        return patchify(images.float() / 127.5 - 1.0, self.config.patch_size) * self.config.scale

    def to_pixels(self, tokens: Tensor) -> Tensor:
        """Images (B, 3, H, W), clamped to [0, 1]."""
        images = unpatchify(tokens / self.config.scale, self.config.patch_size, self.config.channels)
        return ((images + 1.0) / 2).clamp(0, 1)

    def to(self, device: torch.device) -> "PixelTokenizer":
        """Returns self; there is nothing to move."""
        return self


class VaeTokenizer:
    """Latents of a frozen diffusers AutoencoderKL, sampled from its posterior, times `image.scale`."""

    def __init__(self, config: ImageConfig) -> None:
        self.config = config
        self.vae: nn.Module = _load_vae(config)
        self.device, self.dtype = torch.device("cpu"), torch.float32

    @torch.no_grad()
    def tokenize(self, images: Tensor, noise: Generator | Tensor | None = None) -> Tensor:
        """Tokens (B, N, D_tok) of images (B, 3, H, W) uint8: the posterior's mean, or with `noise` a sample of it.

        The noise is (B, C, h, w), or drawn from a generator.
        """
        return self.tokens_of(self.moments(images), noise)

    @torch.no_grad()
    def moments(self, images: Tensor) -> Tensor:
        """Mean and standard deviation (B, 2, C, h, w) float32 of the posterior of images (B, 3, H, W) uint8."""
        _check_size(images, self.config)
        pixels = (images.to(self.device).float() / 127.5 - 1.0).to(self.dtype)
        posterior = self.vae.encode(pixels).latent_dist  # type: ignore[operator]
        return torch.stack([posterior.mean, posterior.std], dim=1).float()

    @torch.no_grad()
    def tokens_of(self, moments: Tensor, noise: Generator | Tensor | None = None) -> Tensor:
        """Tokens (B, N, D_tok) of moments (B, 2, C, h, w): of the mean, or with `noise` of a sample, as `tokenize`."""
        latents, std = moments.to(self.device).float().unbind(dim=1)  # (B, C, h, w) each
        if isinstance(noise, Generator):
            noise = torch.randn(latents.shape, generator=noise)
        if noise is not None:
            latents = latents + std * noise.to(self.device)
        latents = require_finite(latents, "the VAE's latents of pictures")
        return patchify(latents * self.config.scale, self.config.patch_size)

    @torch.no_grad()
    def to_pixels(self, tokens: Tensor) -> Tensor:
        """Images (B, 3, H, W), clamped to [0, 1]."""
        latents = unpatchify(tokens.to(self.device), self.config.patch_size, self.config.channels)
        latents = (latents / self.config.scale).to(self.dtype)
        images = self.vae.decode(latents).sample.float()  # type: ignore[operator]
        images = require_finite(images, "the pictures that the VAE makes of latents")
        return ((images + 1.0) / 2).clamp(0, 1)

    def to(self, device: torch.device) -> "VaeTokenizer":
        """Moves the VAE to `device`, in bfloat16 if that has it."""
        self.device = torch.device(device)
        self.dtype = frozen_dtype(self.device)
        self.vae.to(self.device, self.dtype)
        return self


def _load_vae(config: ImageConfig) -> nn.Module:
    try:
        from diffusers import AutoencoderKL
    except ImportError as error:
        raise InputError(
            "image.tokenizer=sd-vae needs the package diffusers: pip install 'dream-workbench[vae]', "
            "or set image.tokenizer=pixels"
        ) from error
    from diffusers.utils import logging

    logging.set_verbosity_error()  # it advises to install other packages
    logging.disable_progress_bar()
    check_model_folder(Path(config.vae).expanduser())
    try:
        vae = AutoencoderKL.from_pretrained(local_model(config.vae), use_safetensors=True, **hub_options(config.vae))
    except (OSError, ValueError) as error:
        files = "config.json and diffusion_pytorch_model.safetensors"
        raise InputError(
            f"cannot load the VAE '{config.vae}' (image.vae): {how_to_bring(config.vae, files, 'image.vae')} "
            f"({_first_line(error)})"
        ) from error
    stride = 2 ** (len(vae.config.block_out_channels) - 1)
    if (vae.config.latent_channels, stride) != (config.channels, config.stride):
        raise InputError(
            f"the VAE '{config.vae}' has {vae.config.latent_channels} channels at stride {stride}, "
            f"the configuration says image.channels={config.channels}, image.stride={config.stride}; "
            "set these to the VAE's"
        )
    require_finite_weights(vae.state_dict(), f"the VAE '{config.vae}'")
    return vae.eval().requires_grad_(False)


def _check_size(images: Tensor, config: ImageConfig) -> None:
    if tuple(images.shape[1:]) != (3, config.size, config.size):
        raise InputError(
            f"images must be (B, 3, {config.size}, {config.size}) for image.size={config.size}, "
            f"got {tuple(images.shape)}"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
