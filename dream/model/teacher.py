"""The frozen teacher of REPA: patch features of any timm model, resampled to the token grid."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.config import DreamConfig
from dream.errors import InputError


class Teacher:
    """Patch features (B, N, W) of pictures (B, 3, H, W) uint8 under a frozen timm model."""

    def __init__(self, config: DreamConfig) -> None:
        self.size, self.grid = config.objective.teacher_size, config.image.grid
        self.model = _load_teacher(config)
        statistics = self.model.pretrained_cfg
        self.mean = torch.tensor(statistics["mean"]).view(1, 3, 1, 1)
        self.std = torch.tensor(statistics["std"]).view(1, 3, 1, 1)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """(B, N, W): the picture resized to the teacher's size and normalised with its statistics (arXiv
        2410.06940).
        """
        x = images.float() / 255
        x = F.interpolate(x, size=(self.size, self.size), mode="bicubic", antialias=True, align_corners=False)
        x = (x.clamp(0, 1) - self.mean.to(x.device)) / self.std.to(x.device)
        features = self.model.forward_features(x)
        if features.ndim == 4:  # a convolutional model: (B, W, h, w), or (B, h, w, W) as timm's Swin
            features = features if features.shape[1] == self.model.num_features else features.permute(0, 3, 1, 2)
        else:
            patches = features[:, getattr(self.model, "num_prefix_tokens", 0) :]
            side = round(patches.shape[1] ** 0.5)
            features = patches.transpose(1, 2).reshape(len(x), -1, side, side)
        if features.shape[-1] != self.grid:
            features = F.interpolate(features, size=(self.grid, self.grid), mode="bilinear", align_corners=False)
        return features.flatten(2).transpose(1, 2)

    def to(self, device: torch.device) -> "Teacher":
        self.model.to(device)
        return self


def _load_teacher(config: DreamConfig) -> Any:
    import timm

    c = config.objective
    if not timm.is_model(c.teacher):
        close = timm.list_models(f"*{c.teacher.split('_')[0]}*")[:3]
        raise InputError(f"timm has no model '{c.teacher}' (objective.teacher); near are {', '.join(close) or 'none'}")
    options: dict[str, Any] = {"num_classes": 0}
    if "img_size" in _arguments(timm, c.teacher):
        options["img_size"] = c.teacher_size
    try:
        if c.teacher_weights:
            model = timm.create_model(c.teacher, pretrained=False, checkpoint_path=c.teacher_weights, **options)
        else:
            model = timm.create_model(c.teacher, pretrained=True, **options)
    except Exception as error:  # timm raises whatever its downloader and loader raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"cannot load the teacher '{c.teacher}': expected objective.teacher_weights to name a local "
            f".safetensors of that model, or timm's pretrained weights to be reachable ({reason})"
        ) from error
    if model.num_features != c.teacher_width:
        raise InputError(
            f"the teacher '{c.teacher}' is {model.num_features} wide, the configuration says "
            f"objective.teacher_width={c.teacher_width}; set it to {model.num_features}"
        )
    return model.eval().requires_grad_(False)


def _arguments(timm: Any, name: str) -> tuple[str, ...]:
    """`img_size` for the models that take it: the vision transformers whose position tables depend on the
    size.
    """
    entry = timm.get_pretrained_cfg(name)
    fixed = entry is not None and getattr(entry, "fixed_input_size", False)
    return ("img_size",) if fixed else ()
