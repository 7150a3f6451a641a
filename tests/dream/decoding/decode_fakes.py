"""Models for the tests of decoding: a fake one with predictable output, a small one with random weights."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from dream.config import DecoderConfig, DreamConfig, EncoderConfig, HeadConfig, ImageConfig, JointConfig, TextConfig
from dream.data.text import train_tokenizer
from dream.model.conditioning import LearnedConditioning
from dream.model.dream import Dream
from dream.model.latents import PixelTokenizer
from dream.model.pretrained import Pretrained
from dream.training import checkpoint
from dream.training.live_tensors import model_tensors

SIZE, PATCH = 16, 4  # 16 tokens of 48 numbers
PROMPTS = ("a red circle", "a large blue square", "a green circle above a red square")


def small_config(objective: str = "flow", grid: int = 4) -> DreamConfig:
    """A model of a few thousand parameters on grid x grid tokens."""
    return DreamConfig(
        image=ImageConfig(tokenizer="pixels", size=grid * PATCH, patch_size=PATCH, channels=3, stride=1, scale=1.0),
        encoder=EncoderConfig(width=16, depth=2, heads=2, buffer_tokens=2),
        decoder=DecoderConfig(width=24, depth=2, heads=2, aligner_depth=1),
        head=HeadConfig(width=16, depth=1, objective=objective, sampling_steps=4, draws=2),
        joint=JointConfig(width=8, hidden=16),
        text=TextConfig(
            vocab_size=300,
            context_length=12,
            width=16,
            depth=1,
            heads=2,
            conditioning="learned",
            conditioning_width=16,
            embedding_std=0.02,
        ),
    )


def small_model(config: DreamConfig) -> Dream:
    """Random weights everywhere (the head's outputs start at zero), in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Dream(config)
        for parameter in model.head.parameters():
            nn.init.normal_(parameter, std=0.2)
    return model.eval()


def small_pretrained(objective: str = "flow", grid: int = 4) -> Pretrained:
    """A model with its tokenizers, as `load_pretrained` returns it."""
    config = small_config(objective, grid)
    tokenizer = train_tokenizer(list(PROMPTS), 300, config.text.context_length)
    return Pretrained(
        config,
        small_model(config),
        tokenizer,
        LearnedConditioning(tokenizer),
        PixelTokenizer(config.image),
        "abc123",
        Path("runs/none"),
        0,
    )


class FakeModel(nn.Module):
    """Paints each place with its own number plus a share of the noise; likes pictures with a large sum."""

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        self.config, self.encodes, self.decodes = config, 0, 0
        self.head = FakeHead(config.image.token_dim)
        self.eval()

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        self.encodes += 1
        return tokens.masked_fill(mask.unsqueeze(-1), 0.0)

    def image_features(self, encoded: Tensor, mask: Tensor) -> Tensor:
        return encoded.sum(dim=(1, 2)).unsqueeze(-1)

    def text_features(self, text_ids: Tensor) -> Tensor:
        return torch.ones(len(text_ids), 1)

    def text_states(self, conditioning: Tensor) -> Tensor:
        return conditioning.float().unsqueeze(-1)

    def cross_cache(self, states: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [(states, states)]

    def decode(self, encoded: Tensor, mask: Tensor, cache: list, wanted: Tensor) -> Tensor:
        self.decodes += 1
        positions = torch.arange(mask.shape[1]).expand(len(mask), -1)
        return positions[wanted].unsqueeze(-1).float()


class FakeHead(nn.Module):
    """Predicts the clean token (`flow`): the place's number, and a tenth of what it sees."""

    def __init__(self, token_dim: int) -> None:
        super().__init__()
        self.token_dim = token_dim

    def project(self, condition: Tensor) -> Tensor:
        return condition

    def embed_times(self, times: Tensor) -> Tensor:
        return times

    def predict(self, noised: Tensor, embedded_times: Tensor, projected: Tensor) -> Tensor:
        return projected + 0.1 * noised


def save_run(pretrained: Pretrained, run: Path) -> Path:
    """A run folder with one checkpoint of the model."""
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"config": pretrained.config.to_dict()}))
    weights = model_tensors(pretrained.model)
    averaged = {name: weights[name] for name, _ in pretrained.model.named_parameters()}
    state = checkpoint.TrainingState(1, pretrained.config, "shapes", None)
    checkpoint.save_checkpoint(run, state, {"model": weights, "ema": averaged}, pretrained.tokenizer)
    return run
