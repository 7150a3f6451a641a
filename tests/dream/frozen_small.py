"""Small frozen models that tests make: an AutoencoderKL and a T5 encoder, in folders as the hub has them."""

from pathlib import Path

import torch

import dream  # noqa: F401  (before torchvision is imported by diffusers and transformers)


def save_vae(folder: Path, seed: int = 0) -> Path:
    """A VAE of 4 channels at stride 2."""
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    kinds = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    AutoencoderKL(
        block_out_channels=[8, 8], latent_channels=4, norm_num_groups=4, layers_per_block=1, **kinds
    ).save_pretrained(folder)
    return folder


def save_t5(folder: Path, captions: list[str], seed: int = 0) -> Path:
    """A T5 encoder of width 16 that knows the words of `captions`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    words = ["<pad>", "</s>", "<unk>", *sorted({w for c in captions for w in c.split()})]
    tokens = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    small = T5Config(vocab_size=len(words), d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    T5EncoderModel(small).save_pretrained(folder)
    return folder
