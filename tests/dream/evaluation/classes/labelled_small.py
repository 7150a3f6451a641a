"""Small sets of labelled pictures on disk: one flat colour a class, with a little noise."""

import numpy as np
from PIL import Image


def write_class(folder, colour, count, size=40, ending=".png", seed=0, border=0):
    """`count` noisy pictures of one colour in `folder`, with a red border of so many pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    for number in range(count):
        pixels = np.clip(np.array(colour) + draws.integers(-20, 21, (size, size + 6, 3)), 0, 255)
        if border:
            framed = np.full_like(pixels, [255, 0, 0])
            framed[border:-border, border:-border] = pixels[border:-border, border:-border]
            pixels = framed
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03d}{ending}")
    return folder


COLOURS = {"a": (230, 40, 40), "b": (40, 200, 60), "c": (40, 60, 220), "d": (240, 230, 60)}


def write_set(root, classes, count, **options):
    """A folder of class folders; `classes` maps names to keys of COLOURS."""
    for number, (name, colour) in enumerate(classes.items()):
        write_class(root / name, COLOURS[colour], count, seed=number, **options)
    return root
