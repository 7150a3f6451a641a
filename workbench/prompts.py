"""Prompts that show what a model can do, by the data that it was trained on."""

from collections.abc import Mapping
from types import MappingProxyType

PROMPTS = {
    "shapes": {
        "circle and square": "a red circle above a blue square on a white background",
        "triangle and cross": "a green triangle left of a purple cross on a grey background",
        "one cross": "an orange cross on a black background",
        "red circle, blue square": "a red circle left of a blue square on a white background",
        "triangle above cross": "a green triangle above a yellow cross on a black background",
        "two triangles": "a blue triangle below a red triangle on a white background",
    },
    "emoji": {
        "red heart": "red heart, glossy",
        "dog face": "dog face, ink",
        "cat face": "cat face, flat",
        "grinning face": "grinning face, blob",
        "one o’clock": "one o’clock, cartoon",
        "red apple": "red apple, classic",
    },
}
"""Prompts by source and short name, the best first."""


def example_prompts(source: str) -> dict[str, str]:
    """Prompts in the words of a source, by short name; none for pictures of the user's own."""
    return PROMPTS.get(source.partition(":")[0], {})


def fitting_prompt(prompt: str, source: str, further: Mapping[str, str] = MappingProxyType({})) -> str:
    """The prompt, or the first example of `source` in the place of an example of another source.

    `further` are more examples, each with the source that it belongs to.
    """
    own = example_prompts(source)
    others = {each for name, examples in PROMPTS.items() if examples is not own for each in examples.values()}
    others |= {each for each, name in further.items() if example_prompts(name) is not own}
    return next(iter(own.values())) if own and prompt in others else prompt
