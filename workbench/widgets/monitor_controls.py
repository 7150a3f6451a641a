"""Controls of the run monitor."""

import ipywidgets as w

from workbench.figures.training import FIGURES
from workbench.runs.curves import AXES

NAMES = {
    "losses": "Losses",
    "by_ratio": "Losses by mask ratio",
    "ratios": "Mask ratios drawn",
    "shares": "Pictures that counted in each loss",
    "retrieval": "Retrieval",
    "gradients": "Gradients and learning rate",
    "speed": "Speed",
}
BUTTON = {"width": "110px"}


def look_controls() -> dict[str, w.Widget]:
    """Returns the controls for the figure and the sample sheet."""
    style = {"description_width": "initial"}
    return {
        "figure": w.Dropdown(
            options=[(title, name) for name, title in NAMES.items()],
            description="Figure",
            style=style,
            layout={"width": "270px"},
            tooltip="; ".join(FIGURES.values()),
        ),
        "axis": w.Dropdown(
            options=list(AXES),
            description="by",
            style=style,
            layout={"width": "150px"},
            tooltip="Unit of the horizontal axis.",
        ),
        "smoothing": w.FloatSlider(
            0.8,
            min=0.0,
            max=0.99,
            step=0.01,
            description="Smoothing",
            continuous_update=False,
            style=style,
            layout={"width": "260px"},
            tooltip="Weight of earlier values; unsmoothed values stay visible, faint.",
        ),
        "log": w.Checkbox(
            True,
            description="Logarithmic losses",
            indent=False,
            layout={"width": "170px"},
            tooltip="Equal ratios are equally far apart.",
        ),
        "sheet": w.SelectionSlider(
            options=[0],
            description="Painted at step",
            style=style,
            layout={"width": "98%", "display": "none"},
            tooltip="The same prompts and seed over the training.",
        ),
    }


def run_controls() -> dict[str, w.Widget]:
    """Returns the controls for actions on the training."""
    return {
        "stop": w.Button(
            description="Stop",
            icon="stop",
            layout=BUTTON,
            tooltip="Saves a checkpoint and stops; Resume continues from there.",
        ),
        "resume": w.Button(
            description="Resume",
            icon="play",
            layout=BUTTON,
            tooltip="Continues to the planned end as if it had never stopped.",
        ),
        "amount": w.BoundedFloatText(
            5.0, min=0.01, max=1e8, layout={"width": "90px"}, tooltip="Minutes or steps to add."
        ),
        "kind": w.Dropdown(
            options=["minutes", "steps"],
            description="Extend by",
            layout={"width": "190px"},
            tooltip="Unit of the extension.",
            style={"description_width": "initial"},
        ),
        "extend": w.Button(
            description="Extend", icon="forward", layout=BUTTON, tooltip="Trains for these additional minutes or steps."
        ),
        "follow": w.Button(
            description="Follow",
            icon="eye",
            layout={**BUTTON, "display": "none"},
            tooltip="Updates the view while the training runs.",
        ),
    }
