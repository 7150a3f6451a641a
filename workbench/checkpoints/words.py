"""Names, sizes and shapes of tensors in words."""


def layer_of(name: str) -> str:
    """Layer of a parameter: its name up to the first number, otherwise without its last word.

    >>> layer_of("encoder.blocks.3.attn.qkv.weight"), layer_of("joint.bn1.bias"), layer_of("logit_scale")
    ('encoder.blocks.3', 'joint.bn1', 'logit_scale')
    """
    words = name.split("/")[0].split(".")
    number = next((i for i, word in enumerate(words) if word.isdigit() and i > 0), None)
    if number is not None:
        return ".".join(words[: number + 1])
    return ".".join(words[:-1]) or name


def size_words(size: int) -> str:
    """Size in bytes as text: `11.6 MB`."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.3g} {unit}"
    return f"{size} B"


def shape_words(shape: tuple[int, ...]) -> str:
    """Shape as text: `480 x 160` with a multiplication sign, or `scalar`."""
    return " × ".join(map(str, shape)) or "scalar"
