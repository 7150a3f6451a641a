"""Captions of the classes of drawn shapes, for zero-shot classification."""

import dataclasses

import numpy as np

from dream.data.drawn.grammar import RELATIONS_OF_COUNT, Scene, caption
from dream.data.drawn.shapes import sample_scenes
from dream.evaluation.classes.drawn_labels import ALONE, shape_classes
from dream.randomness import seed_of


def shape_prompts(label: str, level: int, contexts: int, seed: int = 0) -> list[list[str]]:
    """`contexts` captions per class of a label, of the same scenes except for the label's attribute.

    All classes share everything else in the captions, so only the class tells them apart. Scenes in which a change
    would make two objects alike are skipped. For relation and count a class keeps as many of the objects as it has.
    """
    classes = shape_classes(label, level)
    draws = np.random.default_rng(seed_of(seed, "zero shot captions", label))
    prompts: list[list[str]] = [[] for _ in classes]
    while len(prompts[0]) < contexts:
        for scene in sample_scenes(level, contexts, draws):
            variants = [_with_class(scene, label, name) for name in classes]
            if all(v is not None for v in variants) and len(prompts[0]) < contexts:
                for texts, variant in zip(prompts, variants, strict=True):
                    assert variant is not None
                    texts.append(caption(variant))
    return prompts


def _with_class(scene: Scene, label: str, name: str) -> Scene | None:
    """The scene changed to a class of a label, or None if its objects do not allow it."""
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
    """The scene's first objects in the relation, or for a count in the first relation of that many objects."""
    if label == "count":
        relation = RELATIONS_OF_COUNT[("one", "two", "three").index(name) + 1][0]
    else:
        relation = "" if name == ALONE else name
    count = next(n for n, relations in RELATIONS_OF_COUNT.items() if relation in relations)
    things = scene.things[:count]
    return dataclasses.replace(scene, things=things, relation=relation) if len(things) == count else None
