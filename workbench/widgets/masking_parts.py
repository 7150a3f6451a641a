"""What the masking explorer is given: runs to lay over, a picture of one's own; and its readings as words."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.errors import InputError
from dream.pretrained import SHIPPED
from workbench.masking.drawn import DrawnRatios, drawn_table
from workbench.masking.study import Moment
from workbench.pictures import png_of
from workbench.runs.folders import list_runs
from workbench.widgets import words
from workbench.workspace import open_workspace

GivenPicture = str | Path | Image.Image | NDArray[np.uint8]
"""A file, a PIL image, or (H, W, 3) uint8."""


def runs_to_lay_over(given: str | Path | None) -> dict[str, Path]:
    """Folders by name: the one asked for first, then shipped models and the workspace's runs."""
    found = {} if given is None else {str(given): SHIPPED.get(str(given), Path(given))}
    inside = {run.path.name: run.path for run in list_runs(open_workspace().runs)}
    return {**inside, **SHIPPED, **found} if given is None else {**found, **SHIPPED, **inside, **found}


def picture_bytes(picture: GivenPicture) -> tuple[bytes, str]:
    """A picture as a file's content, and what it is called; InputError for what is none."""
    if isinstance(picture, (str, Path)):
        try:
            return Path(picture).expanduser().read_bytes(), Path(picture).name
        except OSError as error:
            raise InputError(f"{picture} cannot be read ({error.strerror or error})") from error
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(f"a picture is (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
        picture = Image.fromarray(picture)
    return png_of(picture.convert("RGB")), "your picture"


def moment_readings(moment: Moment, groups: int) -> str:
    """The numbers of a moment in a row."""
    shares = moment.shares
    return words.reading_cards(
        (
            ("Location", "-" if moment.center is None else f"{moment.center:.2f}"),
            ("True mean ratio", f"{moment.mean:.2f}"),
            ("Train contrast", f"{shares.contrast:.0%}"),
            ("Train generation", f"{shares.generation:.0%}"),
            ("Train both", f"{shares.both:.0%}"),
            (f"Batch of {groups} has both", f"{moment.chance:.1%}"),
        )
    )


def comparison(moment: Moment, drawn: DrawnRatios | None) -> str:
    """Closed form, draws and a run side by side."""
    return words.table(drawn_table(moment, drawn), f"Closed form and draws at {moment.progress:.0%} of the training")
