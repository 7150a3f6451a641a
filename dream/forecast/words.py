"""A forecast in words."""


def bytes_words(size: float) -> str:
    """A number of bytes to read: `12.3 GB`."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
