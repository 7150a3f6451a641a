"""The published algorithm with its redundant work left in: what `dream` saves is measured, and tested,
against it.

Decoding runs the encoder twice under guidance, aligner and keys and values anew in every step, the decoder
for all places, the head's projection in every denoising step, candidates in turn, and an encoder pass of its
own to score. Training runs text tower (at full context), aligner, decoder and head (on every token) for every
picture, whether or not a loss counts. Results are those of `dream.decoding` and of `Dream.forward` with
`dream.losses`, to float rounding.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dream import masking
from dream.decoding.decode import Decoded
from dream.decoding.selection import DecodeSettings
from dream.decoding.state import SeededNoise, seeded_orders
from dream.diffusion import Draw, add_noise, denoise, generative_terms, guide, noise_draws
from dream.losses import contrastive_loss
from dream.model.blocks import Rows
from dream.model.dream import Dream
from dream.model.encoder import equal_groups
from dream.model.joint import TextTower, pool_groups


def decode_published(
    model: Dream,
    text_ids: Tensor,
    conditioning: Tensor,
    unconditional: Tensor | None,
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
) -> Decoded:
    """`decoding.decode` of `once` (or of one candidate), without the savings; arguments as there."""
    steps = published_steps(model, text_ids, conditioning, unconditional, settings, picture_ids=picture_ids)
    (last,) = deque(steps, maxlen=1)
    return last


@torch.no_grad()
def published_steps(
    model: Dream,
    text_ids: Tensor,
    conditioning: Tensor,
    unconditional: Tensor | None,
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
) -> Iterator[Decoded]:
    """The candidates (B, k) there are after each step of `decode_published`."""
    image, batch = model.config.image, len(text_ids)
    ids = range(batch) if picture_ids is None else picture_ids
    orders = seeded_orders(settings.seed, ids, image.num_tokens)
    noise, head = SeededNoise(settings.seed, ids, image.token_dim), settings.head(model.config.head)
    text = _both(conditioning, unconditional) if settings.guided else conditioning
    select_step = settings.select_steps[0] if settings.candidates > 1 else 0
    tokens = torch.zeros(settings.candidates, batch, image.num_tokens, image.token_dim)
    names = torch.arange(settings.candidates).unsqueeze(1).expand(-1, batch)  # (K, B)
    hidden = image.num_tokens
    for step, count in enumerate(masking.reveal_schedule(image.num_tokens, settings.steps)):
        if step == select_step and settings.candidates > 1:
            mask = masking.mask_from_order(orders, hidden)
            scores = torch.stack([_score(model, candidate, mask, text_ids) for candidate in tokens])  # (K, B)
            names = scores.argmax(dim=0, keepdim=True)
            tokens = tokens.gather(0, names[..., None, None].expand(-1, -1, *tokens.shape[2:]))
        hidden -= count
        for candidate in range(len(tokens) if count else 0):
            chain = noise(step, list(range(batch)), names[candidate].tolist(), count, noise_draws(head))
            tokens[candidate] = _step(model, tokens[candidate], orders, hidden, count, text, settings, chain)
        yield Decoded(tokens.transpose(0, 1), names.T, None, [])


def training_loss_published(
    model: Dream, tokens: Tensor, mask: Tensor, text_ids: Tensor, conditioning: Tensor, draw: Draw
) -> Tensor:
    """() total loss of one ratio group, everything computed for every picture and token, then weighted, maybe
    by zero.

    `draw` has `draws` entries for all B * N tokens; tokens (B, N, D_tok), mask (B, N) that hides equally many
    a row.
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
    """(B, E): the text tower run over the whole context, padding after the end included (no positional
    text).
    """
    batch, length = text_ids.shape
    x = (tower.embedding(text_ids) + tower.positions).flatten(0, 1)
    for block in tower.blocks:
        x = block(x, [Rows(batch, length)], True)
    x = tower.norm_out(x.view(batch, length, -1))
    return tower.projection(x[torch.arange(batch), text_ids.argmax(dim=-1)])


def _step(
    model: Dream,
    tokens: Tensor,
    orders: Tensor,
    left: int,
    count: int,
    text: Tensor,
    settings: DecodeSettings,
    chain: Tensor,
) -> Tensor:
    """Tokens (B, N, D_tok) of one candidate with `count` more revealed, so that `left` are hidden."""
    mask, after = masking.mask_from_order(orders, left + count), masking.mask_from_order(orders, left)
    wanted, scale, head = (mask & ~after, settings.guidance_at(left, mask.shape[1]), settings.head(model.config.head))
    halves = 2 if settings.guided else 1
    encoded = model.encode(torch.cat([tokens] * halves), torch.cat([mask] * halves))
    cache = model.cross_cache(model.text_states(text))
    condition = model.decode(encoded, torch.cat([mask] * halves), cache)[torch.cat([wanted] * halves)]

    def predict(noised: Tensor, time: Tensor) -> Tensor:
        times = time.expand(len(condition))  # each row embeds the time anew
        output = model.head(torch.cat([noised] * halves), times, model.head.project(condition))
        if not settings.guided:
            return output
        return guide(head, output[: len(noised)], output[len(noised) :], scale)

    tokens = tokens.clone()
    tokens[wanted] = denoise(head, predict, chain, settings.temperature)
    return tokens


def _score(model: Dream, tokens: Tensor, mask: Tensor, text_ids: Tensor) -> Tensor:
    """(B,) cosine of partial picture and caption, from an encoder pass of its own."""
    pictures = model.image_features(model.encode(tokens, mask), mask)
    return (pictures * model.text_features(text_ids)).sum(dim=-1)


def _both(conditioning: Tensor, unconditional: Tensor | None) -> Tensor:
    assert unconditional is not None
    return torch.cat([conditioning, unconditional.expand(len(conditioning), *unconditional.shape[1:])])
