"""Icon sets (Iconify's JSON): the names of icons, and the SVG of each."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dream.data.emoji.packages import Package, package_file, read_package_json
from dream.errors import InputError


class Icon(NamedTuple):
    """An icon as an SVG document, with its size in the document's own units."""

    svg: str
    width: float
    height: float


@dataclass(frozen=True)
class IconSet:
    """The icons of one package."""

    icons: dict[str, dict[str, Any]]
    parents: dict[str, str]
    """Names that only stand for another icon; changed copies (mirrored ones) are left out."""
    by_code: dict[str, str]
    """Names by code points in lower case, without variation selectors; empty in some packages."""
    width: float
    height: float

    def name_of(self, hexcode: str, label: str) -> str | None:
        """The icon of a character: by its code points, otherwise by its label; None if it was not drawn."""
        for name in (self.by_code.get(hexcode.lower().replace("-fe0f", "")), icon_name(label)):
            if name in self.icons or name in self.parents:
                return name
        return None

    def icon(self, name: str) -> Icon:
        """The icon of that name, with black for the colour of the text."""
        seen = set()
        while name not in self.icons:
            if name in seen or name not in self.parents:
                raise InputError(f"the icon '{name}' stands for nothing: the package is damaged, fetch it again")
            seen.add(name)
            name = self.parents[name]
        icon = self.icons[name]
        width, height = icon.get("width", self.width), icon.get("height", self.height)
        body = icon["body"].replace("currentColor", "black")
        document = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}" width="{width}" height="{height}">'
            f"{body}</svg>"
        )
        return Icon(document, width, height)


def icon_name(label: str) -> str:
    """The name that icon sets give to a label: `flag: Peru` is `flag-peru`."""
    return re.sub("[^a-z0-9]+", "-", label.lower().replace("’", "")).strip("-")


def read_icons(root: Path, package: Package) -> IconSet:
    """The icon set of a package below `root`. Raises InputError if it is missing or damaged."""
    path = package_file(root, package, "icons.json")
    tree = read_package_json(path)
    codes = path.with_name("chars.json")
    try:
        aliases = tree.get("aliases", {}).items()
        return IconSet(
            dict(tree["icons"]),
            {name: alias["parent"] for name, alias in aliases if set(alias) == {"parent"}},
            dict(read_package_json(codes)) if codes.is_file() else {},
            float(tree.get("width", 16)),
            float(tree.get("height", 16)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not an icon set ({error}): fetch the package again") from None
