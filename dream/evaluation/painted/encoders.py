"""Networks that compare painted pictures: the features of the data's judge, any timm model, any CLIP.

All but the judges are files that the user has; if a file is named, nothing is downloaded.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.data.text import load_tokenizer
from dream.errors import InputError
from dream.evaluation.classes.features import encoder_features
from dream.evaluation.judging.worlds import JUDGED, judge_of
from dream.json_text import read_json_object
from dream.model.pretrained import Pretrained
from dream.weights.finite import require_finite, require_finite_weights, require_lengths
from dream.weights.hub import refuse_pretrained
from dream.weights.reading import check_model_folder, check_weights_file

PictureEncoder = Callable[[Tensor], Tensor]
"""Maps pictures (B, 3, H, W) uint8 to features (B, D) on the CPU."""

OWN, JUDGE, TIMM = "own", "judge", "timm:"
"""Names of encoders: the evaluated model's own, the judge of the data, a timm model (followed by its name)."""
BATCH = 32
"""Pictures that go through an external model at once."""
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""OpenAI's statistics, used if a folder has no others."""


def open_encoder(name: str, pretrained: Pretrained, weights: str | None = None, data: str = "shapes") -> PictureEncoder:
    """Opens an encoder by name: `own` (image tokens, nothing masked), `judge` of `data`, or `timm:NAME` with `weights`.

    Raises InputError for an unknown name, for data without a judge, and for weights that cannot be loaded.
    """
    if name == OWN:
        return lambda images: encoder_features(pretrained, images, "image")
    if name == JUDGE:
        judge = judge_of(data)
        if judge is None:
            raise InputError(f"generation.encoder=judge needs data with a judge ({', '.join(JUDGED)}), not '{data}'")
        return judge.features
    if name.startswith(TIMM):
        device = next(pretrained.model.parameters()).device
        return _timm_encoder(name.removeprefix(TIMM), weights, device)
    raise InputError(f"there is no encoder '{name}': expected {OWN}, {JUDGE} ({', '.join(JUDGED)}) or {TIMM}NAME")


class ClipScorer:
    """CLIP scores from a local Hugging Face CLIP folder (config.json, model.safetensors, vocab.json, merges.txt)."""

    def __init__(self, folder: str, device: torch.device) -> None:
        """Raises InputError if one of the files is missing or damaged."""
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
        batches = zip(images.split(BATCH), ids.split(BATCH), strict=True)
        return torch.cat([self._cosines(pictures, words) for pictures, words in batches]).clamp(min=0) * 100

    def _cosines(self, pictures: Tensor, words: Tensor) -> Tensor:
        model: Any = self.model
        x = _resized(pictures.to(self.device), model.config.vision_config.image_size, "bicubic")
        image = model.visual_projection(model.vision_model((x - self.mean) / self.std).pooler_output)  # (B, E)
        text = model.text_projection(model.text_model(words.to(self.device)).pooler_output)  # (B, E)
        image, text = (F.normalize(require_lengths(rows, "CLIP's features"), dim=-1) for rows in (image, text))
        return (image * text).sum(dim=-1).float().cpu()


def _resized(images: Tensor, side: int, mode: str) -> Tensor:
    """(B, 3, side, side) in [0, 1] of square uint8 pictures."""
    x = images.float() / 255
    if x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode=mode, antialias=True, align_corners=False).clamp(0, 1)


def _timm_encoder(name: str, weights: str | None, device: torch.device) -> PictureEncoder:
    model = _load_timm(name, weights).to(device)
    data_config = _timm_data(model)
    mean, std = (torch.tensor(data_config[key], device=device).view(1, -1, 1, 1) for key in ("mean", "std"))
    side = data_config["input_size"][-1]

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        batches = (_resized(batch.to(device), side, "bicubic") for batch in images.split(BATCH))
        rows = torch.cat([model((x - mean) / std).float().cpu() for x in batches])
        return require_finite(rows, f"the features of pictures by 'timm:{name}'")

    return features


def _load_timm(name: str, weights: str | None) -> Any:
    import timm

    if not timm.is_model(name):
        close = timm.list_models(f"*{name.split('_')[0]}*")[:3]
        raise InputError(f"timm has no model '{name}'; similar are {', '.join(close) or 'none'}")
    path = Path(weights).expanduser() if weights else None
    if path is not None and not (path.is_file() and path.suffix == ".safetensors"):
        raise InputError(f"there is no .safetensors file '{weights}' (generation.encoder_weights)")
    if path is not None:
        check_weights_file(path)
    else:
        refuse_pretrained(name, "generation.encoder_weights")
    try:
        model = _created(timm, name, path)
    except Exception as error:  # timm passes on any exception of its downloader and loader
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"cannot load the encoder 'timm:{name}': set generation.encoder_weights to a local .safetensors of that "
            f"model, or make timm's pretrained weights reachable ({reason})"
        ) from error
    require_finite_weights(model.state_dict(), f"the encoder 'timm:{name}'")
    return model.eval().requires_grad_(False)


def _created(timm: Any, name: str, path: Path | None) -> Any:
    """The model without its classifier. The file must have all its tensors, with or without a classifier."""
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
    check_model_folder(folder)
    from transformers import CLIPModel

    try:
        model = CLIPModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except Exception as error:  # a missing config, missing weights, weights of another model: all of different types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"cannot load CLIP from '{folder}': expected config.json, model.safetensors, vocab.json and "
            f"merges.txt ({reason})"
        ) from error
    require_finite_weights(model.state_dict(), f"the CLIP in '{folder}'")
    return model.eval().requires_grad_(False)


def _clip_statistics(folder: Path) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (1, 3, 1, 1) that pictures are normalised with."""
    path = folder / "preprocessor_config.json"
    try:
        config = read_json_object(path) if path.is_file() else {}
        values = config.get("image_mean", CLIP_MEAN), config.get("image_std", CLIP_STD)
        mean, std = (torch.tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in values)
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path} is damaged ({error})") from error
    return mean, std
