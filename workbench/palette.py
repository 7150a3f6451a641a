"""Colours that mean the same on every page, in every figure and in the player.

This is their only home. `player.css` and the app's `config.toml` cannot import it; a test holds them equal.
No figure library is imported here.
"""

OBJECTIVES = {
    "dream": "#D55E00",
    "clip": "#2F7FC1",
    "fluid": "#00916E",
    "mar": "#A47A00",
    "repa": "#D0578F",
    "dream, constant masking": "#A655B0",
    "dream, uniform masking": "#1A94A8",
    "dream, no groups": "#7F8790",
}
"""Colour of an objective or variant; a model with that name has it too."""
CONTRAST, GENERATION, BOTH = (OBJECTIVES[name] for name in ("clip", "fluid", "dream"))
"""Colour of each loss, of what it counts and of both together: that of the objective that trains it."""
NEUTRAL = "#7F8790"
"""Reference lines, published numbers, and anything that belongs to no model."""
ORDERED = ("#7A6FD0", "#2F7FC1", "#1A94A8", "#2E9E5B", "#A47A00", "#D55E00", "#D0578F")
"""Colours of an ordered quantity, from low to high: number of candidates, mask ratio."""
DENSITY, HIDDEN = "#5B6BC0", "#8b929d"
"""Density of the mask ratio at its highest; tokens hidden from the encoder."""
SHADES = "Cividis"
"""Colour scale for shares and steps, readable for colour-blind people."""
DIVERGING = [[0.0, OBJECTIVES["clip"]], [0.5, "#f3f4f6"], [1.0, OBJECTIVES["dream"]]]
"""Colour scale for signed numbers: blue is negative, orange positive, pale is zero."""

BACKGROUND = {"light": "#ffffff", "dark": "#14171c"}
SURFACE = {"light": "#f4f5f7", "dark": "#1f242b"}
"""Buttons, code, empty pictures."""
TEXT = {"light": "#1b1f24", "dark": "#e8ebef"}
GRID = {"light": "#e4e7eb", "dark": "#343a43"}
BORDER = {"light": "#d5d9de", "dark": "#343a43"}
ACCENT = {"light": "#B85000", "dark": "#E8702A"}
LINK = "#2f6fb0"
MESSAGES = {"information": "inherit", "success": "#00916E", "warning": "#A47A00", "error": "#b3400a"}
"""Text colour of a message, by its kind; also of what a judge calls right and wrong."""
HATCH = ("#b4b4b4", "#909090")
"""Ground and stripes of hidden cells: those of `dream.decoding.pictures`."""
CANDIDATES = (
    *(colour for colour in OBJECTIVES.values() if colour != NEUTRAL),
    *("#70A800", "#9888F8", "#6050D8", "#985050", "#587000", "#D870E8", "#C82030", "#D08878", "#F85860"),
)
"""Colours of 16 candidates, as far apart as can be (in OKLab) where each is seen on white and on black."""


def candidate_colour(number: int) -> str:
    """Colour of a prompt's candidate, by its number from 0."""
    return CANDIDATES[number % len(CANDIDATES)]
