"""The modules of a training: the model at its start, the tokenizers, and the frozen modules that feed it."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dream.config import DreamConfig
from dream.data.sources import Source
from dream.data.text import CaptionTokenizer, load_tokenizer, train_tokenizer
from dream.model.conditioning import build_conditioning
from dream.model.dream import Dream
from dream.model.latents import build_image_tokenizer
from dream.model.pretrained import ModelBundle
from dream.model.teacher import Teacher
from dream.randomness import seed_of
from dream.training.optim import freeze_untrained

CAPTIONS_READ = 20_000
"""Most captions that a tokenizer is trained on."""


@dataclass(frozen=True)
class TrainingBundle(ModelBundle):
    """The model that is trained, with everything that feeds it."""

    teacher: Teacher | None
    """The teacher that REPA aligns to, if any."""

    def move_frozen(self, device: torch.device) -> None:
        """Moves the frozen modules to `device`; the strategy places the model."""
        for module in (self.conditioning, self.image_tokenizer, self.teacher):
            if module is not None:
                module.to(device)


def obtain_tokenizer(config: DreamConfig, source: Source, saved: Path | None) -> CaptionTokenizer:
    """The `saved` caption tokenizer, else the one that the configuration names, else one trained now."""
    length = config.text.context_length
    if saved is not None and saved.exists():
        return load_tokenizer(saved, length)
    if config.text.tokenizer != "bpe":
        return load_tokenizer(config.text.tokenizer, length, config.text.cleaning)
    captions = source.captions(CAPTIONS_READ)
    return train_tokenizer(captions, config.text.vocab_size, length, every_caption=len(captions) < CAPTIONS_READ)


def build_bundle(config: DreamConfig, tokenizer: CaptionTokenizer) -> TrainingBundle:
    """Model and frozen modules; equal seeds give equal initial weights, whatever was drawn before."""
    config = replace(config, text=replace(config.text, vocab_size=tokenizer.vocab_size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.train.seed, "weights"))
        model = Dream(config)
    freeze_untrained(model, config)
    teacher = Teacher(config) if config.trained_objective.alignment_weight else None
    conditioning = build_conditioning(config.text, tokenizer)
    return TrainingBundle(config, model, tokenizer, conditioning, build_image_tokenizer(config.image), teacher)


def compile_blocks(model: Dream) -> None:
    """Compiles transformer and head blocks in place: one graph per kind of block, for varying sizes."""
    for stack in (model.encoder, model.decoder, model.aligner, model.text_tower, model.head):
        for block in stack.blocks:
            block.compile(dynamic=True)
