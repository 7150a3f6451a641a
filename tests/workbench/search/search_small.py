"""A model of a few thousand weights, untrained, with a tokenizer; and folders of captioned pictures."""

import tarfile
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from dream.config import DreamConfig
from dream.data.text import CaptionTokenizer, train_tokenizer
from dream.model.conditioning import build_conditioning
from dream.model.dream import Dream
from dream.model.latents import build_image_tokenizer
from dream.model.pretrained import Pretrained
from dream.presets import tiny

WORDS = ("red", "green", "blue", "yellow")


def small_config(**objective: object) -> DreamConfig:
    """`tiny`, thinner: 9 tokens of 6 x 6 pixels."""
    config = tiny()
    return replace(
        config,
        image=replace(config.image, size=18),
        text=replace(config.text, vocab_size=300, context_length=8, width=16, depth=1, conditioning_length=8),
        encoder=replace(config.encoder, width=24, depth=1, heads=2),
        decoder=replace(config.decoder, width=24, depth=1, heads=2),
        head=replace(config.head, width=16, depth=1),
        joint=replace(config.joint, width=12, hidden=16),
        objective=replace(config.objective, **objective),
    )


def small_tokenizer(config: DreamConfig) -> CaptionTokenizer:
    """Of a handful of captions."""
    captions = [f"a {word} square" for word in WORDS]
    return train_tokenizer(captions, config.text.vocab_size, config.text.context_length)


def small_model(**objective: object) -> Pretrained:
    """Untrained, the same every time."""
    config = small_config(**objective)
    tokenizer = small_tokenizer(config)
    config = replace(config, text=replace(config.text, vocab_size=tokenizer.vocab_size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Dream(config).eval()
    conditioning = build_conditioning(config.text, tokenizer)
    images = build_image_tokenizer(config.image)
    return Pretrained(config, model, tokenizer, conditioning, images, "small", Path("small"))


def captioned_folder(root: Path, count: int = 8, size: tuple[int, int] = (40, 24)) -> Path:
    """`count` plain pictures with captions of three words, a word a colour; every fifth repeats one."""
    root.mkdir(parents=True)
    for number in range(count):
        word = WORDS[number % len(WORDS)]
        Image.new("RGB", size, word).save(root / f"{number:03d}.png")
        (root / f"{number:03d}.txt").write_text(f"a {word} square")
    return root


def tar_of(path: Path, folder: Path) -> Path:
    """A tar shard of a folder's files."""
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return path
