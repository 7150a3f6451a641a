"""The one check that every set of labelled pictures passes before a class task measures anything on it."""

from collections.abc import Mapping, Sequence

from dream.errors import InputError


def check_classes(source: str, train: Mapping[str, int], test: Mapping[str, int]) -> None:
    """Raises InputError unless an accuracy on this set means something. `train` and `test` count pictures per class.

    Both need pictures, of two classes at least, and each class of the test pictures needs training pictures.
    """
    for which, counts in (("training", train), ("test", test)):
        present = [name for name, count in counts.items() if count]
        if not present:
            raise InputError(
                f"'{source}' has no {which} picture with a class: expected pictures of two classes at least, both for "
                f"training and for testing"
            )
        if len(present) == 1:
            raise InputError(
                f"'{source}' has {which} pictures of one class only ({sum(counts.values()):,} of '{present[0]}'), "
                f"which any answer gets right: expected two classes at least, for training and for testing"
            )
    if unknown := sorted(name for name, count in test.items() if count and not train.get(name)):
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
        raise InputError(
            f"'{source}' has test pictures of {_classes(len(unknown))} without any training picture "
            f"({_named(unknown)}{more}; training has {_named(sorted(train))}, ...): "
            f"expected the same classes in both; add training pictures, or remove these test pictures"
        )


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count:,} classes"


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:3])
