"""The teacher: conditions as decoding meets them, and the guided trajectories on which its head makes tokens of noise.

Every head is read in the coordinates of a `flow` head, u = time * clean + (1 - time) * noise. A `noise` head's process
is the same one up to a factor: alpha * clean + sigma * noise is u / sqrt(time^2 + (1 - time)^2) at the time
alpha / (alpha + sigma).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from dream.data.batch import Batch
from dream.decoding.settings import DecodeSettings
from dream.decoding.solvers import flow_grid, predicted_clean
from dream.diffusion import noise_schedule
from dream.masking import mask_from_order, reveal_schedule, sample_orders
from dream.model.pretrained import Pretrained

GROUP = 8
"""Pictures that share a decoding step, so that they hide equally many tokens."""
START_TIME = 0.98
"""Share of a `noise` head's times at which its trajectories start: the very first steps multiply errors."""


class Conditions(NamedTuple):
    """What the head reads for M tokens that a decode would reveal next."""

    condition: Tensor
    """(halves, M, D): with the caption and, if guided, without."""
    guidance: Tensor
    """(M, 1): the guidance scale of the decoding step."""

    def take(self, rows: Tensor) -> "Conditions":
        """Those of some rows (long)."""
        return Conditions(self.condition[:, rows], self.guidance[rows])


@dataclass(frozen=True)
class HeadTeacher:
    """A trained model whose head's trajectories are learned from."""

    pretrained: Pretrained
    settings: DecodeSettings
    """How it decodes."""

    @property
    def temperature(self) -> float:
        """Factor on the noise at the start; a `noise` head's temperature is of its steps, which an ODE has not."""
        return self.settings.temperature if self.pretrained.config.head.objective == "flow" else 1.0

    @torch.no_grad()
    def conditions(self, batch: Batch, rows: int, draws: Generator) -> Conditions:
        """Conditions of up to `rows` hidden tokens of the pictures, at decoding steps drawn by what each reveals."""
        pretrained, image = self.pretrained, self.pretrained.config.image
        device = next(pretrained.model.parameters()).device
        tokens = pretrained.image_tokenizer.tokenize(batch.images.to(device))
        counts = reveal_schedule(image.num_tokens, self.settings.steps)
        parts = []
        for first in range(0, len(tokens), GROUP):
            own = slice(first, first + GROUP)
            step = int(torch.multinomial(torch.tensor(counts, dtype=torch.float64), 1, generator=draws))
            hidden = image.num_tokens - sum(counts[:step])
            mask = mask_from_order(sample_orders(len(tokens[own]), image.num_tokens, draws), hidden).to(device)
            scale = self.settings.guidance_at(hidden - counts[step], image.num_tokens)
            parts.append(self._of_group(tokens[own], mask, batch.captions[own], scale))
        found = Conditions(*(torch.cat(each, dim=-2) for each in zip(*parts, strict=True)))
        chosen = torch.randperm(len(found.guidance), generator=draws)[:rows].to(device)
        return found.take(chosen)

    def _of_group(self, tokens: Tensor, mask: Tensor, captions: Sequence[str], scale: float) -> Conditions:
        pretrained, model = self.pretrained, self.pretrained.model
        texts = [*captions, *([""] * len(captions) if self.settings.guided else [])]
        cache = model.cross_cache(model.text_states(pretrained.conditioning.condition(texts).to(tokens.device)))
        halves = len(texts) // len(captions)
        encoded = torch.cat([model.encode(tokens, mask)] * halves)
        masks = torch.cat([mask] * halves)
        condition = model.decode(encoded, masks, cache, wanted=masks).unflatten(0, (halves, -1))
        return Conditions(condition, condition.new_full((condition.shape[1], 1), scale))

    @torch.no_grad()
    def trajectories(self, given: Conditions, start: Tensor, steps: int, teacher_steps: int) -> Tensor:
        """(S+1, M, D_tok): the tokens at the times `flow_grid(S)`, from `start` (M, D_tok) at time 0.

        Between two of these times the teacher takes so many Euler steps that there are at least `teacher_steps`.
        """
        head = self.pretrained.model.head
        between = max(1, -(-teacher_steps // steps))
        grid, noised, kept = flow_grid(steps * between).tolist(), start, [start]
        projected = [head.project(half) for half in given.condition]
        for number, (now, then) in enumerate(pairwise(grid), start=1):
            clean = [self._clean(noised, now, half) for half in projected]
            direction = clean[0] if len(clean) == 1 else clean[1] + given.guidance * (clean[0] - clean[1])
            noised = noised + (then - now) / (1 - now) * (direction - noised)
            if number % between == 0:
                kept.append(noised)
        return torch.stack(kept)

    def _clean(self, noised: Tensor, time: float, projected: Tensor) -> Tensor:
        """(M, D_tok): the clean tokens that the head predicts at a time of the flow."""
        config, head = self.pretrained.config.head, self.pretrained.model.head
        if config.objective == "flow":
            return head.predict(noised, head.embed_times(noised.new_tensor(time)), projected)
        levels = noise_schedule(config.train_steps).alphas_cumprod.numpy()
        times = np.sqrt(levels) / (np.sqrt(levels) + np.sqrt(1 - levels))  # falling
        first = float(times[round(START_TIME * (config.train_steps - 1))])
        time = max(time, first)
        step = float(np.interp(-time, -times, np.arange(len(times))))
        size = float(np.hypot(time, 1 - time))
        output = head.predict(noised / size, head.embed_times(noised.new_tensor(step)), projected)
        return predicted_clean(config, output, noised / size, time / size, (1 - time) / size)
