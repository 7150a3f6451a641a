"""The configuration of foreign weights: sizes from shapes, the rest from the file's settings or a preset."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from dream.config import DreamConfig
from dream.errors import InputError
from dream.plain_text import whole_number
from dream.presets import base, giant, huge, large

Heads = Mapping[str, int]
"""Attention heads by part: encoder, decoder, text."""
HEADED = ("encoder", "decoder", "text")
_ARGS = {
    "masking": {
        "center_start": "mask_ratio_mu_start",
        "center_end": "mask_ratio_mu_end",
        "std": "mask_ratio_std",
        "low": "mask_ratio_min",
        "high": "mask_ratio_max",
    },
    "head": {"draws": "diffusion_batch_mul"},
}
"""Our fields, and the authors' settings that they are."""


def sized_config(named: Mapping[str, Tensor], start: DreamConfig, args: Mapping[str, Any], heads: Heads) -> DreamConfig:
    """`start` with the sizes of tensors under our names, and what `args` say.

    Numbers of heads leave no trace in shapes: they are those of `heads`, of `args`, or of the published model of that
    width; raises InputError, which asks for them, if none of these says so.
    """
    config = start
    if "encoder.embed.weight" in named:
        config = replace(config, image=_image(named, config, args))
        config = replace(config, encoder=_tower(named, config, "encoder"))
        config = replace(config, decoder=_tower(named, config, "decoder"))
    if "aligner.embed.weight" in named:
        text = replace(
            config.text,
            conditioning_length=named["aligner.positions"].shape[-2],
            conditioning_width=named["aligner.embed.weight"].shape[1],
        )
        decoder = replace(config.decoder, aligner_depth=_depth(named, "aligner"))
        config = replace(config, text=text, decoder=decoder)
    if "text_tower.embedding.weight" in named:
        vocabulary, width = named["text_tower.embedding.weight"].shape
        context, depth = named["text_tower.positions"].shape[0], _depth(named, "text_tower")
        tower = replace(config.text, vocab_size=vocabulary, width=width, depth=depth, context_length=context, heads=1)
        config = replace(config, text=tower)
    if "joint.layer1.weight" in named:
        width, hidden = named["joint.layer3.weight"].shape
        config = replace(config, joint=replace(config.joint, width=width, hidden=hidden))
    if "head.embed.weight" in named:
        head = replace(config.head, width=named["head.embed.weight"].shape[0], depth=_depth(named, "head"))
        config = replace(config, head=head)
    for section, fields in _ARGS.items():
        known = {ours: args[theirs] for ours, theirs in fields.items() if isinstance(args.get(theirs), (int, float))}
        config = replace(config, **{section: replace(getattr(config, section), **known)})
    return _with_heads(config, start, args, heads)


def parse_heads(text: str | None) -> dict[str, int]:
    """`12`, or `encoder=12,decoder=12,text=8`, by part; raises InputError for anything else."""
    if text is None:
        return {}
    if 0 < (number := whole_number(text) or 0) < 10_000:
        return {"encoder": number, "decoder": number}
    pairs = [re.fullmatch(r"(encoder|decoder|text)=([1-9]\d{0,3})", part.strip()) for part in text.split(",")]
    if not all(pairs):
        raise InputError(f"--heads must be a number, or e.g. encoder=12,decoder=12,text=8, got '{text}'")
    return {pair[1]: int(pair[2]) for pair in pairs if pair}


def _image(named: Mapping[str, Tensor], config: DreamConfig, args: Mapping[str, Any]) -> Any:
    image = config.image
    channels, stride = int(args.get("vae_embed_dim") or image.channels), int(args.get("vae_stride") or image.stride)
    token_dim, tokens = named["encoder.embed.weight"].shape[1], named["decoder.output_positions"].shape[-2]
    patch, grid = math.isqrt(token_dim // channels), math.isqrt(tokens)
    if patch * patch * channels != token_dim or grid * grid != tokens:
        raise InputError(
            f"the weights have {tokens} tokens of {token_dim} numbers, which are no square patches of {channels} "
            "channels: give --set image.channels=N image.stride=N"
        )
    return replace(image, channels=channels, stride=stride, patch_size=patch, size=grid * patch * stride)


def _tower(named: Mapping[str, Tensor], config: DreamConfig, part: str) -> Any:
    hidden, width = named[f"{part}.blocks.0.mlp.fc1.weight"].shape
    ratio = hidden / width
    ratio = ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)
    changes: dict[str, Any] = {"width": width, "depth": _depth(named, part), "mlp_ratio": ratio, "heads": 1}
    if part == "encoder":
        changes["buffer_tokens"] = named["encoder.positions"].shape[-2] - config.image.num_tokens
    return replace(getattr(config, part), **changes)


def _depth(named: Mapping[str, Tensor], part: str) -> int:
    numbers = [re.match(rf"{part}\.blocks\.(\d+)\.", name) for name in named]
    return 1 + max((int(match[1]) for match in numbers if match), default=-1)


def _with_heads(config: DreamConfig, start: DreamConfig, args: Mapping[str, Any], heads: Heads) -> DreamConfig:
    text_args = args.get("text_cfg")
    text_heads = text_args.get("heads") if isinstance(text_args, dict) else None
    said = {"encoder": args.get("encoder_num_heads"), "decoder": args.get("decoder_num_heads"), "text": text_heads}
    for part in HEADED:
        section = getattr(config, part)
        published = {getattr(each(), part).width: getattr(each(), part).heads for each in (base, large, huge, giant)}
        published |= {getattr(start, part).width: getattr(start, part).heads}
        number = heads.get(part) or said[part] or published.get(section.width)
        if not isinstance(number, int):
            fitting = ", ".join(str(n) for n in range(1, section.width + 1) if section.width % n == 0)
            raise InputError(
                f"the weights do not say how many attention heads their {part} of width {section.width} has: "
                f"give --heads {part}=N (N divides the width: {fitting})"
            )
        config = replace(config, **{part: replace(section, heads=number)})
    return config
