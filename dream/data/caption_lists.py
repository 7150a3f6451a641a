"""Pictures with several captions each, as in COCO: training reads the first, and retrieval counts all of them."""

from typing import Self


class Caption(str):
    """The first caption of a list, which knows the others; used as a text, it is that caption alone."""

    every: tuple[str, ...]
    """All usable captions of the list, in its order."""

    @classmethod
    def of(cls, captions: tuple[str, ...]) -> Self:
        """The caption of a list with at least one."""
        caption = cls(captions[0])
        caption.every = captions
        return caption


def every_caption(caption: str) -> tuple[str, ...]:
    """All captions of the list that `caption` (as `Row.caption` returns it) was in; else itself alone."""
    return caption.every if isinstance(caption, Caption) else (caption,)
