"""Zero-shot classification in the joint space: a picture's class is the one whose captions are nearest.

A class is the normalised mean of the normalised features of its captions, as in CLIP (arXiv 2103.00020). For a stored
set these captions are templates with the class name filled in (`class_names`). For drawn shapes they are the grammar's
own captions (`shape_prompts`). For emoji they are made of the class's name, which is zero-shot in the strict sense, or
of the labels of the emoji that training knows in the class, which describes a class by its members (`emoji_labels`):
by the mean of some captions, or by the softmax over all of them. Nothing is trained on the set.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.data.emoji.corpus import is_emoji
from dream.errors import InputError
from dream.evaluation.classes.accuracy import accuracy, label_condition
from dream.evaluation.classes.class_names import class_names
from dream.evaluation.classes.emoji_labels import PromptForm, emoji_prompts
from dream.evaluation.classes.examples import Examples, check_readable, example_chunks
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.classes.settings import DRAWN_LABELS
from dream.evaluation.classes.shape_prompts import shape_prompts
from dream.evaluation.pieces import in_pieces
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import JointSettings, at_least
from dream.evaluation.statistics import Measure
from dream.fields import Count
from dream.model.pretrained import Pretrained
from dream.randomness import generator


@dataclass(frozen=True)
class ZeroShotSettings(JointSettings, task="zero_shot"):
    """CLIP's protocol, with its plain template."""

    templates: tuple[str, ...] = ("a photo of a {}.",)
    """Captions of a class, with {} for its name (stored sets only)."""
    names: str | None = None
    """File with the names of the class folders: JSON {folder: name}, or lines 'folder name' (as in ImageNet's
    LOC_synset_mapping.txt); none: the folder names up to the first comma, with spaces for underscores, and for
    WNIDs a file in the folder of the data, as Tiny-ImageNet's words.txt.
    """
    labels: tuple[str, ...] = DRAWN_LABELS
    """Attributes to classify: of the first object for shapes; style, group and subgroup for emoji (not set: all)."""
    contexts: Count = 64
    """Captions per class (shapes, and `members` of emoji)."""
    prompts: Literal["names", "members", "captions", "all"] = "all"
    """What stands for a class of emoji: its own name (names), the mean of captions of emoji that training knows in it
    (members), the model's probability of all these captions together (captions), or each of the three in turn (all).
    """
    test_count: Annotated[int | None, at_least(1)] = None
    """Test pictures; none: all (2,000 drawn ones)."""

    def _conflicts(self, name: str) -> Iterator[str]:
        """Templates need a place for the class."""
        if not self.templates or any("{}" not in template for template in self.templates):
            yield f"zero_shot.templates must each have {{}} for the class, got {self.templates}"

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Test accuracy by label and mask ratio; the condition `chance` is the share of the most frequent class.

        Raises InputError for a source that cannot be opened, or labels that it does not have.
        """
        chunks = example_chunks(data, pretrained.config, "test", labels=self.labels, count=self.test_count, seed=seed)
        progress(0.0, "comparing pictures with captions")
        texts: dict[tuple[str, str], ClassTexts] = {}
        labels: list[dict[str, Tensor]] = []
        classes: dict[str, tuple[str, ...]] = {}

        def numbered() -> Iterator[tuple[int, Examples]]:
            for number, chunk in enumerate(chunks):
                classes.update(chunk.classes)
                labels.append(chunk.labels)
                yield number, chunk

        def compared(item: tuple[int, Examples]) -> dict[str, Tensor]:
            number, chunk = item
            if not texts:
                texts.update(_texts(pretrained, data, chunk.classes, self, seed))
            found: dict[str, Tensor] = {}
            for ratio in self.mask_ratios if len(chunk.inputs) else ():
                draws = generator(seed, "zero shot masks", str(ratio), number)
                features = picture_features(pretrained, chunk.inputs, ratio, draws)  # (B, E)
                for (label, form), text in texts.items():
                    found[json.dumps([label, form, ratio])] = text.logits(features)  # (B, C)
            return found

        logits: dict[tuple[str, str, float], list[Tensor]] = {}
        for piece in in_pieces(numbered(), compared):
            for key, values in piece.items():
                label, form, ratio = json.loads(key)
                logits.setdefault((label, form, ratio), []).append(values)
        if not logits:
            raise InputError(f"'{data}' has no labelled picture that can be read")
        truth = {label: torch.cat([numbers[label] for numbers in labels]) for label in classes}
        check_readable(truth, classes)
        examples = Examples(torch.empty(0), truth, classes)
        measures = []
        for (label, form, ratio), parts in logits.items():
            named = {**label_condition(label), **({"prompts": form} if form else {})}
            where = {"data": data, **named, "mask_ratio": ratio, "chance": examples.chance(label)}
            measures += accuracy("zero_shot", torch.cat(parts), truth[label], where)
        return measures


@dataclass(frozen=True)
class ClassTexts:
    """What stands for C classes in the joint space."""

    features: Tensor
    """(N, E), class by class."""
    sizes: tuple[int, ...]
    """(C,) number of features of each class."""
    scale: float
    """The model's factor on cosines, from which its softmax over captions is made."""

    def logits(self, pictures: Tensor) -> Tensor:
        """(B, C): the softmax over all N captions, summed by class, as a logarithm in units of a cosine.

        Of a class with one feature this is the cosine itself. `pictures` are features (B, E).
        """
        parts = (self.scale * (pictures @ self.features.T)).split(self.sizes, dim=1)
        return torch.stack([part.logsumexp(dim=1) for part in parts], dim=1) / self.scale


def class_features(pretrained: Pretrained, prompts: Sequence[Sequence[str]]) -> Tensor:
    """(C, E): normalised mean of each class's caption features."""
    features = caption_features(pretrained, [text for texts in prompts for text in texts])
    by_class = features.split([len(texts) for texts in prompts])
    return F.normalize(torch.stack([rows.mean(dim=0) for rows in by_class]), dim=1)


def _texts(
    pretrained: Pretrained, data: str, classes: dict[str, tuple[str, ...]], settings: ZeroShotSettings, seed: int
) -> dict[tuple[str, str], ClassTexts]:
    """The classes of each label and, of emoji, form of the captions."""
    if data == "shapes":
        level = pretrained.config.data.level
        prompts = {(label, ""): shape_prompts(label, level, settings.contexts, seed) for label in classes}
    elif is_emoji(data):
        forms: tuple[PromptForm, ...] = get_args(PromptForm) if settings.prompts == "all" else (settings.prompts,)
        prompts = {
            (label, form): emoji_prompts(label, form, settings.contexts, seed) for label in classes for form in forms
        }
    else:
        folder = Path(data).expanduser()
        beside = folder if folder.is_dir() else None
        prompts = {
            (label, ""): [
                [template.replace("{}", name) for template in settings.templates]
                for name in class_names(names, settings.names, beside)
            ]
            for label, names in classes.items()
        }
    return {key: _class_texts(pretrained, texts, each=key[1] == "captions") for key, texts in prompts.items()}


def _class_texts(pretrained: Pretrained, prompts: Sequence[Sequence[str]], *, each: bool) -> ClassTexts:
    scale = pretrained.model.contrastive_scale().item()
    if not each:
        return ClassTexts(class_features(pretrained, prompts), (1,) * len(prompts), scale)
    features = caption_features(pretrained, [text for texts in prompts for text in texts])
    return ClassTexts(features, tuple(len(texts) for texts in prompts), scale)
