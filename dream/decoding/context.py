"""Everything that stays the same in all steps of a decode, each computed once.

Text features, keys and values; the head's embeddings of denoising times; settings; the source of noise.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dream.decoding.noise import NoiseSource, SeededNoise
from dream.decoding.settings import DecodeSettings
from dream.decoding.solvers import denoise, noise_draws, noise_level
from dream.decoding.state import Prompted
from dream.diffusion import guide
from dream.weights.finite import require_finite

if TYPE_CHECKING:  # dream.model.dream imports timm
    from dream.decoding.critic import AnyCritic
    from dream.model.decoder import CrossCache
    from dream.model.dream import Dream


class TextMemory:
    """Text of B prompts as the model uses it: features to score with, keys and values for the decoder.

    Raises InputError for prompts whose features are NaN or infinite.
    """

    @torch.no_grad()
    def __init__(self, model: "Dream", prompted: Prompted, guided: bool) -> None:
        self.ids = prompted.text_ids  # (B, T)
        self.features = require_finite(model.text_features(prompted.text_ids), "the features of the prompts")  # (B, E)
        self.keys_values = model.cross_cache(model.text_states(prompted.conditioning))  # (B or 2 B, H, T, d) per block
        if guided:
            if prompted.unconditional is None:
                raise ValueError("guidance needs the conditioning of no text: set Prompted.unconditional")
            count, empty = len(self.ids), model.cross_cache(model.text_states(prompted.unconditional))
            for block, (key, value) in enumerate(empty):  # in place, so that no block is in memory twice
                pairs = zip(self.keys_values[block], (key, value), strict=True)
                self.keys_values[block] = tuple(  # type: ignore[assignment]
                    torch.cat([own, other.expand(count, *other.shape[1:])]) for own, other in pairs
                )

    def cross_cache(self, picture: Tensor, guided: bool) -> "CrossCache":
        """Keys and values for rows of these pictures (R,); guided: R conditional rows, then R unconditional."""
        return self.of_rows(torch.cat([picture, picture + len(self.ids)]) if guided else picture)

    def of_rows(self, text: Tensor) -> "CrossCache":
        """Keys and values of these texts (R,): b is prompt b, and B + b the empty one beside it.

        Consecutive texts, and one text for all rows, are views; any others are copied.
        """
        first, count = int(text[0]), len(text)
        if bool((text == first).all()):
            return [(_repeated(key[first], count), _repeated(value[first], count)) for key, value in self.keys_values]
        if bool((text == torch.arange(first, first + count, device=text.device)).all()):
            return [(key[first : first + count], value[first : first + count]) for key, value in self.keys_values]
        return [(key[text], value[text]) for key, value in self.keys_values]


def _repeated(states: Tensor, count: int) -> Tensor:
    """(count, ...): a view of the states of one text."""
    return states.expand(count, *states.shape)


class TokenSampler:
    """Draws tokens with the diffusion head; the head's embeddings of denoising times are computed once."""

    def __init__(self, model: "Dream", settings: DecodeSettings) -> None:
        self.model, self.settings = model, settings
        self.config = settings.head(model.config.head)
        self._times: dict[float, Tensor] = {}

    def at(self, step: int) -> "TokenSampler":
        """The sampler of decoding step `step`, which may have fewer or more denoising steps than the first."""
        config = self.settings.head(self.model.config.head, step)
        if config == self.config:
            return self
        other = copy(self)
        other.config = config
        return other

    @property
    def draws(self) -> int:
        """Entries of noise that each token needs."""
        return noise_draws(self.config, self.settings.solver)

    @torch.no_grad()
    def sample(
        self, condition: Tensor, chain: Tensor, guidance: float | Tensor, path: list[Tensor] | None = None
    ) -> Tensor:
        """(M, D_tok) tokens; guided rows share the noise of the start and of every denoising step.

        `condition` is (M, D) or, guided, (2 M, D) with conditional rows first; `chain` (draws, M, D_tok) is the
        noise; `guidance` is one scale, or (M, 1). `path` collects the noised tokens (M, D_tok) before each
        denoising step.
        """
        projected = self.model.head.project(condition)
        guided, conditional_only = len(condition) > chain.shape[1], projected[: chain.shape[1]]

        def predict(noised: Tensor, time: Tensor) -> Tensor:
            embedded = self._embedded(time)
            if not (guided and self._guides(time)):
                return self.model.head.predict(noised, embedded, conditional_only)
            both = self.model.head.predict(torch.cat([noised, noised]), embedded, projected)
            conditional, unconditional = both.chunk(2)
            return guide(self.config, conditional, unconditional, guidance)

        return denoise(self.config, predict, chain, self.settings.temperature, self.settings.sampling, path)

    def _guides(self, time: Tensor) -> bool:
        """Whether the time lies in the guidance interval."""
        low, high = self.settings.guidance_low, self.settings.guidance_high
        return self.settings.guided_everywhere or low <= noise_level(self.config, time.item()) <= high

    def _embedded(self, time: Tensor) -> Tensor:
        """(1, W): the head's embedding of a denoising time, the same in every decoding step."""
        key = time.item()
        if key not in self._times:
            self._times[key] = self.model.head.embed_times(time)
        return self._times[key]


@dataclass(frozen=True)
class DecodeContext:
    """Constants of a decode: model, settings, text, sampler and noise."""

    model: "Dream"
    settings: DecodeSettings
    text: TextMemory
    sampler: TokenSampler
    noise: NoiseSource
    picture_ids: Sequence[int]
    """(B) ids that noise is drawn for."""
    critic: "AnyCritic | None" = None
    """The learned critic, if candidates are compared by it."""

    @classmethod
    def of(
        cls,
        model: "Dream",
        prompted: Prompted,
        settings: DecodeSettings,
        noise: NoiseSource | None = None,
        critic: "AnyCritic | None" = None,
    ) -> "DecodeContext":
        """Context of decoding these prompts; `noise` defaults to that of the settings' seed."""
        seeded = SeededNoise(settings.seed, prompted.ids, model.config.image.token_dim)
        text = TextMemory(model, prompted, settings.guided)
        return cls(model, settings, text, TokenSampler(model, settings), noise or seeded, prompted.ids, critic)
