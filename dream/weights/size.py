"""Whether weights files can hold a model: asked before one is built, which takes the memory that its sizes say."""

from pathlib import Path

from dream.config import DreamConfig
from dream.errors import InputError
from dream.pointer_files import is_pointer_file


def require_room(folder: Path, config: DreamConfig) -> None:
    """Raises InputError if the weights files in a checkpoint's folder are too small for the model of `config`.

    A folder without any is not judged.
    """
    held = sum(path.stat().st_size for path in folder.rglob("*.safetensors") if not is_pointer_file(path))
    if held and (least := least_parameters(config)) > held:
        raise InputError(
            f"its config describes a model of {least:.2g} parameters or more, its weights have {held:,} bytes"
        )


def least_parameters(config: DreamConfig) -> int:
    """A lower bound of the model's parameters: the matrices of its blocks, and the embeddings of its text tower."""
    encoder, decoder, head, text = config.encoder, config.decoder, config.head, config.text
    return int(
        encoder.depth * encoder.width**2 * (4 + 2 * encoder.mlp_ratio)  # attention, MLP
        + decoder.depth * decoder.width**2 * (6 + 2 * decoder.mlp_ratio)  # also queries and outputs to the text
        + head.depth * head.width**2 * 2
        + text.depth * text.width**2 * 4
        + text.vocab_size * text.width
    )
