"""The artists' packages that the emoji are built from: names, versions, licences, and where they lie unpacked."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.errors import InputError, RunError
from dream.json_text import read_json

NOTICE_FILE = Path(__file__).with_name("NOTICE")
"""Licences and credits of all packages; a copy lies beside a model that ships."""
FETCH_SECONDS = 600
"""Longest time that npm may take."""
MOST_BYTES = 512 * 2**20
"""Largest file of a package that is read: the drawings of one style take up to some 100 MB."""


@dataclass(frozen=True)
class Package:
    """A package of npm, at the one version that the counts belong to."""

    name: str
    version: str
    licence: str
    credit: str
    what: str

    @property
    def wanted(self) -> str:
        """As npm writes it."""
        return f"{self.name}@{self.version}"


STYLES = {
    "glossy": Package("@iconify-json/fluent-emoji", "1.2.7", "MIT", "Microsoft Corporation", "Fluent Emoji"),
    "flat": Package("@iconify-json/fluent-emoji-flat", "1.2.6", "MIT", "Microsoft Corporation", "Fluent Emoji Flat"),
    "ink": Package(
        "@iconify-json/fluent-emoji-high-contrast",
        "1.2.6",
        "MIT",
        "Microsoft Corporation",
        "Fluent Emoji High Contrast",
    ),
    "classic": Package("@iconify-json/noto", "1.2.9", "Apache-2.0", "Google Inc", "Noto Emoji"),
    "blob": Package("@iconify-json/noto-v1", "1.2.5", "Apache-2.0", "Google Inc", "Noto Emoji v1"),
    "cartoon": Package("@iconify-json/twemoji", "1.2.5", "CC BY 4.0", "Twitter, Inc and other contributors", "Twemoji"),
}
"""Package of each drawing style."""
LABELS = Package("emojibase-data", "17.0.0", "MIT", "Miles Johnson", "names, tags and groups of emoji")
PACKAGES = (*STYLES.values(), LABELS)


def fetch_packages(into: Path) -> None:
    """Fetches the packages with npm into `into`/node_modules, and runs no script of theirs.

    Raises InputError without npm, RunError if it fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            "the emoji are fetched with npm, which is not installed: install it (Debian: sudo apt install npm), or "
            f"unpack {', '.join(package.wanted for package in PACKAGES)} into a folder and name it with --from FOLDER"
        )
    into.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", str(into)]
    try:
        done = subprocess.run(
            [*command, *(package.wanted for package in PACKAGES)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RunError(
            f"npm has not fetched the emoji after {FETCH_SECONDS // 60} minutes: check the network"
        ) from None
    if done.returncode:
        reason = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        raise RunError(f"npm could not fetch the emoji ({reason}): check the network, then run the command again")


def package_file(root: Path, package: Package, name: str) -> Path:
    """A file of a package in a folder where the packages lie unpacked, with or without npm's node_modules.

    Raises InputError if the package is missing there or has another version.
    """
    short = package.name.rpartition("/")[2]
    homes = [root / "node_modules" / package.name, root / package.name, root / short, root / short / "package"]
    home = next((home for home in homes if (home / "package.json").is_file()), None)
    if home is None:
        raise InputError(f"'{root}' has no package {package.name}: expected {homes[0]} or {homes[2]}")
    version = read_package_json(home / "package.json").get("version")
    if version != package.version:
        raise InputError(f"{home} is version {version} of {package.name}: expected {package.version}")
    return home / name


def read_package_json(path: Path) -> Any:
    """The JSON in a file of a package. Raises InputError if it is missing or damaged, or a bare value."""
    try:
        tree = read_json(path, MOST_BYTES)
    except (OSError, InputError) as error:
        raise InputError(f"{path} is missing or damaged ({error}): fetch the package again") from None
    if not isinstance(tree, (dict, list)):
        raise InputError(f"{path} holds neither an object nor a list: fetch the package again")
    return tree
