"""What there is to draw: each emoji with its label, tags and group, and the split that each drawing belongs to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dream.data.emoji.packages import LABELS, package_file, read_package_json
from dream.errors import InputError

SPLITS_FILE = Path(__file__).with_name("splits.json")
NOT_DRAWN = "component"
"""Group of skin tones and hair alone."""


@dataclass(frozen=True)
class Emoji:
    """An emoji, or one skin tone of it."""

    hexcode: str
    label: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    plain: str
    """Code points without skin tone."""


@dataclass(frozen=True)
class Splits:
    """The split of each drawing, and the skin tone that each style draws."""

    unseen: frozenset[str]
    """Emoji that are in no style's training pictures, by their plain code points."""
    val: frozenset[tuple[str, str]]
    """(code points, style) of drawings held out though other styles show the emoji."""
    tones: frozenset[tuple[str, str]]
    """(code points, style) of the skin tones that are drawn: one per style."""

    @classmethod
    def read(cls) -> "Splits":
        """The splits as they are published with the data."""
        tree = read_package_json(SPLITS_FILE)
        return cls(
            frozenset(tree["unseen"]),
            frozenset((code, style) for style, codes in tree["val"].items() for code in codes),
            frozenset((code, style) for style, codes in tree["tones"].items() for code in codes),
        )

    def of(self, thing: Emoji, style: str) -> str | None:
        """`train`, `val` (a known thing in a style never seen), `unseen` (a thing never seen), or None: not drawn."""
        if thing.hexcode != thing.plain and (thing.hexcode, style) not in self.tones:
            return None
        if thing.plain in self.unseen:
            return "unseen"
        return "val" if (thing.hexcode, style) in self.val else "train"


def read_things(root: Path) -> Iterator[Emoji]:
    """All emoji of the package of labels below `root`, with their skin tones. Raises InputError if it is damaged."""
    path = package_file(root, LABELS, "en/data.json")
    entries = read_package_json(path)
    messages = read_package_json(path.with_name("messages.json"))
    try:
        groups = {each["order"]: each["key"] for each in messages["groups"]}
        subgroups = {each["order"]: each["key"] for each in messages["subgroups"]}
        for entry in entries:
            if entry.get("group") is None or groups[entry["group"]] == NOT_DRAWN:
                continue
            told = (tuple(entry.get("tags", ())), groups[entry["group"]], subgroups[entry["subgroup"]])
            for each in (entry, *entry.get("skins", ())):
                yield Emoji(each["hexcode"], each["label"], *told, entry["hexcode"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not what it should be ({error}): fetch the package again") from None
