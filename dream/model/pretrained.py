"""A trained model with everything needed to use it. `dream.pretrained` opens one from disk."""

from dataclasses import dataclass
from pathlib import Path

import torch

from dream.config import DreamConfig
from dream.data.text import CaptionTokenizer
from dream.model.conditioning import Conditioning
from dream.model.dream import Dream
from dream.model.latents import ImageTokenizer


@dataclass(frozen=True)
class Pretrained:
    """A model in eval mode, with the tokenizers it was trained with."""

    config: DreamConfig
    model: Dream
    tokenizer: CaptionTokenizer
    conditioning: Conditioning
    image_tokenizer: ImageTokenizer
    model_id: str
    """Short name of the weights; equal weights have equal names."""
    path: Path
    """The checkpoint folder."""
    step: int = 0
    """Optimizer steps of the weights."""

    def to(self, device: torch.device) -> "Pretrained":
        """Moves the model and its tokenizers to `device` and returns self."""
        for module in (self.model, self.conditioning, self.image_tokenizer):
            module.to(device)
        return self
