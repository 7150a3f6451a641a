"""Text conditioning of the decoder: token ids for the model's own embedding, or states of a frozen T5 encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from dream.config import TextConfig
from dream.data.reading import TextReader
from dream.data.text import CaptionTokenizer, Piece
from dream.errors import InputError
from dream.model.frozen import frozen_dtype
from dream.weights.finite import require_finite, require_finite_weights
from dream.weights.hub import how_to_bring, hub_options, local_model
from dream.weights.reading import check_model_folder


class Conditioning(Protocol):
    """Turns captions into the input of `Dream.text_states`. The empty caption is the unconditional input."""

    def condition(self, captions: Sequence[str]) -> Tensor:
        """Returns token ids (B, T) long, or states (B, T, W) float32."""
        ...

    def to(self, device: torch.device) -> "Conditioning":
        """Moves the encoder, if there is one, to `device`."""
        ...


def build_conditioning(config: TextConfig, tokenizer: CaptionTokenizer) -> Conditioning:
    """Builds the conditioning of the configuration. Raises InputError if T5 cannot be loaded or does not fit."""
    return LearnedConditioning(tokenizer) if config.conditioning == "learned" else T5Conditioning(config)


def decoder_reader(config: TextConfig, tokenizer: CaptionTokenizer) -> TextReader:
    """What the decoder reads of a prompt, without weights. Raises InputError if T5's tokenizer cannot be loaded."""
    if config.conditioning == "learned":
        return tokenizer
    return T5Reader(_t5_tokenizer(config), config.conditioning_length)


class T5Reader:
    """Tokens of T5 and how many of them the decoder gets."""

    def __init__(self, tokenizer: Any, length: int) -> None:
        self.tokenizer, self.room = tokenizer, length - 1  # the last one is the end

    def pieces(self, caption: str) -> list[Piece]:
        """All tokens of a caption, without the end; none if the tokenizer does not know their places."""
        if not self.tokenizer.is_fast:
            return []
        encoding = self.tokenizer(caption, return_offsets_mapping=True, add_special_tokens=False, verbose=False)
        tokens = self.tokenizer.convert_ids_to_tokens(encoding.input_ids)
        fields = zip(encoding.input_ids, tokens, encoding.word_ids(), encoding.offset_mapping, strict=True)
        return [
            Piece(id, token, caption[start:end], -1 if word is None else word, start, end)
            for id, token, word, (start, end) in fields
        ]


class LearnedConditioning:
    """Token ids (B, T) of the captions; the model embeds them and trains that embedding."""

    def __init__(self, tokenizer: CaptionTokenizer) -> None:
        self.tokenizer = tokenizer

    def condition(self, captions: Sequence[str]) -> Tensor:
        """Token ids (B, T) long."""
        return self.tokenizer.token_ids(captions)

    def to(self, device: torch.device) -> "LearnedConditioning":
        """Returns self; there is nothing to move."""
        return self


class T5Conditioning:
    """Last hidden states (B, T, W) of a frozen T5 encoder. Padding is attended to, as published."""

    def __init__(self, config: TextConfig) -> None:
        self.length = config.conditioning_length
        self.tokenizer, self.model = _load_t5(config)
        self.device = torch.device("cpu")

    def condition(self, captions: Sequence[str]) -> Tensor:
        """States (B, conditioning_length, conditioning_width) float32."""
        return self.states_of(self.token_ids(captions))

    def token_ids(self, captions: Sequence[str]) -> Tensor:
        """Ids (B, conditioning_length) long, padded."""
        return self.tokenizer(
            list(captions), max_length=self.length, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids

    @torch.no_grad()
    def states_of(self, ids: Tensor) -> Tensor:
        """States (B, conditioning_length, conditioning_width) float32 of ids (B, conditioning_length)."""
        ids = ids.to(self.device).long()
        states = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.float()
        return require_finite(states, f"the T5 states of {len(ids):,} captions")

    def to(self, device: torch.device) -> "T5Conditioning":
        """Moves the T5 encoder to `device`, in bfloat16 if that has it."""
        self.device = torch.device(device)
        self.model.to(self.device, frozen_dtype(self.device))
        return self


def _t5_tokenizer(config: TextConfig) -> Any:
    from transformers import AutoTokenizer

    check_model_folder(Path(config.t5).expanduser())
    try:
        return AutoTokenizer.from_pretrained(local_model(config.t5), **hub_options(config.t5))
    except (OSError, ValueError) as error:
        raise _t5_missing(config, error) from error


def _load_t5(config: TextConfig) -> tuple[Any, Any]:
    from transformers import T5EncoderModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = _t5_tokenizer(config)
    try:
        model = T5EncoderModel.from_pretrained(local_model(config.t5), use_safetensors=True, **hub_options(config.t5))
    except (OSError, ValueError) as error:
        raise _t5_missing(config, error) from error
    if model.config.d_model != config.conditioning_width:
        raise InputError(
            f"the T5 encoder '{config.t5}' is {model.config.d_model} wide, the configuration says "
            f"text.conditioning_width={config.conditioning_width}; set it to {model.config.d_model}"
        )
    require_finite_weights(model.state_dict(), f"the T5 encoder '{config.t5}'")
    return tokenizer, model.eval().requires_grad_(False)


def _t5_missing(config: TextConfig, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    files = "config.json, model.safetensors, spiece.model and tokenizer.json"
    return InputError(
        f"cannot load the T5 encoder '{config.t5}' (text.t5): {how_to_bring(config.t5, files, 'text.t5')}; "
        f"text.conditioning=learned needs none ({reason})"
    )
