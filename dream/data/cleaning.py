"""Named ways of cleaning a caption before its tokens are made: `none`, or CLIP's."""

import html

from dream.errors import InputError

CLEANINGS = ("none", "clip")


def check_cleaning(name: str) -> None:
    """Raises InputError for an unknown way, and for CLIP's without the package that repairs broken encodings."""
    if name not in CLEANINGS:
        raise InputError(f"text.cleaning must be one of {', '.join(CLEANINGS)}, got '{name}'")
    if name == "clip":
        _fix("")


def cleaned(caption: str, name: str) -> str:
    """The caption as the way `name` cleans it."""
    return clean_as_clip(caption) if name == "clip" else caption


def clean_as_clip(caption: str) -> str:
    """CLIP's cleaning (`basic_clean`, `whitespace_clean` and `lower`, as in OpenAI's code and open_clip's).

    Broken encodings are repaired by ftfy, HTML entities replaced twice, runs of white space made one space. Python's
    lower case knows the Greek final sigma, which that of `tokenizers` does not.
    """
    return " ".join(html.unescape(html.unescape(_fix(caption))).split()).lower()


def _fix(text: str) -> str:
    try:
        import ftfy
    except ImportError as error:
        raise InputError(
            "CLIP's text cleaning (text.cleaning=clip) needs the package ftfy: pip install 'dream-workbench[vae]', or "
            "pip install ftfy"
        ) from error
    return ftfy.fix_text(text)
