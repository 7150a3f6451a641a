"""Converts the authors' checkpoints to ours and back: names, shapes and settings. It opens no file."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dream.config import (
    DecoderConfig,
    DreamConfig,
    EncoderConfig,
    HeadConfig,
    ImageConfig,
    JointConfig,
    MaskingConfig,
    ObjectiveConfig,
    TextConfig,
    TrainConfig,
)
from dream.errors import InputError
from dream.model.dream import Dream
from dream.weights.finite import require_finite_weights

# (prefix of the authors' name, ours); the inverse is derived
_NAMES = [
    ("z_proj", "encoder.embed"),
    ("z_proj_ln", "encoder.norm_in"),
    ("encoder_blocks", "encoder.blocks"),
    ("encoder_norm", "encoder.norm_out"),
    ("encoder_pos_embed_learned", "encoder.positions"),
    ("class_emb.weight", "encoder.buffer"),
    ("decoder_embed", "decoder.embed"),
    ("decoder_proj_ln", "decoder.norm_in"),
    ("mask_token", "decoder.mask_token"),
    ("decoder_pos_embed_learned", "decoder.positions"),
    ("decoder_blocks", "decoder.blocks"),
    ("decoder_norm", "decoder.norm_out"),
    ("diffusion_pos_embed_learned", "decoder.output_positions"),
    ("text_proj", "aligner.embed"),
    ("text_proj_ln", "aligner.norm_in"),
    ("text_pos_emb", "aligner.positions"),
    ("text_aligner", "aligner.blocks"),
    ("token_embedding", "text_tower.embedding"),
    ("positional_embedding", "text_tower.positions"),
    ("transformer.resblocks", "text_tower.blocks"),
    ("ln_final", "text_tower.norm_out"),
    ("text_projection", "text_tower.projection.weight"),
    ("image_projection", "joint"),
    ("logit_scale", "logit_scale"),
    ("diffloss.net.time_embed.mlp", "head.time_embed"),
    ("diffloss.net.cond_embed", "head.project"),
    ("diffloss.net.input_proj", "head.embed"),
    ("diffloss.net.res_blocks", "head.blocks"),
    ("diffloss.net.final_layer.linear", "head.out"),
    ("diffloss.net.final_layer.adaLN_modulation.1", "head.modulation_out"),
]
_INNER = {
    "text_tower.blocks": [
        ("ln_1", "norm1"),
        ("ln_2", "norm2"),
        ("attn.in_proj_weight", "attn.qkv.weight"),
        ("attn.in_proj_bias", "attn.qkv.bias"),
        ("attn.out_proj", "attn.proj"),
        ("mlp.c_fc", "mlp.fc1"),
        ("mlp.c_proj", "mlp.fc2"),
    ],
    "head.blocks": [("in_ln", "norm"), ("adaLN_modulation.1", "modulation")],
}
_NEVER_TRAINED = {"fake_latent"}
_SHAPED = {
    "encoder.positions",
    "decoder.mask_token",
    "decoder.positions",
    "decoder.output_positions",
    "aligner.positions",
}
"""Our parameters that lack the leading dimensions of one in the authors' checkpoints."""


def our_name(name: str) -> str:
    """Our name of the authors' parameter or buffer; raises InputError for one that DREAM does not have."""
    return _translate(name, _NAMES, _INNER)


def their_name(name: str) -> str:
    """The authors' name of our parameter or buffer."""
    back = [(ours, theirs) for theirs, ours in _NAMES]
    inner = {theirs: [(o, t) for t, o in _INNER[ours]] for theirs, ours in _NAMES if ours in _INNER}
    return _translate(name, back, inner)


def from_state_dict(state: Mapping[str, Tensor], config: DreamConfig | Mapping[str, Any]) -> Dream:
    """A DREAM in eval mode from weights under the authors' names.

    `config` is a DreamConfig or the authors' own settings (`config_from_settings`). Raises InputError, which lists the
    missing, unexpected and wrongly shaped weights, or names those with NaN or infinite values. See docs/method.md,
    Names in the authors' checkpoints.
    """
    if not isinstance(config, DreamConfig):
        config = config_from_settings(config)
    require_finite_weights(state, "the authors' checkpoint")
    model = Dream(config)
    ours = {}
    for name, value in state.items():
        name = name.removeprefix("module.")
        if name not in _NEVER_TRAINED:
            ours[our_name(name)] = to_our_shape(our_name(name), value)
    _load(model, ours)
    return model.eval()


def to_state_dict(model: Dream) -> dict[str, Tensor]:
    """The model's weights under the authors' names and shapes (one class embedding; no `fake_latent`)."""
    return to_their_shapes(model.state_dict())


def to_their_shapes(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights by name, under the authors' names and in their shapes."""
    state = {}
    for name, value in weights.items():
        if name in _SHAPED:
            value = value.reshape((1,) * (3 - value.ndim) + tuple(value.shape))
        state[their_name(name)] = value.T if name == "text_tower.projection.weight" else value
    return state


def config_from_settings(settings: Mapping[str, Any]) -> DreamConfig:
    """DreamConfig of the authors' settings under their names (`encoder_embed_dim`, `diffloss_w`, `text_cfg`, ...)."""
    s, text = dict(settings), dict(settings["text_cfg"])
    return DreamConfig(
        image=ImageConfig(
            size=s["img_size"], patch_size=s["patch_size"], channels=s["vae_embed_dim"], stride=s["vae_stride"]
        ),
        text=TextConfig(
            vocab_size=text["vocab_size"],
            context_length=text["context_length"],
            width=text["width"],
            depth=text["layers"],
            heads=text["heads"],
            conditioning_length=s["text_max_len"],
            conditioning_width=s["t5_embed_dim"],
        ),
        encoder=EncoderConfig(
            width=s["encoder_embed_dim"],
            depth=s["encoder_depth"],
            heads=s["encoder_num_heads"],
            mlp_ratio=float(s["mlp_ratio"]),
            buffer_tokens=s["buffer_size"],
        ),
        decoder=DecoderConfig(
            width=s["decoder_embed_dim"],
            depth=s["decoder_depth"],
            heads=s["decoder_num_heads"],
            mlp_ratio=float(s["mlp_ratio"]),
            aligner_depth=s["text_aligner_depth"],
        ),
        head=HeadConfig(
            width=s["diffloss_w"],
            depth=s["diffloss_d"],
            sampling_steps=int(s["num_sampling_steps"]),
            draws=s["diffusion_batch_mul"],
        ),
        joint=JointConfig(width=s["embed_dim"], hidden=s["ssl_mlp_dim"]),
        masking=MaskingConfig(
            center_start=s["mask_ratio_mu_start"],
            center_end=s["mask_ratio_mu_end"],
            std=s["mask_ratio_std"],
            low=s["mask_ratio_min"],
            high=s["mask_ratio_max"],
            warmup_end=s["masking_warmup_end"] / s["epochs"],
            moving_interval=not s["fixed_masking_boundary"],
            schedule="warmup" if s["variable_masking"] else "constant",
        ),
        objective=ObjectiveConfig(
            min_visible=s["min_ratio_for_clip_loss"] if s["filter_clip_loss"] else 0.0,
            min_masked=s["min_masked_ratio_for_mar_loss"],
        ),
        train=TrainConfig(),
    )


def _translate(name: str, names: list[tuple[str, str]], inner: dict[str, list[tuple[str, str]]]) -> str:
    for old, new in sorted(names, key=lambda pair: -len(pair[0])):
        if name == old or name.startswith(old + "."):
            rest = name[len(old) :]
            for inner_old, inner_new in inner.get(new if new in inner else old, []):
                rest = re.sub(rf"(?<=\.){re.escape(inner_old)}(?=\.|$)", inner_new, rest)
            return new + rest
    raise InputError(f"DREAM has no parameter '{name}'; expected names as in the authors' `model` or `model_ema`")


def to_our_shape(name: str, value: Tensor) -> Tensor:
    """A tensor of the authors in the shape of ours of this name."""
    if name == "text_tower.projection.weight":
        return value.T
    if name == "encoder.buffer":
        return value[:1]
    if name == "decoder.mask_token":
        return value.reshape(-1)
    return value[0] if name in _SHAPED else value


def _load(model: Dream, state: dict[str, Tensor]) -> None:
    own = model.state_dict()
    problems = [f"missing {their_name(n)}" for n in own if n not in state]
    problems += [f"unexpected {their_name(n)}" for n in state if n not in own]
    problems += [
        f"{their_name(n)} has shape {tuple(state[n].shape)}, the configuration says {tuple(own[n].shape)}"
        for n in own
        if n in state and state[n].shape != own[n].shape
    ]
    if problems:
        raise InputError(
            f"the weights do not fit the configuration: {'; '.join(problems[:8])}"
            + (f" and {len(problems) - 8} more" if len(problems) > 8 else "")
        )
    with torch.no_grad():
        model.load_state_dict(state, strict=True)
