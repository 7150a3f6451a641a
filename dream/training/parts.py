"""What a training is made of: the model at its start, the tokenizer, and the frozen parts that feed it.

It knows nothing of devices and ranks.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dream.config import DreamConfig
from dream.data.sources import Source
from dream.data.text import CaptionTokenizer, load_tokenizer, train_tokenizer
from dream.model.conditioning import Conditioning, build_conditioning
from dream.model.dream import Dream
from dream.model.latents import ImageTokenizer, build_image_tokenizer
from dream.model.teacher import Teacher
from dream.randomness import seed_of
from dream.training.optim import freeze_untrained


@dataclass(frozen=True)
class Parts:
    """The model, and what feeds it."""

    config: DreamConfig
    """With the tokenizer's real vocabulary."""
    model: Dream
    tokenizer: CaptionTokenizer
    conditioning: Conditioning
    image_tokenizer: ImageTokenizer
    teacher: Teacher | None
    """What REPA aligns to."""

    def to(self, device: torch.device) -> "Parts":
        """Itself, with the frozen parts moved to `device`; the model is placed by its strategy."""
        for part in (self.conditioning, self.image_tokenizer, self.teacher):
            if part is not None:
                part.to(device)
        return self


def obtain_tokenizer(config: DreamConfig, source: Source, saved: Path | None) -> CaptionTokenizer:
    """The `saved` caption tokenizer, else the one that the configuration names, else one trained now."""
    length = config.text.context_length
    if saved is not None and saved.exists():
        return load_tokenizer(saved, length)
    if config.text.tokenizer != "bpe":
        return load_tokenizer(config.text.tokenizer, length)
    return train_tokenizer(source.captions(), config.text.vocab_size, length)


def build_parts(config: DreamConfig, tokenizer: CaptionTokenizer) -> Parts:
    """Model and frozen parts; equal seeds start with equal weights, whatever was drawn before."""
    config = replace(config, text=replace(config.text, vocab_size=tokenizer.vocab_size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.train.seed, "weights"))
        model = Dream(config)
    freeze_untrained(model, config)
    teacher = Teacher(config) if config.objective.alignment_weight else None
    conditioning = build_conditioning(config.text, tokenizer)
    return Parts(config, model, tokenizer, conditioning, build_image_tokenizer(config.image), teacher)


def compile_blocks(model: Dream) -> None:
    """Compiles transformer and head blocks in place: a graph for each kind of block, for varying sizes."""
    for part in (model.encoder, model.decoder, model.aligner, model.text_tower, model.head):
        for block in part.blocks:
            block.compile(dynamic=True)
