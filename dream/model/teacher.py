"""The frozen teacher of REPA: patch features of any timm model, resampled to the token grid."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.config import DreamConfig
from dream.errors import InputError
from dream.weights.finite import require_finite, require_finite_weights
from dream.weights.hub import refuse_pretrained
from dream.weights.reading import check_weights_file


class Teacher:
    """A frozen timm model that gives patch features (B, N, W) of images (B, 3, H, W) uint8."""

    def __init__(self, config: DreamConfig) -> None:
        self.size, self.grid = config.objective.teacher_size, config.image.grid
        self.model = _load_teacher(config)
        statistics = self.model.pretrained_cfg
        self.mean = torch.tensor(statistics["mean"]).view(1, 3, 1, 1)
        self.std = torch.tensor(statistics["std"]).view(1, 3, 1, 1)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (B, N, W) of the images, resized and normalised as the teacher expects (arXiv 2410.06940)."""
        x = images.float() / 255  # (B, 3, H, W)
        x = F.interpolate(x, size=(self.size, self.size), mode="bicubic", antialias=True, align_corners=False)
        x = (x.clamp(0, 1) - self.mean.to(x.device)) / self.std.to(x.device)  # (B, 3, size, size)
        features = self.model.forward_features(x)
        if features.ndim == 4:  # a convolutional model: (B, W, h, w), or (B, h, w, W) as timm's Swin
            features = features if features.shape[1] == self.model.num_features else features.permute(0, 3, 1, 2)
        else:
            patches = features[:, getattr(self.model, "num_prefix_tokens", 0) :]  # (B, h * w, W)
            side = round(patches.shape[1] ** 0.5)
            features = patches.transpose(1, 2).reshape(len(x), -1, side, side)  # (B, W, h, w)
        if features.shape[-1] != self.grid:
            features = F.interpolate(features, size=(self.grid, self.grid), mode="bilinear", align_corners=False)
        return require_finite(features.flatten(2).transpose(1, 2), "the features of the teacher")  # (B, N, W)

    def to(self, device: torch.device) -> "Teacher":
        """Moves the timm model to `device`."""
        self.model.to(device)
        return self


def _load_teacher(config: DreamConfig) -> Any:
    import timm

    c = config.objective
    if not timm.is_model(c.teacher):
        close = timm.list_models(f"*{c.teacher.split('_')[0]}*")[:3]
        similar = ", ".join(close) or "none"
        raise InputError(f"timm has no model '{c.teacher}' (objective.teacher); similar names: {similar}")
    options: dict[str, Any] = {"num_classes": 0}
    if _takes_image_size(timm, c.teacher):
        options["img_size"] = c.teacher_size
    if c.teacher_weights:
        check_weights_file(Path(c.teacher_weights))
    else:
        refuse_pretrained(c.teacher, "objective.teacher_weights")
    try:
        if c.teacher_weights:
            model = timm.create_model(c.teacher, pretrained=False, checkpoint_path=c.teacher_weights, **options)
        else:
            model = timm.create_model(c.teacher, pretrained=True, **options)
    except Exception as error:  # timm passes on any error of its downloader and loader
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
    require_finite_weights(model.state_dict(), f"the teacher '{c.teacher}'")
    return model.eval().requires_grad_(False)


def _takes_image_size(timm: Any, name: str) -> bool:
    """Whether the model takes `img_size`: vision transformers do, because their position tables depend on it."""
    entry = timm.get_pretrained_cfg(name)
    return entry is not None and bool(getattr(entry, "fixed_input_size", False))
