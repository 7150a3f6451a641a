"""Converts an executed notebook to one HTML page that opens without a network.

Widgets are shown as their snapshots; figures are drawn by a copy of plotly.js in the page.
"""

import html
import json
from functools import cache

from nbconvert import HTMLExporter
from nbformat import NotebookNode
from plotly.offline import get_plotlyjs
from pygments.formatters import HtmlFormatter

from workbench import palette
from workbench.figures.style import FONT
from workbench.notebook_pages.execution import WIDGET, Executed
from workbench.notebook_pages.snapshot import chart_html

FIGURE = "application/vnd.plotly.v1+json"
STYLE = """
body { font: 16px/1.55 %FONT%; color: %TEXT%; max-width: 1000px; margin: 2.5rem auto 6rem; padding: 0 1rem }
h1 { line-height: 1.2 }
h1, h2, h3 { margin: 2.2rem 0 0.6rem }
a { color: %LINK% }
pre { background: %SURFACE%; border-radius: 6px; padding: 0.7rem 0.9rem; overflow-x: auto; font-size: 13.5px }
code { font-size: 0.9em }
img { max-width: 100% }
table { border-collapse: collapse; font-size: 14px; margin: 0.6rem 0 }
th, td { padding: 0.3rem 0.7rem; text-align: left }
thead { border-bottom: 1px solid %NEUTRAL% }
tbody tr { border-bottom: 1px solid %GRID% }
iframe.player { width: 100%; border: 0; min-height: 420px }
.anchor-link, .prompt { display: none }
.jp-OutputArea-output, .output_html { overflow-x: auto }
.column { display: flex; flex-direction: column; gap: 0.4rem; min-width: 0 }
.row { display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; min-width: 0 }
.row > * { flex: 1 1 auto; min-width: 0 }
.column > * { min-width: 0 }
.controls { display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem }
.control { font-size: 13.5px; opacity: 0.8 }
.output_text pre, .output_stream pre, .output_stdout pre { white-space: pre-wrap; overflow-wrap: anywhere }
"""
LOOK = {
    "FONT": FONT,
    "TEXT": palette.TEXT["light"],
    "SURFACE": palette.SURFACE["light"],
    "GRID": palette.GRID["light"],
    "NEUTRAL": palette.NEUTRAL,
    "LINK": palette.LINK,
}
"""Values for the names between percent signs in STYLE."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: blob:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
{script}
</head>
<body>
{body}
</body>
</html>
"""


def page_of(executed: Executed) -> str:
    """Returns the notebook as HTML."""
    notebook, figures = executed.notebook, False
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            figures |= _as_html(output, executed.snapshots)
    body, _ = _exporter().from_notebook_node(notebook)
    script = f"<script>{get_plotlyjs()}</script>" if figures else ""
    return _page(title_of(notebook), body, script)


def index_page(pages: dict[str, str]) -> str:
    """Returns a page with links to the given pages (title by file name)."""
    rows = "\n".join(
        f'<li><a href="{html.escape(name)}">{html.escape(title)}</a></li>' for name, title in pages.items()
    )
    return _page("DREAM in notebooks", f"<h1>DREAM in notebooks</h1>\n<ol>\n{rows}\n</ol>")


def title_of(notebook: NotebookNode) -> str:
    """Returns the first heading of a notebook."""
    lines = [line for cell in notebook.cells for line in cell.source.splitlines() if line.startswith("# ")]
    return lines[0].removeprefix("# ").strip() if lines else "Notebook"


def _page(title: str, body: str, script: str = "") -> str:
    style = STYLE + HtmlFormatter().get_style_defs(".highlight")
    for name, value in LOOK.items():
        style = style.replace(f"%{name}%", value)
    return PAGE.format(title=html.escape(title), style=style, script=script, body=body)


def _as_html(output: NotebookNode, snapshots: dict[str, str]) -> bool:
    """Converts a widget or figure output to HTML in place; returns whether it was one."""
    data = output.get("data", {})
    if WIDGET in data:
        output.data = {"text/html": snapshots.get(data[WIDGET]["model_id"], "")}
    elif FIGURE in data:
        output.data = {"text/html": chart_html(json.loads(json.dumps(data[FIGURE])))}
    else:
        return False
    return True


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(template_name="basic")
