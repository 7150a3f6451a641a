"""Controls of the masking explorer, its inputs (runs to overlay, pictures), and its numbers as HTML."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.config import MaskingConfig, ObjectiveConfig
from dream.errors import InputError
from dream.presets import SIZES
from dream.pretrained import SHIPPED
from workbench.masking.drawn import DrawnRatios, drawn_table
from workbench.masking.form import GROUPS, SCHEDULES, SHAPES, Settings, masking_settings_of, values_of
from workbench.masking.settings import IDLE, preset_of, presets
from workbench.masking.study import Moment
from workbench.pictures import png_of
from workbench.runs.folders import list_runs
from workbench.widgets import words
from workbench.workspace import open_workspace

OWN = "Custom"
COUNT_OF = {"min_visible": "Visible for contrast", "min_masked": "Hidden for generation"}
FOLDED = (*COUNT_OF, "grid", "size")
"""Controls in the collapsed section."""
READ_BY = {
    "center_start": "center_start",
    "center_end": "center_end",
    "times": "hold",
    "shape": "shape",
    "std": "std",
    "widens": "std",
    "std_end": "std_end",
    "moving": "moving_interval",
    "interval": "low",
}
"""By control: the field that decides whether a schedule uses it."""
WIDE = {"width": "97%"}
"""Layout of a control; each control gets its own copy, or hiding one would hide all."""
STYLE = {"description_width": "130px"}


@dataclass
class MaskingControls:
    """All controls: by name in `all`, as a column in `box`.

    `quiet` is True while several are set together; callbacks then do nothing.
    """

    objective: ObjectiveConfig
    """Fields without a control are kept."""

    def __post_init__(self) -> None:
        self.quiet = False
        self.all = _schedule_controls() | _spread_controls() | _group_controls() | _counting_controls()
        named = self.all
        more = w.Accordion([w.VBox([named["min_visible"], named["min_masked"], named["grid"], named["size"]])])
        more.set_title(0, "Loss thresholds, token grid, model")
        upper = [control for name, control in named.items() if name not in FOLDED]
        self.box = w.VBox([*upper, more], layout=w.Layout(flex="0 1 340px", min_width="310px"))

    def read(self) -> Settings:
        """Returns the settings of the controls."""
        return masking_settings_of({name: control.value for name, control in self.all.items()}, self.objective)

    def set(self, masking: MaskingConfig, objective: ObjectiveConfig, grid: int | None = None) -> None:
        """Sets all controls together."""
        self.objective = objective
        with self.together():
            for name, value in values_of(masking, objective, grid).items():
                _make_room(self.all[name], value)
                self.all[name].value = value

    @contextmanager
    def together(self) -> Iterator[None]:
        """Suspends callbacks while several controls change together."""
        self.quiet, before = True, self.quiet
        try:
            yield
        finally:
            self.quiet = before

    def tidy(self, settings: Settings) -> None:
        """Hides the controls that these settings do not use, and selects the matching preset."""
        hidden = {name for name, field in READ_BY.items() if field in IDLE[settings.masking.schedule]}
        hidden |= {"std_end"} if settings.masking.std_end is None else set()
        hidden |= {"for_generation"} if settings.masking.generation_share is None else set()
        with self.together():
            for name, control in self.all.items():
                control.layout.display = "none" if name in hidden else None
            self.all["for_generation"].max = settings.masking.groups
            self.all["preset"].value = preset_of(settings.masking) or OWN


def _schedule_controls() -> dict[str, w.Widget]:
    about = "; ".join(f"{preset.name}: {preset.about}" for preset in presets())
    return {
        "preset": w.Dropdown(
            options=[*(preset.name for preset in presets()), OWN],
            description="Preset",
            layout=WIDE,
            style=STYLE,
            tooltip=about,
        ),
        "schedule": w.Dropdown(
            options=_names(SCHEDULES),
            description="Schedule",
            layout=WIDE,
            style=STYLE,
            tooltip="Warm-up moves the location of the mask ratios, Constant keeps it, Uniform draws every "
            "ratio equally often, None hides nothing.",
        ),
        "center_start": _slider(
            "Location, start",
            -0.5,
            1.5,
            0.05,
            "masking.center_start: location of the normal before the warm-up; not the mean ratio.",
        ),
        "center_end": _slider(
            "Location, end", -0.5, 1.5, 0.05, "masking.center_end: location of the normal after the warm-up."
        ),
        "times": w.FloatRangeSlider(
            value=(0, 75),
            min=0,
            max=100,
            step=1,
            description="Warm-up (%)",
            readout_format=".0f",
            continuous_update=False,
            layout=WIDE,
            style=STYLE,
            tooltip="masking.hold and masking.warmup_end, in % of training: the location moves between them "
            "and is constant outside.",
        ),
        "shape": w.Dropdown(
            options=_names(SHAPES),
            description="Path",
            layout=WIDE,
            style=STYLE,
            tooltip="masking.shape: Linear moves at constant speed; Cosine eases in and out.",
        ),
    }


def _spread_controls() -> dict[str, w.Widget]:
    return {
        "std": _slider("Spread", 0.05, 1.0, 0.01, "masking.std: standard deviation of the normal before truncation."),
        "widens": _toggle("Spread changes", "masking.std_end: another spread at the end."),
        "std_end": _slider(
            "Spread, end", 0.05, 1.0, 0.01, "masking.std_end: the spread changes linearly to this over the training."
        ),
        "interval": w.FloatRangeSlider(
            value=(0, 1),
            min=0,
            max=1,
            step=0.05,
            description="Allowed ratios",
            continuous_update=False,
            layout=WIDE,
            style=STYLE,
            tooltip="masking.low and masking.high: no ratio outside is drawn.",
        ),
        "moving": _toggle(
            "Bounds follow location", "masking.moving_interval: ratios stay within one spread of the location."
        ),
    }


def _group_controls() -> dict[str, w.Widget]:
    return {
        "groups": w.SelectionSlider(
            options=GROUPS,
            description="Groups per batch",
            continuous_update=False,
            layout=WIDE,
            style=STYLE,
            tooltip="masking.groups: parts of a batch with a ratio each. The paper draws one per rank on 32 "
            "ranks, which is like 32 groups.",
        ),
        "stratified": _toggle(
            "Stratified groups", "masking.stratified: each group draws from its own quantile band of the distribution."
        ),
        "shared": _toggle(
            "Reserved groups",
            "masking.generation_share: some groups draw only ratios that count for generation, "
            "the others only ratios that count for contrast.",
        ),
        "for_generation": w.IntSlider(
            min=0,
            max=64,
            description="... for generation",
            continuous_update=False,
            layout=WIDE,
            style=STYLE,
            tooltip="Groups that draw only ratios that count for generation.",
        ),
    }


def _counting_controls() -> dict[str, w.Widget]:
    why = {
        "min_visible": "objective.min_visible: least share of visible tokens at which the contrastive loss counts.",
        "min_masked": "objective.min_masked: least share of hidden tokens at which the generative loss counts.",
    }
    return {
        **{name: _slider(text, 0.0, 1.0, 0.05, why[name]) for name, text in COUNT_OF.items()},
        "grid": w.BoundedIntText(
            5,
            min=2,
            max=32,
            description="Tokens per side",
            layout=WIDE,
            style=STYLE,
            tooltip="5 in the shipped model, 16 in the paper. A ratio is rounded up to whole tokens.",
        ),
        "size": w.Dropdown(
            options=list(SIZES),
            description="Model to train",
            layout=WIDE,
            style=STYLE,
            tooltip="The preset that the command and the Python code change.",
        ),
    }


def _slider(text: str, low: float, high: float, step: float, tooltip: str) -> w.FloatSlider:
    return w.FloatSlider(
        min=low,
        max=high,
        step=step,
        description=text,
        continuous_update=False,
        layout=WIDE,
        style=STYLE,
        tooltip=tooltip,
    )


def _toggle(text: str, tooltip: str) -> w.Checkbox:
    return w.Checkbox(description=text, layout=WIDE, style=STYLE, tooltip=tooltip)


def _names(words: dict[str, str]) -> list[tuple[str, str]]:
    return [(word, name) for name, word in words.items()]


def _make_room(control: w.Widget, value: Any) -> None:
    """Extends the range or the options of a control so that it can take the value."""
    if isinstance(control, w.SelectionSlider):
        if value not in control.options:
            control.options = sorted({*control.options, value})
        return
    if isinstance(control, (w.FloatSlider, w.IntSlider)):
        control.min, control.max = min(control.min, value), max(control.max, value)


GivenPicture = str | Path | Image.Image | NDArray[np.uint8]
"""A file, a PIL image, or (H, W, 3) uint8."""


def runs_to_lay_over(given: str | Path | None) -> dict[str, Path]:
    """Returns folders by name: the given one first, then shipped models and the runs of the workspace."""
    chosen = {} if given is None else {str(given): SHIPPED.get(str(given), Path(given))}
    inside = {run.path.name: run.path for run in list_runs(open_workspace().runs)}
    return {**inside, **SHIPPED, **chosen} if given is None else {**chosen, **SHIPPED, **inside, **chosen}


def picture_bytes(picture: GivenPicture) -> tuple[bytes, str]:
    """Returns the bytes and the name of a picture file; raises InputError if it is not a picture."""
    if isinstance(picture, (str, Path)):
        try:
            return Path(picture).expanduser().read_bytes(), Path(picture).name
        except OSError as error:
            raise InputError(f"{picture} cannot be read ({error.strerror or error})") from error
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(f"a picture must be an array (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
        picture = Image.fromarray(picture)
    return png_of(picture.convert("RGB")), "your picture"


def moment_readings(moment: Moment, groups: int) -> str:
    """Returns the numbers of a moment as cards."""
    shares = moment.shares
    return words.reading_cards(
        (
            ("Location", "-" if moment.center is None else f"{moment.center:.2f}"),
            ("True mean ratio", f"{moment.mean:.2f}"),
            ("Contrast draws", f"{shares.contrast:.0%}"),
            ("Generation draws", f"{shares.generation:.0%}"),
            ("Both losses", f"{shares.both:.0%}"),
            (f"Both in a batch of {groups}", f"{moment.chance:.1%}"),
        )
    )


def comparison(moment: Moment, drawn: DrawnRatios | None) -> str:
    """Returns a table of closed form, draws and a run."""
    return words.table(drawn_table(moment, drawn), f"Closed form and draws at {moment.progress:.0%} of the training")
