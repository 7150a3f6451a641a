"""`dream evaluate`: measures what trained models can do, keeps it as JSON, and prints a table. Trains
nothing that is kept.
"""

import argparse
import re
from pathlib import Path

from dream.errors import InputError
from dream.evaluation.tasks import described, named_tasks
from dream.files import check_writable

EXAMPLES = """\
examples:
  dream evaluate --model runs/shapes --tasks retrieval,edits
  dream evaluate --model dream=runs/a --model clip=runs/b --set few_shot.episodes=1000
  dream evaluate --show --out results --markdown
"""
NAME = re.compile(r"[^/\0\s][^/\0]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"tasks:\n{described()}\n\n{EXAMPLES}"
    add = parser.add_argument
    add(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="a run, a checkpoint, or a shipped model, named as its folder; may be repeated",
    )
    add(
        "--tasks",
        default="all",
        metavar="LIST",
        help="all (that fit the data and take minutes), or some, comma-separated",
    )
    add(
        "--data",
        action="append",
        default=[],
        metavar="SRC",
        help="shapes (default), a folder, tar shards, or hf:owner/name[:split]; may be repeated",
    )
    add(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="FOLDER",
        help="where results are kept, a JSON a model; what it answers is not measured again",
    )
    add(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        dest="assignments",
        metavar="TASK.FIELD=VALUE",
        help="change a task's settings, e.g. --set retrieval.pool=32 prompts.count=100",
    )
    add("--seed", type=int, default=0, help="seed of pictures, masks, prompts, episodes and noise")
    add("--raw", action="store_true", help="the raw weights instead of the averaged ones")
    add("--overwrite", action="store_true", help="measure anew what is there already")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the models run")
    add("--show", action="store_true", help="print the results in --out (of --model, if given); opens no model")
    add("--markdown", action="store_true", help="print the table as Markdown")


def run(args: argparse.Namespace) -> None:
    """Raises InputError for a bad name, number, model or source, or for results that are damaged."""
    if args.show:
        _show(args)
        return
    if not args.model:
        raise InputError("--model is missing: give a run or a checkpoint, or --show to print what is in --out")
    if args.seed < 0:
        raise InputError(f"--seed must be at least 0, got {args.seed}")
    sources = list(dict.fromkeys(args.data)) or ["shapes"]
    tasks = named_tasks(args.tasks, sources)
    named = {name.strip() for name in args.tasks.split(",")} | {a.partition(".")[0] for a in args.assignments}
    models = _models(args.model)
    check_writable(args.out)
    from dream.console import Console
    from dream.evaluation.session import EvaluationRequest, evaluate

    console = Console(True)
    request = EvaluationRequest(
        models=models,
        tasks=tasks,
        sources=sources,
        out=args.out,
        assignments=args.assignments,
        named=frozenset(t.name for t in tasks if t.name in named),
        seed=args.seed,
        raw=args.raw,
        overwrite=args.overwrite,
        device=args.device,
    )
    try:
        outcome = evaluate(request, console)
    except KeyboardInterrupt:
        console.say(f"what was measured so far is kept in {args.out}; the same command goes on from there")
        raise
    _print(outcome.results, args.markdown)
    console.say("kept in " + ", ".join(str(args.out / f"{name}.json") for name in models))
    if outcome.refused:
        raise InputError(outcome.refused)


def _models(words: list[str]) -> dict[str, Path]:
    """Paths by the names of their columns. Raises InputError for a bad name, or one that two models have."""
    found: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or Path(word).exists():
            name, path = _name_of(Path(word)), word
        if not NAME.fullmatch(name) or name.startswith(".") or not path:
            raise InputError(f"--model {word}: expected PATH or NAME=PATH, with a name without '/'")
        if name in found:
            raise InputError(f"two models are named '{name}': name them, as in --model other={path}")
        found[name] = Path(path)
    return found


def _name_of(path: Path) -> str:
    """The folder's name; a checkpoint is named with its run: runs/NAME/checkpoints/step-..."""
    full = path.resolve()
    return f"{full.parents[1].name}-{full.name}" if full.name.startswith("step-") else full.name


def _show(args: argparse.Namespace) -> None:
    from dream.evaluation.results import read_folder

    stored = read_folder(args.out)
    names = [word.partition("=")[0] if "=" in word else _name_of(Path(word)) for word in args.model]
    if missing := [name for name in names if name not in {r.name for r in stored}]:
        there = ", ".join(r.name for r in stored)
        raise InputError(f"{args.out} has no results of '{missing[0]}'; it has {there}")
    chosen = [r for r in stored if not names or r.name in names]
    current = [r.current() for r in chosen]
    _print(current, args.markdown)
    if older := sum(len(r.entries) for r in chosen) - sum(len(r.entries) for r in current):
        print(f"({older} results of older weights or data are kept in {args.out} and not shown)")


def _print(results: list, markdown: bool) -> None:
    from dream.evaluation.table import markdown_table, text_table

    print("\n".join(markdown_table(results) if markdown else text_table(results)))
