"""The study of choosing as a table and a figure: `python -m workbench.choosing --out results`.

Reads what `dream evaluate --tasks choosing` stored, and measures nothing.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dream.__main__ import CommandParser
from dream.commands import options
from dream.console import print_out
from dream.errors import InputError
from dream.evaluation.results import Results, read_folder
from dream.evaluation.statistics import Estimate, Measure
from dream.exit_codes import exit_code
from dream.files import check_writable, replace_text
from workbench.figures.choosing import TASK, outcomes_of, plot_choosing
from workbench.figures.export import figure_html, figure_png
from workbench.figures.measured import current_measures
from workbench.trajectories.scores import STUDIES, read_studies

GAIN, MISSING = "gain of the choice", "-"


def choosing_table(result: Results, outcome: str) -> list[str]:
    """Lines of a Markdown table: a row per kind of prompts and score at the headline's step, then the plain ways.

    Gains are in pictures per hundred over one sample, with half of their 95 % interval.
    """
    measures = [m for m in current_measures(result) if m.task == TASK]
    lines = [
        "| prompts | chosen by | gain over one sample | AUC | of the gain among finished ones | "
        "over fewer finished ones in the same time | CPU time |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind in dict.fromkeys(m.where["combination"] for m in measures):
        own = [m for m in measures if m.where["combination"] == kind and m.where.get("outcome") == outcome]
        lines += [
            _row(kind, score, own) for score in dict.fromkeys(m.where["score"] for m in own if "score" in m.where)
        ]
        lines += [
            _plain(kind, m) for m in own if m.name in ("gain of finishing all and choosing", "gain of another way")
        ]
    return lines


def choosing_words(result: Results, outcome: str) -> list[str]:
    """A line per kind of prompts: how often one sample is right, and any of K."""
    found = [m for m in current_measures(result) if m.task == TASK and m.where.get("outcome") == outcome]
    words = []
    for kind in dict.fromkeys(m.where["combination"] for m in found):
        said = [m for m in found if m.where["combination"] == kind and m.name.endswith(" right")]
        words.append(f"{kind} combinations, {outcome}: " + ", ".join(f"{m.name} {m.estimate}" for m in said))
    return words


def study_rows(result: Results) -> list[dict[str, Any]]:
    """The choices among all candidates that the study of a model measured, as JSON values."""
    measures = [m for m in current_measures(result) if m.task == TASK and "outcome" in m.where]
    plain = {_asked(m): m.estimate.value for m in measures if m.name == "a sample right"}
    most = max((m.where["candidates"] for m in measures), default=0)
    chosen = [m for m in measures if m.name == "gain of the choice" and m.where["candidates"] == most]
    names = ("combination", "outcome", "score", "step", "decoded_fraction", "candidates", "time")
    return [
        {name: m.where[name] for name in names}
        | {"prompts": m.estimate.count, "plain": round(plain[_asked(m)], 4)}
        | {end: round(getattr(m.estimate, end), 4) for end in ("value", "low", "high")}
        for m in chosen
    ]


def keep_studies(results: Sequence[Results], path: Path = STUDIES) -> None:
    """Writes the studies of these models next to those that are kept already."""
    kept = read_studies(path)
    for result in results:
        for entry in (e for e in result.current().entries if e.task == TASK and e.measures):
            kept[entry.model_id] = study_rows(result)
    lines = {name: ",\n".join(map(json.dumps, rows)) for name, rows in kept.items()}  # a row each, to be reviewed
    studies = ",\n".join(f"{json.dumps(name)}: [\n{rows}\n]" for name, rows in lines.items())
    replace_text(path, f"{{\n{studies}\n}}\n")


def _asked(measure: Measure) -> tuple[str, str]:
    return measure.where["combination"], measure.where["outcome"]


def _row(kind: str, score: str, measures: Sequence[Measure]) -> str:
    most = max(m.where["candidates"] for m in measures)
    at = [m for m in measures if m.where.get("score") == score and m.where["candidates"] == most]
    by_name = {m.name: m for m in at if m.where.get("headline")}
    part = by_name.get("share of the gain among finished ones")
    cells = [
        kind,
        f"{score}, {_place(by_name[GAIN].where)}" if GAIN in by_name else score,
        _points(by_name.get(GAIN)),
        _number(by_name.get("AUC")),
        MISSING if part is None else f"{part.estimate.value:.0%}",
        _points(by_name.get("gain over fewer finished ones in the same time")),
        f"{by_name[GAIN].where['time']:.2f}" if GAIN in by_name else MISSING,
    ]
    return f"| {' | '.join(cells)} |"


def _plain(kind: str, measure: Measure) -> str:
    where = measure.where
    name = where.get("way") or f"best of {where['candidates']} finished by the paper's score"
    return f"| {kind} | {name} | {_points(measure)} | {MISSING} | {MISSING} | {MISSING} | {where['time']:.2f} |"


def _place(where: Mapping[str, Any]) -> str:
    return f"{where['decoded_fraction']:.0%} of the tokens"


def _points(measure: Measure | None) -> str:
    return MISSING if measure is None else f"{100 * measure.estimate.value:+.1f}{_half(measure.estimate)}"


def _half(estimate: Estimate) -> str:
    return f" ± {50 * (estimate.high - estimate.low):.1f}" if estimate.has_interval else ""


def _number(measure: Measure | None) -> str:
    return MISSING if measure is None else str(measure.estimate)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of `python -m workbench.choosing`."""
    parser = CommandParser(prog="python -m workbench.choosing", description=__doc__)
    options.add_out(parser, "folder of results, as of dream evaluate; choosing.html goes there too", Path("results"))
    parser.add_argument(
        "--outcome", default="", help="what pictures have to show (default: each, the figure the middle)"
    )
    parser.add_argument("--keep", action="store_true", help="also keep the numbers that the Trajectories page shows")
    parser.add_argument("--png", type=Path, metavar="FILE", help="also write the figure as a PNG")
    return exit_code("choosing", lambda: _report(parser.parse_all(sys.argv[1:] if arguments is None else arguments)))


def _report(args: argparse.Namespace) -> None:
    if not args.out.is_dir():
        raise InputError(f"--out {args.out} is not a folder of results")
    results = [r for r in read_folder(args.out) if any(e.task == TASK and e.measures for e in r.entries)]
    known = outcomes_of(results)
    if not known:
        raise InputError(f"{args.out} holds no study of choosing: run dream evaluate --tasks choosing first")
    if args.outcome and args.outcome not in known:
        raise InputError(f"--outcome {args.outcome} was not measured (measured: {', '.join(known)})")
    check_writable(args.out)
    for result in results:
        for outcome in [args.outcome] if args.outcome else known:
            lines = [f"## {result.name}: {outcome}", *choosing_words(result, outcome), ""]
            print_out("\n".join([*lines, *choosing_table(result, outcome), ""]))
    figure = plot_choosing(results, args.outcome)
    replace_text(args.out / "choosing.html", figure_html(figure).decode())
    print_out(f"wrote {args.out / 'choosing.html'}")
    if args.keep:
        keep_studies(results)
        print_out(f"kept the numbers of {', '.join(result.name for result in results)} in {STUDIES}")
    if args.png:
        args.png.write_bytes(figure_png(figure))
        print_out(f"wrote {args.png}")


if __name__ == "__main__":
    sys.exit(main())
