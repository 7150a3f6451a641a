"""Zero-shot classification in the joint space: which class's captions is a picture nearest to?

A class is the normalised mean of the normalised features of its captions, as in CLIP (arXiv 2103.00020). For
a stored set these are templates with the class's name in them. For drawn shapes they are the grammar's own
captions of `contexts` scenes in which only the label's attribute is changed: the classes' captions share all
else, so that nothing but the class tells them apart. Nothing is trained on the set.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dream.data.grammar import RELATIONS_OF_COUNT, Scene, caption
from dream.data.shapes import sample_scenes
from dream.errors import InputError
from dream.evaluation.classes.examples import Examples, example_chunks
from dream.evaluation.classes.features import MASK_RATIOS, caption_features, picture_features
from dream.evaluation.classes.pictures import ALONE, shape_classes
from dream.evaluation.classes.probe import accuracy, condition
from dream.evaluation.limits import at_least, shares
from dream.evaluation.statistics import Measure
from dream.randomness import generator, seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained


@dataclass(frozen=True)
class ZeroShotSettings:
    """CLIP's, with its plain template."""

    mask_ratios: tuple[float, ...] = MASK_RATIOS
    """Shares of the tokens hidden, at random for each picture."""
    templates: tuple[str, ...] = ("a photo of a {}.",)
    """Captions of a class, its name at {} (stored sets)."""
    names: str | None = None
    """File that says what the class folders are called: JSON {folder: name}, or lines 'folder name' (as
    ImageNet's LOC_synset_mapping.txt); none: as they are, up to the first comma, blanks for underscores.
    """
    labels: tuple[str, ...] = ("shape", "colour", "relation", "ground")
    """What is told apart (shapes only); of several things the first counts."""
    contexts: int = 64
    """Captions a class (shapes only)."""
    test_count: int | None = None
    """Test pictures; none: all (2,000 drawn ones)."""


def zero_shot(
    pretrained: "Pretrained", *, data: str = "shapes", settings: ZeroShotSettings = ZeroShotSettings(), seed: int = 0
) -> list[Measure]:
    """Test accuracy by label and mask ratio, with the share of the most frequent class as `chance` beside it.

    Raises InputError for bad settings, a source that cannot be opened, or labels that it has not.
    """
    check(settings)
    draws = {ratio: generator(seed, "zero shot masks", str(ratio)) for ratio in settings.mask_ratios}
    texts: dict[str, Tensor] = {}
    labels: list[dict[str, Tensor]] = []
    logits: dict[tuple[str, float], list[Tensor]] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for part in example_chunks(
        data, pretrained.config, "test", labels=settings.labels, count=settings.test_count, seed=seed
    ):
        classes = part.classes
        texts = texts or _texts(pretrained, data, classes, settings, seed)
        labels.append(part.labels)
        for ratio in settings.mask_ratios if len(part.inputs) else ():
            features = picture_features(pretrained, part.inputs, ratio, draws[ratio])
            for label, text in texts.items():
                logits.setdefault((label, ratio), []).append(features @ text.T)
    if not logits:
        raise InputError(f"'{data}' has no labelled picture that can be read")
    truth = {label: torch.cat([part[label] for part in labels]) for label in classes}
    chance = {label: Examples(numbers, truth, classes).chance(label) for label, numbers in truth.items()}
    return [
        measure
        for (label, ratio), found in logits.items()
        for measure in accuracy(
            "zero_shot",
            "accuracy",
            torch.cat(found),
            truth[label],
            {"data": data, **condition(label), "mask_ratio": ratio, "chance": chance[label]},
        )
    ]


def check(settings: ZeroShotSettings) -> None:
    """Raises InputError for settings out of range."""
    at_least("zero_shot", settings, contexts=1, test_count=1)
    shares("zero_shot", "mask_ratios", settings.mask_ratios, one=False)
    if not settings.templates or any("{}" not in template for template in settings.templates):
        raise InputError(f"zero_shot.templates must each have {{}} for the class, got {settings.templates}")


def class_features(pretrained: "Pretrained", prompts: Sequence[Sequence[str]]) -> Tensor:
    """(C, E): the normalised mean of each class's caption features."""
    features = caption_features(pretrained, [text for texts in prompts for text in texts])
    parts = features.split([len(texts) for texts in prompts])
    return F.normalize(torch.stack([part.mean(dim=0) for part in parts]), dim=1)


def class_names(classes: Sequence[str], path: str | None = None) -> tuple[str, ...]:
    """What classes are called: as the file `path` says (see ZeroShotSettings), else by their own names.

    Of several names ('tench, Tinca tinca') the first counts. Raises InputError for a file that is none or
    lacks a class.
    """
    known = read_names(Path(path)) if path else {name: name for name in classes}
    missing = [name for name in classes if name not in known]
    if missing:
        raise InputError(f"{path} has no name for {len(missing)} of {len(classes)} classes, e.g. '{missing[0]}'")
    return tuple(known[name].split(",")[0].replace("_", " ").strip() for name in classes)


def read_names(path: Path) -> dict[str, str]:
    """Names of class folders from JSON {folder: name} or lines 'folder name'. Raises InputError."""
    try:
        text = path.expanduser().read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return {str(folder): str(name) for folder, name in json.loads(text).items()}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the class names in '{path}': {error}") from None
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    if any(len(pair) < 2 for pair in pairs):
        raise InputError(f"'{path}' must be JSON {{folder: name}} or lines 'folder name'")
    return dict(pairs)


def shape_prompts(label: str, level: int, contexts: int, seed: int = 0) -> list[list[str]]:
    """Captions of each class of a label: of the same scenes, but for what the label says.

    Scenes in which a change would leave two things alike are passed over. For relation and count a class
    keeps as many of the scene's things as it has.
    """
    classes = shape_classes(label, level)
    draws = np.random.default_rng(seed_of(seed, "zero shot captions", label))
    prompts: list[list[str]] = [[] for _ in classes]
    while len(prompts[0]) < contexts:
        for scene in sample_scenes(level, contexts, draws):
            variants = [_with(scene, label, name) for name in classes]
            if all(v is not None for v in variants) and len(prompts[0]) < contexts:
                for texts, variant in zip(prompts, variants, strict=True):
                    assert variant is not None
                    texts.append(caption(variant))
    return prompts


def _with(scene: Scene, label: str, name: str) -> Scene | None:
    """The scene with a class of a label, or none where it has not the things for it."""
    if label == "ground":
        return dataclasses.replace(scene, ground=name)
    if label in ("relation", "count"):
        return _laid_out(scene, label, name)
    value = {"plain": ""}.get(name, name)
    changed = dataclasses.replace(scene.things[0], **{label: value})
    others = scene.things[1:]
    if (changed.shape, changed.colour) in {(thing.shape, thing.colour) for thing in others}:
        return None
    return dataclasses.replace(scene, things=(changed, *others))


def _laid_out(scene: Scene, label: str, name: str) -> Scene | None:
    """The scene's first things in the relation, or as many in the first relation of so many."""
    if label == "count":
        relation = RELATIONS_OF_COUNT[("one", "two", "three").index(name) + 1][0]
    else:
        relation = "" if name == ALONE else name
    count = next(n for n, relations in RELATIONS_OF_COUNT.items() if relation in relations)
    things = scene.things[:count]
    return dataclasses.replace(scene, things=things, relation=relation) if len(things) == count else None


def _texts(
    pretrained: "Pretrained", data: str, classes: dict[str, tuple[str, ...]], settings: ZeroShotSettings, seed: int
) -> dict[str, Tensor]:
    """Class features (C, E) of each label."""
    if data == "shapes":
        level = pretrained.config.data.level
        prompts = {label: shape_prompts(label, level, settings.contexts, seed) for label in classes}
    else:
        prompts = {
            label: [[t.replace("{}", name) for t in settings.templates] for name in class_names(names, settings.names)]
            for label, names in classes.items()
        }
    return {label: class_features(pretrained, texts) for label, texts in prompts.items()}
