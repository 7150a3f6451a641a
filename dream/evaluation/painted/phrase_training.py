"""Trains a model's phrase critic on real pictures, masked as unfinished ones are, to name their captions' phrases.

No decode and no judge is needed: minutes for ten thousand pictures. The encoder is fixed; its pooled tokens are
computed once per look, that is, per share of visible tokens.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data.emoji.corpus import is_emoji, split_named
from dream.data.sources import open_source
from dream.data.text import CaptionTokenizer
from dream.decoding.phrase_critic import Phrase, PhraseCritic, of_wanted, phrases_of
from dream.errors import InputError
from dream.evaluation.painted.critic_training import HELD_OUT, TrainedCritic
from dream.evaluation.progress import Progress, quiet, within
from dream.masking import mask_from_order, sample_orders
from dream.model.pretrained import Pretrained
from dream.randomness import generator, seed_of

LOOKS = (0.1, 0.15, 0.23, 0.3, 0.38, 0.45, 0.63, 1.0)
"""Shares of visible tokens at which every picture is looked at."""
MOST_PHRASES = 20_000
MOST_DIFFERENT = 0.9
"""Phrases per caption from which on nearly nothing repeats, so that there is nothing to learn."""
ROUNDS, ROWS = 10, 256
"""Rounds over all looks, and rows of a step of the optimiser."""
CHUNK = 256


def train_phrase_critic(
    pretrained: Pretrained,
    data: str,
    *,
    count: int = 20_000,
    rounds: int = ROUNDS,
    seed: int = 0,
    until: Callable[[], bool] = lambda: False,
    progress: Progress = quiet,
) -> TrainedCritic:
    """A phrase critic of up to `count` pictures of the training split. The same seed gives the same critic.

    `until` is asked after each look and round; once it is true, the critic is what was learned so far. Raises
    InputError for captions whose phrases hardly repeat.
    """
    begun = time.monotonic()
    images, captions = training_pictures(pretrained.config, data, count, seed)
    ids = pretrained.tokenizer.token_ids(captions)
    separators, end = comma_ids(pretrained.tokenizer), pretrained.tokenizer.end_id
    own = [phrases_of(row, separators, end) for row in ids.tolist()]
    phrases = common_phrases(own, data)
    pooled, shares = _looks(pretrained, images, seed, until, within(progress, 0.0, 0.7))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "phrase critic"))
        critic = PhraseCritic(pooled.shape[2], phrases, sorted(separators), end)
        named = _fit(critic, pooled, shares, critic.wanted(ids), rounds, seed, until, within(progress, 0.7, 1.0))
    about = {
        "model_id": pretrained.model_id,
        "data": data,
        "pictures": len(ids),
        "towards": f"the {len(phrases):,} phrases of their captions",
        "held_out_named": named,
        "seed": seed,
        "seconds": round(time.monotonic() - begun, 1),
    }
    return TrainedCritic(critic.eval().requires_grad_(False), about)


def training_pictures(config: DreamConfig, data: str, count: int, seed: int) -> tuple[Tensor, list[str]]:
    """Up to `count` pictures (B, 3, S, S) of the training split, each once, with their canonical captions.

    Raises InputError if there are too few.
    """
    if is_emoji(data) and split_named(data) not in ("", "train"):
        raise InputError(f"a critic learns from pictures of the training split, which '{data}' has not")
    plain = replace(config, data=replace(config.data, near_misses=0.0, other_phrasings=0.0, flip=False))
    batches = open_source(data, plain, split="train", seed=seed).batches(CHUNK)
    found: dict[str, tuple[Tensor, str]] = {}
    while len(found) < count:
        batch, _ = next(batches)
        before = len(found)
        for key, image, caption in zip(batch.keys, batch.images, batch.captions, strict=True):
            found.setdefault(key, (image, caption))
        if len(found) < before + len(batch):  # the next epoch has begun
            break
    if len(found) < 2 * HELD_OUT:
        raise InputError(f"'{data}' has {len(found)} pictures to learn from, a critic needs at least {2 * HELD_OUT}")
    chosen = list(found.values())[:count]
    return torch.stack([image for image, _ in chosen]), [caption for _, caption in chosen]


def comma_ids(tokenizer: CaptionTokenizer) -> frozenset[int]:
    """Ids that stand for a comma and nothing else."""
    ids = tokenizer.token_ids(["a, b", "a , b", "a,b", ","])
    alone = {i: tokenizer.text_of(torch.tensor([[tokenizer.begin_id, i]]))[0] for i in set(ids.flatten().tolist())}
    return frozenset(i for i, text in alone.items() if text.strip() == ",")


def common_phrases(own: Sequence[Sequence[Phrase]], data: str) -> list[Phrase]:
    """The phrases of the captions, the most frequent first. Raises InputError if they hardly repeat."""
    counts = Counter(phrase for phrases in own for phrase in phrases)
    if len(counts) > MOST_DIFFERENT * len(own):
        raise InputError(
            f"{len(counts):,} different phrases in {len(own):,} captions of '{data}': what stands between commas "
            "hardly repeats, so a critic cannot learn it from pictures; train it from decodes (--from decodes)"
        )
    return [phrase for phrase, _ in counts.most_common(MOST_PHRASES)]


@torch.no_grad()
def _looks(
    pretrained: Pretrained, images: Tensor, seed: int, until: Callable[[], bool], progress: Progress
) -> tuple[Tensor, Tensor]:
    """(L, B, P) half pooled tokens of every picture at each look, and the share (L,) of visible tokens."""
    config, model, draws = pretrained.config.image, pretrained.model, generator(seed, "phrase critic masks")
    device = next(model.parameters()).device
    found, shares = [], []
    visible_counts = sorted({max(1, round(look * config.num_tokens)) for look in LOOKS})
    for number, visible in enumerate(visible_counts):
        parts = []
        for first in range(0, len(images), CHUNK):
            done = (number + first / len(images)) / len(visible_counts)
            progress(done, f"looking at {len(images):,} pictures with {visible} of {config.num_tokens} tokens")
            chunk = images[first : first + CHUNK]
            tokens = pretrained.image_tokenizer.tokenize(chunk).to(device)
            order = sample_orders(len(chunk), config.num_tokens, draws)
            mask = mask_from_order(order, config.num_tokens - visible).to(device)
            parts.append(model.pooled_tokens(model.encode(tokens, mask), mask).half().cpu())
        found.append(torch.cat(parts))
        shares.append(visible / config.num_tokens)
        if until():
            break
    return torch.stack(found), torch.tensor(shares)


def _fit(
    critic: PhraseCritic,
    pooled: Tensor,
    shares: Tensor,
    wanted: Tensor,
    rounds: int,
    seed: int,
    until: Callable[[], bool],
    progress: Progress,
) -> float:
    """Trains the critic; returns the share of looks at held-out pictures in which it puts all their phrases first."""
    looks, count, _ = pooled.shape
    held = torch.arange(count) % (4 * HELD_OUT) == 0
    learned, tested = (~held).nonzero()[:, 0], held.nonzero()[:, 0]
    # look by look, since all looks at once may not fit into memory as floats
    moments = torch.stack([torch.stack([x.mean(0), x.square().mean(0)]) for x in (p[learned].double() for p in pooled)])
    mean, square = moments.mean(0)
    critic.mean, critic.spread = mean.float(), (square - mean.square()).clamp(min=0).sqrt().clamp(min=1e-3).float()
    optimizer = torch.optim.AdamW(critic.parameters(), lr=1e-3, weight_decay=0.05)
    draws = generator(seed, "phrase critic rows")
    steps = -(-looks * len(learned) // ROWS)
    for number in range(rounds):
        critic.train()
        for step, rows in enumerate(torch.randperm(looks * len(learned), generator=draws).split(ROWS)):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (1 - (number + step / steps) / rounds)
            picture, look = learned[rows % len(learned)], rows // len(learned)
            logs = critic.log_probabilities(pooled[look, picture].float(), shares[look])
            loss = _phrase_loss(logs, wanted[picture])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress((number + step / steps) / rounds, "learning phrases")
        if until():
            break
    critic.eval()
    return round(sum(_named(critic, pooled[i, tested], shares[i], wanted[tested]) for i in range(looks)) / looks, 4)


@torch.no_grad()
def _named(critic: PhraseCritic, pooled: Tensor, share: Tensor, wanted: Tensor) -> float:
    """Share of pictures whose phrases (T, M) are all among the M most probable ones."""
    logs = critic.log_probabilities(pooled.float(), share.expand(len(pooled)))
    least = of_wanted(logs, wanted).amin(1)
    return float((least >= logs.topk(wanted.shape[1]).values[:, -1]).float().mean())


def _phrase_loss(logs: Tensor, wanted: Tensor) -> Tensor:
    """() mean of minus the log-probabilities (R, V) of the wanted phrases (R, M), -1 where there is none."""
    known = wanted >= 0
    return -(of_wanted(logs, wanted).sum(1) / known.sum(1).clamp(min=1)).mean()
