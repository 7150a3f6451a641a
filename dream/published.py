"""The published algorithm with its redundant work: the reference for the savings of `dream` in time and result.

Decoding runs the encoder twice under guidance; aligner, keys and values again in every step; the decoder for
all positions; the head's projection in every denoising step; candidates one after the other; and a separate
encoder pass to score. Training runs text tower (at full context), aligner, decoder and head (on every token)
for every picture, whether or not a loss counts. Results equal those of `dream.decoding`, and of
`Dream.forward` with `dream.losses`, up to float rounding.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dream import masking
from dream.decoding.decode import Decoded
from dream.decoding.noise import SeededNoise, seeded_orders
from dream.decoding.settings import DecodeSettings
from dream.decoding.solvers import denoise, noise_draws
from dream.decoding.state import Prompted
from dream.diffusion import Draw, add_noise, generative_terms, guide
from dream.losses import contrastive_loss
from dream.model.blocks import Rows
from dream.model.dream import Dream
from dream.model.encoder import equal_groups
from dream.model.joint import TextTower, pool_groups

CANDIDATES, SELECT_SHARE = 5, 0.125
"""The published choice: five candidates, compared after an eighth of the steps."""


def decode_published(model: Dream, prompted: Prompted, settings: DecodeSettings) -> Decoded:
    """`decoding.decode` with selection `once` (or of one candidate), without the savings."""
    (last,) = deque(published_steps(model, prompted, settings), maxlen=1)
    return last


class _Reveal(NamedTuple):
    """One step of the published loop."""

    mask: Tensor
    """(B, N) bool, hidden before it."""
    after: Tensor
    """(B, N) bool, hidden after it."""
    text: Tensor
    """Conditioning of the text, (B, ..) or, guided, (2 B, ..)."""


@torch.no_grad()
def published_steps(model: Dream, prompted: Prompted, settings: DecodeSettings) -> Iterator[Decoded]:
    """Yields the candidates (B, k) after each step of `decode_published`."""
    image, batch = model.config.image, len(prompted)
    orders = seeded_orders(settings.seed, prompted.ids, image.num_tokens)
    noise = SeededNoise(settings.seed, prompted.ids, image.token_dim)
    draws = noise_draws(settings.head(model.config.head))
    text = _both(prompted) if settings.guided else prompted.conditioning
    select_step = settings.select_steps[0] if settings.candidates > 1 else 0
    tokens = torch.zeros(settings.candidates, batch, image.num_tokens, image.token_dim)
    names = torch.arange(settings.candidates).unsqueeze(1).expand(-1, batch)  # (K, B)
    hidden = image.num_tokens
    for step, count in enumerate(masking.reveal_schedule(image.num_tokens, settings.steps)):
        mask = masking.mask_from_order(orders, hidden)
        if step == select_step and settings.candidates > 1:
            scores = torch.stack([_score(model, candidate, mask, prompted.text_ids) for candidate in tokens])  # (K, B)
            names = scores.argmax(dim=0, keepdim=True)
            tokens = tokens.gather(0, names[..., None, None].expand(-1, -1, *tokens.shape[2:]))
        hidden -= count
        reveal = _Reveal(mask, masking.mask_from_order(orders, hidden), text)
        for candidate in range(len(tokens) if count else 0):
            chain = noise(step, list(range(batch)), names[candidate].tolist(), count, draws)
            tokens[candidate] = _step(model, tokens[candidate], reveal, settings, chain)
        yield Decoded(tokens.transpose(0, 1), names.T, None, [])


def training_loss_published(
    model: Dream, tokens: Tensor, mask: Tensor, text_ids: Tensor, conditioning: Tensor, draw: Draw
) -> Tensor:
    """() total loss of one ratio group: computed for every picture and token, then weighted, possibly by zero.

    tokens (B, N, D_tok); mask (B, N) hides equally many per row; `draw` has `draws` entries for all B * N tokens.
    """
    config = model.config
    encoded = model.encode(tokens, mask)
    image_features = F.normalize(model.joint(pool_groups(model.joint, [encoded], equal_groups(mask))), dim=-1)
    text_features = F.normalize(full_context_features(model.text_tower, text_ids), dim=-1)
    counted = masking.counts_in_contrast(mask, config.objective.min_visible)
    weighted = counted if bool(counted.any()) else torch.ones_like(counted)
    contrastive = contrastive_loss(image_features, text_features, model.logit_scale.exp(), weighted).loss

    condition = model.decode(encoded, mask, model.cross_cache(model.text_states(conditioning)))  # (B, N, D)
    draws = config.head.draws
    clean = tokens.flatten(0, 1).repeat(draws, 1)
    projected = model.head.project(condition.flatten(0, 1).repeat(draws, 1))
    prediction = model.head(add_noise(config.head, clean, draw), draw.times, projected)
    terms = generative_terms(config.head, prediction, clean, draw)
    hidden = mask.flatten().float().repeat(draws)
    generative = ((terms.error + terms.variance) * hidden).sum() / hidden.sum().clamp(min=1)
    generates = masking.counts_in_generation(mask, config.objective.min_masked).any()
    return (
        config.objective.generative_weight * generates.float() * generative
        + config.objective.contrastive_weight * counted.any().float() * contrastive
    )


def full_context_features(tower: TextTower, text_ids: Tensor) -> Tensor:
    """(B, E): text tower over the whole context, including the padding after the end (no positional text)."""
    batch, length = text_ids.shape
    x = (tower.embedding(text_ids) + tower.positions).flatten(0, 1)
    for block in tower.blocks:
        x = block(x, [Rows(batch, length)], True)
    x = tower.norm_out(x.view(batch, length, -1))
    return tower.projection(x[torch.arange(batch), text_ids.argmax(dim=-1)])


def _step(model: Dream, tokens: Tensor, reveal: _Reveal, settings: DecodeSettings, chain: Tensor) -> Tensor:
    """Tokens (B, N, D_tok) of one candidate after the step."""
    mask, wanted, head = reveal.mask, reveal.mask & ~reveal.after, settings.head(model.config.head)
    scale = settings.guidance_at(int(reveal.after[0].sum()), mask.shape[1])
    halves = 2 if settings.guided else 1
    encoded = model.encode(torch.cat([tokens] * halves), torch.cat([mask] * halves))
    cache = model.cross_cache(model.text_states(reveal.text))
    condition = model.decode(encoded, torch.cat([mask] * halves), cache)[torch.cat([wanted] * halves)]

    def predict(noised: Tensor, time: Tensor) -> Tensor:
        times = time.expand(len(condition))  # each row embeds the time again
        output = model.head(torch.cat([noised] * halves), times, model.head.project(condition))
        if not settings.guided:
            return output
        return guide(head, output[: len(noised)], output[len(noised) :], scale)

    tokens = tokens.clone()
    tokens[wanted] = denoise(head, predict, chain, settings.temperature)
    return tokens


def _score(model: Dream, tokens: Tensor, mask: Tensor, text_ids: Tensor) -> Tensor:
    """(B,) cosine of partial picture and caption, from a separate encoder pass."""
    pictures = model.image_features(model.encode(tokens, mask), mask)
    return (pictures * model.text_features(text_ids)).sum(dim=-1)


def _both(prompted: Prompted) -> Tensor:
    """(2 B, ..): the conditioning of the prompts, then that of no text."""
    conditioning, unconditional = prompted.conditioning, prompted.unconditional
    assert unconditional is not None
    return torch.cat([conditioning, unconditional.expand(len(conditioning), *unconditional.shape[1:])])
