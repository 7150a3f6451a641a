r"""JSON that others may have written: whatever is wrong with it is a ValueError of one line.

It may hold halves of characters (as `\udce9`), like a name of bytes: files keep them, pages cannot show them.
"""

import json
from typing import Any

from dream.plain_text import fault_in, printable


def format_json(tree: Any, indent: int | None = None) -> str:
    """JSON with every character as it is, but escapes if there are halves of characters."""
    text = json.dumps(tree, indent=indent, ensure_ascii=False)
    return json.dumps(tree, indent=indent) if fault_in(text) else text


def printable_tree(tree: Any) -> Any:
    """A value of JSON whose texts a page can show: `?` for halves of characters."""
    if isinstance(tree, str):
        return printable(tree) if fault_in(tree) else tree
    if isinstance(tree, dict):
        return {printable_tree(key): printable_tree(value) for key, value in tree.items()}
    return [printable_tree(value) for value in tree] if isinstance(tree, list) else tree


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError with a reason for text that is not JSON, and for endless nesting."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except ValueError as error:
        if "sys.set_int_max_str_digits" in str(error):
            raise ValueError("it has a number with thousands of digits") from None
        raise ValueError(" ".join(str(error).split())) from None
