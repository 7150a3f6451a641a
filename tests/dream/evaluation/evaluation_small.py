"""An untrained model that evaluations run on in moments, and how their results are looked up."""

from dataclasses import replace

import torch

from dream import presets
from dream.config import TrainConfig
from dream.data.drawn.shapes import ShapesSource
from dream.data.text import train_tokenizer
from dream.model.conditioning import build_conditioning
from dream.model.dream import Dream
from dream.model.latents import build_image_tokenizer
from dream.model.pretrained import Pretrained


def small_config():
    config = presets.tiny()
    return replace(
        config,
        encoder=replace(config.encoder, width=32, depth=1, heads=2),
        decoder=replace(config.decoder, width=32, depth=1, heads=2),
        head=replace(config.head, width=16, depth=1, sampling_steps=2),
        text=replace(config.text, width=16, depth=1, conditioning_width=16),
        joint=replace(config.joint, width=8, hidden=16),
        decode=replace(config.decode, steps=5),
        train=TrainConfig(batch_size=64),
    )


def small_pretrained(path):
    config = small_config()
    words = ShapesSource(config).captions(500)
    tokenizer = train_tokenizer(words, config.text.vocab_size, config.text.context_length)
    config = replace(config, text=replace(config.text, vocab_size=tokenizer.vocab_size))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = Dream(config).eval()
        for weights in model.head.parameters():  # as it starts, a head paints the same whatever its noise
            weights.data += 0.05 * torch.randn_like(weights)
        conditioning = build_conditioning(config.text, tokenizer)
    images = build_image_tokenizer(config.image)
    return Pretrained(config, model, tokenizer, conditioning, images, "abc", path, 1)


def by_name(measures, **where):
    """Estimates by name, of the measures with these conditions; False: without it."""
    return {m.name: m.estimate for m in measures if all(m.where.get(k, False) == v for k, v in where.items())}
