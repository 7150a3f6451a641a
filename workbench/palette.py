"""Colours that mean the same on every page, in every figure and in the player. Knows no figure library."""

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
"""Colour of an objective or variant; a model of that name has it too."""


def candidate_colour(number: int) -> str:
    """The colour of a prompt's candidate, by its number from 0."""
    colours = list(OBJECTIVES.values())
    return colours[number % len(colours)]
