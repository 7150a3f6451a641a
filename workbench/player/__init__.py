"""The player: a decode, a race of candidates, cells of a picture or two pictures, moved in the browser.

One front-end module without dependencies serves the app, notebooks and offline HTML. Here is what it takes:
`check_player_data` says what its data is and refuses what is not. It knows nothing of models, files or the
page it stands on; nothing in it asks any host for anything.

The data is plain JSON, by `mode`. Pictures are PNG data URLs; positions count row by row from 0; maps are
base64 of bytes, row by row, each row scaled so that its maximum is 255.

`player`: one decode, a step at a time
    title, size (side of a picture in pixels), grid (tokens a side), colour (`#rrggbb`, of what is outlined)
    steps: of each step that reveals something: step (done so far, 1 to `of`), of, decoded (share of the
        tokens, 0 to 1), guidance, alignment (or None), revealed (positions)
    frames, rests: a picture a step: so far, and with the rest as it would be filled now (rests or None)
    order: for each position the index into `steps` of its reveal, -1 where it was given, and the number of
        steps where it is still to come
    words, cross: T words and the (N, T) attention of a position to them, when it was revealed (or None both)
    self: (N, N) attention of a position to the others (or None)
    paths, path_length, path_values: for each position a strip of its patches along the denoising, how many
        they are, and their RMS distance to the final token (or None)
`race`: candidates of one prompt side by side
    title, size, grid, steps (step, of, decoded), select (indices into `steps` of the comparisons)
    chosen: number of the candidate that was chosen, -1 while none is
    candidates: number, colour, alive (steps it lived), frames and alignment (one a step it lived), right (did
        it come out as the prompt says; None if unknown)
`cells`: cells of a picture to select
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

EVENTS = ("step", "position", "fork", "cells", "candidate")
"""Kinds of events that the player emits; each carries `id`, a number that rises."""
SCRIPTS = ("parts", "chart", "transport", "token", "decode", "race", "cells", "compare", "player")
"""The module's files; each uses only those before it."""
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
<h1>{title}</h1>
<noscript>This page plays a decode; it needs JavaScript, but no network.</noscript>
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
    """The front-end as one ES module that exports `mount`; `adapter` is JavaScript to stand below it."""
    joined = "\n".join(_standing_alone(_read(f"{name}.js")) for name in SCRIPTS)
    return f"{joined}\nexport {{ mount }};\n{adapter}"


@cache
def player_css() -> str:
    """The front-end's style sheet; all of it is under `.dream-player` and `.dream-page`."""
    return _read("player.css")


def player_html(data: Data, title: str, step: int = -1) -> str:
    """One HTML file that plays `data` offline; it begins at the step of this index, or at the last one.

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
    """The module without its imports of and exports to the others, which stand in one file with it."""
    module = re.sub(r'^import [^;]*? from "\./\w+\.js";\n', "", module, flags=re.MULTILINE)
    return re.sub(r"^export (?=(async )?(function|class|const)\b)", "", module, flags=re.MULTILINE)
