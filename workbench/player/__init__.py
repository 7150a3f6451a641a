"""The player: an interactive view of a decode, a race of candidates, a board of cells, or two pictures.

One front-end module without dependencies serves the app, notebooks and offline HTML. It knows nothing about models
or files, and sends no network requests. `check_player_data` validates its data.

The data is plain JSON; its fields depend on `mode`. Pictures are PNG data URLs; positions count row by row from 0;
maps are base64-encoded bytes, row by row, each row scaled to a maximum of 255.

`player`: one decode, step by step
    at: index of the step shown at first (or None: the last one)
    title, size (side of a picture in pixels), grid (tokens per side), colour (`#rrggbb`, of outlines)
    steps: for each step that reveals tokens: step (done so far, 1 to `of`), of, decoded (share of the
        tokens, 0 to 1), guidance, alignment (or None), revealed (positions)
    frames, rests: one picture per step: so far, and with the rest as the model would fill it now (rests or None)
    order: for each position the index into `steps` of its reveal, -1 if it was given, and the number
        of steps if it is not revealed yet
    words, cross: T words and the (N, T) attention of each position to them when it was revealed (both or None)
    self: (N, N) attention of each position to the others (or None)
    paths, path_length, path_values: for each position a strip of its patches during denoising, their number,
        and their RMS distance to the final token (or None)
`race`: candidates of one prompt side by side
    at: index of the step shown at first (or None: the last one)
    title, size, grid, steps (step, of, decoded), select (indices into `steps` of the comparisons)
    chosen: number of the chosen candidate, -1 while there is none
    candidates: number, colour, alive (steps it was alive), frames and alignment (one per step alive), right
        (whether the picture matches the prompt; None if unknown). Readers see the number plus 1.
    choose: of a race with all candidates finished, what choosing after each step gives: at and now (indices into
        `steps`: of the choice that was made, and of the slider at first), picks (number of the candidate chosen
        there), times (relative to one plain picture, or None); None without such a choice
`cells`: a picture with cells to select
    title, size, grid, picture, cells (positions), verb (`keep` or `clear`)
`compare`: two pictures under one slider
    title, a, b, label_a, label_b, size
"""

import html
import json
import re
from functools import cache
from importlib.resources import files

from workbench.player.check import Data, check_player_data

__all__ = ["EVENTS", "Data", "check_player_data", "player_css", "player_html", "player_script"]

EVENTS = ("step", "position", "fork", "cells", "candidate", "choose")
"""Kinds of events that the player emits; each has an increasing `id`."""
SCRIPTS = ("parts", "chart", "transport", "token", "decode", "choice", "race", "cells", "compare", "player")
"""Files of the module; each uses only earlier ones."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{css}
</style>
</head>
<body class="dream-page">
<h1 title="{title}" dir="auto">{title}</h1>
<noscript>This page plays a decode. It needs JavaScript, but no network.</noscript>
<main id="player"></main>
<script type="application/json" id="data">{data}</script>
<script type="module">
{script}
const data = JSON.parse(document.getElementById("data").textContent);
const player = mount(document.getElementById("player"), data);
{then}
</script>
</body>
</html>
"""


def player_script(adapter: str = "") -> str:
    """Returns the front end as one ES module that exports `mount`; `adapter` is JavaScript appended to it."""
    joined = "\n".join(_standing_alone(_read(f"{name}.js")) for name in SCRIPTS)
    return f"{joined}\nexport {{ mount }};\n{adapter}"


@cache
def player_css() -> str:
    """Returns the style sheet of the front end; all rules are under `.dream-player` and `.dream-page`."""
    return _read("player.css")


def player_html(data: Data, title: str, step: int = -1) -> str:
    """Returns one HTML file that plays `data` offline, starting at the step with index `step` or at the last one.

    Raises InputError as `check_player_data` does.
    """
    check_player_data(data)
    plain = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    script = player_script().replace("\nexport { mount };\n", "\n")
    then = f"player.go({step});" if step >= 0 else ""
    return PAGE.format(title=html.escape(title), css=player_css(), data=plain, script=script, then=then)


@cache
def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _standing_alone(module: str) -> str:
    """Strips the imports from and exports to the other files, which are joined into one module."""
    module = re.sub(r'^import [^;]*? from "\./\w+\.js";\n', "", module, flags=re.MULTILINE)
    return re.sub(r"^export (?=(async )?(function|class|const)\b)", "", module, flags=re.MULTILINE)
