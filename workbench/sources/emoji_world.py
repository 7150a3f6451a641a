"""The world of the emoji as HTML: things of a group in the styles of all artists, and how many there are."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from dream.data.emoji.packages import STYLES
from dream.data.emoji.table import Drawing

MEANINGS = {
    "train": "learned from",
    "val": "a known thing in a style that it was never seen in",
    "unseen": "a thing never seen in any style",
}
"""What each split is for."""
STYLE = """<style>
.emoji-world { overflow-x: auto; }
.emoji-world table { border-collapse: collapse; font-size: .85rem; }
.emoji-world th { font-weight: 500; text-align: left; padding: .25rem .5rem; white-space: nowrap; }
.emoji-world tbody th { max-width: 13rem; white-space: normal; overflow-wrap: anywhere; font-weight: 400; }
.emoji-world td { padding: .2rem; text-align: center; vertical-align: top; }
.emoji-world img { width: 64px; height: 64px; background: #fff; border-radius: .2rem; display: block; margin: auto;
  box-shadow: 0 0 0 1px rgba(127,135,144,.45); }
.emoji-world img.val { box-shadow: 0 0 0 3px #E69F00; }
.emoji-world img.unseen { box-shadow: 0 0 0 3px #2F7FC1; }
.emoji-world .none { opacity: .35; vertical-align: middle; }
.emoji-world tbody th { min-width: 5rem; }
@media (max-width: 640px) {
  .emoji-world table { font-size: .72rem; }
  .emoji-world th { padding: .2rem .15rem; }
  .emoji-world td { padding: .1rem; }
  .emoji-world img { width: 40px; height: 40px; }
}
.emoji-world td.number { text-align: right; font-variant-numeric: tabular-nums; padding: .2rem .6rem; }
</style>"""


def groups_of(drawings: Sequence[Drawing]) -> dict[str, list[str]]:
    """Subgroups of each group, in the order of the table."""
    groups: dict[str, dict[str, None]] = {}
    for drawing in drawings:
        groups.setdefault(drawing.group, {})[drawing.subgroup] = None
    return {group: list(subgroups) for group, subgroups in groups.items()}


def things_of(drawings: Sequence[Drawing], group: str, subgroup: str = "") -> dict[str, dict[str, Drawing]]:
    """Drawings by label, then by style, of a group or one of its subgroups."""
    things: dict[str, dict[str, Drawing]] = {}
    for drawing in drawings:
        if drawing.group == group and subgroup in ("", drawing.subgroup):
            things.setdefault(drawing.label, {})[drawing.style] = drawing
    return things


def world_table(things: dict[str, dict[str, Drawing]]) -> str:
    """A row per thing and a column per style; pictures held out from training have a coloured frame."""
    rows = [
        f"<tr><th>{escape(label)}</th>{''.join(_cell(by_style.get(style)) for style in STYLES)}</tr>"
        for label, by_style in things.items()
    ]
    return _table(STYLES, rows)


def count_table(drawings: Sequence[Drawing]) -> str:
    """Numbers of pictures by group and style, with totals by split below."""
    by_cell = Counter((drawing.group, drawing.style) for drawing in drawings)
    by_split = Counter((drawing.split, drawing.style) for drawing in drawings)
    body = [_numbers(group, [by_cell[group, style] for style in STYLES]) for group in groups_of(drawings)]
    body += [_numbers(split, [by_split[split, style] for style in STYLES]) for split in MEANINGS]
    return _table((*STYLES, "all"), body)


def _table(columns: Iterable[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    return (
        f'{STYLE}<div class="emoji-world"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _numbers(name: str, counts: list[int]) -> str:
    cells = "".join(f'<td class="number">{count:,}</td>' for count in (*counts, sum(counts)))
    return f"<tr><th>{escape(name)}</th>{cells}</tr>"


def _cell(drawing: Drawing | None) -> str:
    if drawing is None:
        return '<td class="none" title="not drawn in this style">·</td>'
    url = f"data:image/webp;base64,{base64.b64encode(drawing.picture).decode()}"
    told = escape(f"{drawing.caption}: {MEANINGS[drawing.split]}; {', '.join(drawing.tags)}")
    return f'<td><img class="{escape(drawing.split)}" src="{url}" alt="{escape(drawing.caption)}" title="{told}"></td>'
