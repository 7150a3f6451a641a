"""What looks at painted pictures from outside: the judge's features, any timm model, any CLIP. All are files
that the user has, but for the judge; nothing is downloaded where a file is named. It measures no distance.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.data.text import load_tokenizer
from dream.errors import InputError
from dream.evaluation.classes.features import encoder_features
from dream.evaluation.judging.damage import SIZE
from dream.evaluation.judging.judge import load_judge

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

Encoder = Callable[[Tensor], Tensor]
"""Pictures (B, 3, H, W) uint8 to features (B, D) on the CPU."""

OWN, JUDGE, TIMM = "own", "judge", "timm:"
"""Names of encoders: the evaluated model's own, the judge, a timm model (with its name behind)."""
BATCH = 32
"""Pictures that go through a foreign model at once."""
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""OpenAI's statistics, where a folder names no others."""


def open_encoder(name: str, pretrained: "Pretrained", weights: str | None = None) -> Encoder:
    """The encoder of a name: `own` (image tokens, nothing masked), `judge`, or `timm:NAME` with `weights`.

    Raises InputError for a name that there is not, or weights that cannot be loaded.
    """
    if name == OWN:
        return lambda images: encoder_features(pretrained, images, "image")
    if name == JUDGE:
        return judge_features
    if name.startswith(TIMM):
        device = next(pretrained.model.parameters()).device
        return _timm_encoder(name.removeprefix(TIMM), weights, device)
    raise InputError(f"there is no encoder '{name}': expected {OWN}, {JUDGE} (drawn shapes) or {TIMM}NAME")


@torch.no_grad()
def judge_features(images: Tensor) -> Tensor:
    """(B, 128): what the judge of drawn shapes knows of pictures before it names it."""
    judge, found = load_judge(), []
    for part in images.split(256):
        pictures = _resized(part, SIZE, "bilinear")
        found.append(judge.heads[:2](judge.features(2 * pictures - 1)))
    return torch.cat(found)


class ClipScorer:
    """CLIP scores by a local Hugging Face CLIP folder (config.json, model.safetensors, vocab.json,
    merges.txt).
    """

    def __init__(self, folder: str, device: torch.device) -> None:
        """Raises InputError where one of the files is missing or damaged."""
        self.device = device
        self.model = _load_clip(Path(folder).expanduser()).to(device)
        self.tokenizer = load_tokenizer(
            Path(folder).expanduser(), self.model.config.text_config.max_position_embeddings
        )
        self.mean, self.std = (t.to(device) for t in _clip_statistics(Path(folder).expanduser()))

    @torch.no_grad()
    def scores(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """(B,) 100 max(cos, 0) of pictures (B, 3, H, W) uint8 and their captions (arXiv 2104.08718)."""
        ids = self.tokenizer.token_ids(list(captions))
        parts = zip(images.split(BATCH), ids.split(BATCH), strict=True)
        return torch.cat([self._cosines(pictures, words) for pictures, words in parts]).clamp(min=0) * 100

    def _cosines(self, pictures: Tensor, words: Tensor) -> Tensor:
        model: Any = self.model
        x = _resized(pictures.to(self.device), model.config.vision_config.image_size, "bicubic")
        seen = model.visual_projection(model.vision_model((x - self.mean) / self.std).pooler_output)
        said = model.text_projection(model.text_model(words.to(self.device)).pooler_output)
        return F.cosine_similarity(seen, said).float().cpu()


def _resized(images: Tensor, side: int, mode: str) -> Tensor:
    """(B, 3, side, side) in [0, 1] of square uint8 pictures."""
    x = images.float() / 255
    if x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode=mode, antialias=True, align_corners=False).clamp(0, 1)


def _timm_encoder(name: str, weights: str | None, device: torch.device) -> Encoder:
    model = _load_timm(name, weights).to(device)
    about = _timm_data(model)
    mean, std = (torch.tensor(about[key], device=device).view(1, -1, 1, 1) for key in ("mean", "std"))
    side = about["input_size"][-1]

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        parts = (_resized(part.to(device), side, "bicubic") for part in images.split(BATCH))
        return torch.cat([model((x - mean) / std).float().cpu() for x in parts])

    return features


def _load_timm(name: str, weights: str | None) -> Any:
    import timm

    if not timm.is_model(name):
        close = timm.list_models(f"*{name.split('_')[0]}*")[:3]
        raise InputError(f"timm has no model '{name}'; near are {', '.join(close) or 'none'}")
    path = Path(weights).expanduser() if weights else None
    if path is not None and not (path.is_file() and path.suffix == ".safetensors"):
        raise InputError(f"there is no .safetensors file '{weights}' (generation.encoder_weights)")
    try:
        model = _created(timm, name, path)
    except Exception as error:  # timm raises whatever its downloader and loader raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"cannot load the encoder 'timm:{name}': expected generation.encoder_weights to name a local "
            f".safetensors of that model, or timm's pretrained weights to be reachable ({reason})"
        ) from error
    return model.eval().requires_grad_(False)


def _created(timm: Any, name: str, path: Path | None) -> Any:
    """The model without its classifier. All its tensors must be in the file, which may have a classifier."""
    if path is None:
        return timm.create_model(name, pretrained=True, num_classes=0)
    try:
        model = timm.create_model(name, checkpoint_path=str(path))
    except RuntimeError:
        return timm.create_model(name, num_classes=0, checkpoint_path=str(path))
    model.reset_classifier(0)
    return model


def _timm_data(model: Any) -> dict[str, Any]:
    from timm.data import resolve_data_config

    return resolve_data_config({}, model=model)


def _load_clip(folder: Path) -> Any:
    if not folder.is_dir():
        raise InputError(f"there is no CLIP folder '{folder}': expected a local Hugging Face CLIP model")
    from transformers import CLIPModel

    try:
        model = CLIPModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except Exception as error:  # no config, no weights, weights of another model: each its own type
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"cannot load CLIP from '{folder}': expected config.json, model.safetensors, vocab.json and "
            f"merges.txt ({reason})"
        ) from error
    return model.eval().requires_grad_(False)


def _clip_statistics(folder: Path) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (1, 3, 1, 1) that pictures are normalised with."""
    path = folder / "preprocessor_config.json"
    try:
        about = json.loads(path.read_text()) if path.is_file() else {}
        values = about.get("image_mean", CLIP_MEAN), about.get("image_std", CLIP_STD)
        mean, std = (torch.tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in values)
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path} is damaged ({error})") from error
    return mean, std
