"""A model together with everything needed to use it. `dream.pretrained` opens a trained one."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from dream.config import DreamConfig
from dream.data.reading import PromptReader
from dream.data.text import CaptionTokenizer
from dream.model.conditioning import Conditioning, decoder_reader
from dream.model.dream import Dream
from dream.model.latents import ImageTokenizer


@dataclass(frozen=True)
class ModelBundle:
    """A model, and what turns captions and pictures into its inputs."""

    config: DreamConfig
    """With the caption tokenizer's real vocabulary size."""
    model: Dream
    tokenizer: CaptionTokenizer
    conditioning: Conditioning
    image_tokenizer: ImageTokenizer

    @cached_property
    def reader(self) -> PromptReader:
        """What the model reads of a prompt."""
        return prompt_reader(self.config, self.tokenizer)


def prompt_reader(config: DreamConfig, tokenizer: CaptionTokenizer) -> PromptReader:
    """What a model of this configuration reads of a prompt. Raises InputError if T5's tokenizer cannot be loaded."""
    objective = config.objective
    paints = objective.text and objective.generative_weight
    return PromptReader(
        decoder_reader(config.text, tokenizer) if paints else None,
        tokenizer if objective.text and objective.contrastive_weight else None,
        tokenizer.words,
    )


@dataclass(frozen=True)
class Pretrained(ModelBundle):
    """A trained model in eval mode."""

    model_id: str
    """Short name of the weights: equal weights have equal names."""
    path: Path
    """The checkpoint folder."""
    step: int = 0
    """Optimiser steps that the weights have had."""

    def to(self, device: torch.device) -> "Pretrained":
        """Itself, moved to `device`."""
        for module in (self.model, self.conditioning, self.image_tokenizer):
            module.to(device)
        return self
