"""A folder of captioned pictures to try things on: emoji if they are built on this machine, otherwise drawn shapes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dream.data.drawn.drawing import draw
from dream.data.drawn.grammar import caption
from dream.data.drawn.shapes import sample_scenes
from dream.data.emoji.build import SIDE
from dream.data.emoji.pixels import pixels_of
from dream.data.emoji.table import built_emoji
from workbench.pictures import image_of


def write_example(folder: Path, source: str, count: int, seed: int = 0) -> list[str]:
    """Writes `count` pictures of `emoji` or `shapes` as NAME.png with NAME.txt, and returns their captions.

    They are chosen by the seed. Raises InputError if the emoji are not built.
    """
    pixels, captions = _chosen(source, count, np.random.default_rng(seed))
    folder.mkdir(parents=True, exist_ok=True)
    for number, (picture, text) in enumerate(zip(pixels, captions, strict=True)):
        image_of(picture).save(folder / f"{number:03d}.png")
        (folder / f"{number:03d}.txt").write_text(text, encoding="utf-8")
    return captions


def _chosen(source: str, count: int, draws: np.random.Generator) -> tuple[NDArray[np.uint8], list[str]]:
    """Pictures (count, 3, SIDE, SIDE) and their captions."""
    if source == "shapes":
        scenes = sample_scenes(1, count, draws)
        return draw(scenes, SIDE), [caption(scene) for scene in scenes]
    known = [drawing for drawing in built_emoji() if drawing.split == "train"]
    drawings = [known[i] for i in draws.permutation(len(known))[:count].tolist()]
    return pixels_of(drawings, SIDE), [drawing.caption for drawing in drawings]
