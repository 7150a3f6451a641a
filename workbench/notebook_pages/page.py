"""An executed notebook as one HTML page that opens without a network: prose, code, tables, figures, players.

It runs nothing. Widgets are as their snapshots say; figures are drawn by the copy of plotly.js in the page.
"""

import html
import json
from functools import cache

from nbconvert import HTMLExporter
from nbformat import NotebookNode
from plotly.offline import get_plotlyjs
from pygments.formatters import HtmlFormatter

from workbench.figures.style import FONT
from workbench.notebook_pages.execution import WIDGET, Executed
from workbench.notebook_pages.snapshot import chart_html

FIGURE = "application/vnd.plotly.v1+json"
STYLE = """
body { font: 16px/1.55 %FONT%; color: #1b1f24; max-width: 1000px; margin: 2.5rem auto 6rem; padding: 0 1rem }
h1 { line-height: 1.2 }
h1, h2, h3 { margin: 2.2rem 0 0.6rem }
a { color: #2f6fb0 }
pre { background: #f5f6f8; border-radius: 6px; padding: 0.7rem 0.9rem; overflow-x: auto; font-size: 13.5px }
code { font-size: 0.9em }
img { max-width: 100% }
table { border-collapse: collapse; font-size: 14px; margin: 0.6rem 0 }
th, td { padding: 0.3rem 0.7rem; text-align: left }
thead { border-bottom: 1px solid #9aa3ad }
tbody tr { border-bottom: 1px solid #e4e7eb }
iframe.player { width: 100%; border: 0; min-height: 420px }
.anchor-link, .prompt { display: none }
.jp-OutputArea-output, .output_html { overflow-x: auto }
.column { display: flex; flex-direction: column; gap: 0.4rem; min-width: 0 }
.row { display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; min-width: 0 }
.row > * { flex: 1 1 auto; min-width: 0 }
.column > * { min-width: 0 }
.controls { display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem }
.control { font-size: 13.5px; color: #4b5560 }
.output_text pre, .output_stream pre, .output_stdout pre { white-space: pre-wrap; overflow-wrap: anywhere }
"""
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
    """The notebook as HTML."""
    notebook, figures = executed.notebook, False
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            figures |= _as_html(output, executed.snapshots)
    body, _ = _exporter().from_notebook_node(notebook)
    script = f"<script>{get_plotlyjs()}</script>" if figures else ""
    return _page(title_of(notebook), body, script)


def index_page(pages: dict[str, str]) -> str:
    """A page that leads to others: titles by file name."""
    rows = "\n".join(
        f'<li><a href="{html.escape(name)}">{html.escape(title)}</a></li>' for name, title in pages.items()
    )
    return _page("DREAM in notebooks", f"<h1>DREAM in notebooks</h1>\n<ol>\n{rows}\n</ol>")


def title_of(notebook: NotebookNode) -> str:
    """The first heading."""
    lines = [line for cell in notebook.cells for line in cell.source.splitlines() if line.startswith("# ")]
    return lines[0].removeprefix("# ").strip() if lines else "Notebook"


def _page(title: str, body: str, script: str = "") -> str:
    style = STYLE.replace("%FONT%", FONT) + HtmlFormatter().get_style_defs(".highlight")
    return PAGE.format(title=html.escape(title), style=style, script=script, body=body)


def _as_html(output: NotebookNode, snapshots: dict[str, str]) -> bool:
    """Turns a widget or figure among the outputs into HTML in place; whether it was one."""
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
