"""A trained model with everything needed to use it. `dream.pretrained` opens one."""

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
    """A model in eval mode and the tokenizers it was trained with."""

    config: DreamConfig
    model: Dream
    tokenizer: CaptionTokenizer
    conditioning: Conditioning
    image_tokenizer: ImageTokenizer
    model_id: str
    """Short name of the weights: equal weights, equal name."""
    path: Path
    """The checkpoint folder."""
    step: int = 0
    """Optimiser steps the weights have had."""

    def to(self, device: torch.device) -> "Pretrained":
        """Itself, moved to `device`."""
        for part in (self.model, self.conditioning, self.image_tokenizer):
            part.to(device)
        return self
