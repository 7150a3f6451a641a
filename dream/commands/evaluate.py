"""`dream evaluate`: prints a table of what trained models can do, and writes it as JSON. Trains nothing."""

import argparse
import difflib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dream.errors import InputError
from dream.files import check_writable

if TYPE_CHECKING:  # `dream evaluate --help` answers without torch
    from dream.evaluation.statistics import Measure
    from dream.pretrained import Pretrained

TASKS = ("retrieval", "edits", "prompts", "selection")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="PATH",
        help="a run or a checkpoint; may be repeated",
    )
    parser.add_argument("--tasks", default="all", help=f"all, or some of {','.join(TASKS)} (comma-separated)")
    parser.add_argument("--data", default="shapes", help="shapes, or for retrieval any source")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for one JSON a model")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there")
    parser.add_argument("--prompts", type=int, default=500, help="prompts painted (prompts, selection)")
    parser.add_argument("--candidates", type=int, default=8, help="candidates a prompt (selection)")
    parser.add_argument("--pictures", type=int, default=2000, help="pictures with edited captions (edits)")
    parser.add_argument("--pool", type=int, default=64, help="pictures to find one among (retrieval)")
    parser.add_argument("--pools", type=int, default=20, help="such pools (retrieval)")
    parser.add_argument("--seed", type=int, default=0, help="seed of pictures, masks, prompts and noise")
    parser.add_argument("--raw", action="store_true", help="the raw weights instead of the averaged ones")


def run(args: argparse.Namespace) -> None:
    """Raises InputError for an unknown task, a bad number, no model, or results that are there."""
    tasks = _tasks(args.tasks, args.data)
    for name, least in (
        ("prompts", 2),
        ("candidates", 2),
        ("pictures", 2),
        ("pool", 2),
        ("pools", 1),
        ("seed", 0),
    ):
        if getattr(args, name) < least:
            raise InputError(f"--{name} must be at least {least}, got {getattr(args, name)}")
    targets = _targets(args)
    from dream.pretrained import load_pretrained

    models = [load_pretrained(path, ema=not args.raw) for path in args.model]
    results: dict[str, list[Measure]] = {}
    for pretrained, (name, target) in zip(models, targets.items(), strict=True):
        results[name] = []
        for task in tasks:
            start = time.monotonic()
            results[name] += _measure(task, pretrained, args)
            print(f"{name}: {task} took {time.monotonic() - start:.0f} s", flush=True)
        _write(target, args, pretrained, results[name])
    print("\n".join(table(results)))
    print("written: " + ", ".join(str(target) for target in targets.values()))


def _tasks(text: str, data: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return list(TASKS) if data == "shapes" else ["retrieval"]
    if not names:
        raise InputError(f"--tasks names none; expected all, or some of {', '.join(TASKS)}")
    for name in names:
        if name not in TASKS:
            close = difflib.get_close_matches(name, TASKS, n=1, cutoff=0.4)
            hint = f"did you mean '{close[0]}'?" if close else f"known are all, {', '.join(TASKS)}"
            raise InputError(f"unknown task '{name}'; {hint}")
        if name != "retrieval" and data != "shapes":
            raise InputError(f"task '{name}' needs an answer key: use --data shapes, not '{data}'")
    return list(dict.fromkeys(names))


def _targets(args: argparse.Namespace) -> dict[str, Path]:
    """The file of each model's results, by the model's name; none of them is there yet."""
    targets: dict[str, Path] = {}
    for path in map(Path, args.model):
        name = path.resolve().name
        if name.startswith("step-"):  # a checkpoint is named with its run: runs/NAME/checkpoints/step-...
            name = f"{path.resolve().parents[1].name}-{name}"
        if name in targets:
            raise InputError(
                f"two models are named '{name}': evaluate them one by one, each with its own --out"
            )
        targets[name] = args.out / f"{name}.json"
    for target in targets.values():
        if target.exists() and not args.overwrite:
            raise InputError(f"{target} is there already: give another --out, or --overwrite")
    check_writable(args.out)
    return targets


def _measure(task: str, pretrained: "Pretrained", args: argparse.Namespace) -> "list[Measure]":
    if task == "retrieval":
        from dream.evaluation.retrieval import retrieval

        return retrieval(pretrained, data=args.data, pool=args.pool, pools=args.pools, seed=args.seed)
    if task == "edits":
        from dream.evaluation.edits import edit_accuracy

        return edit_accuracy(pretrained, count=args.pictures, seed=args.seed)
    from dream.evaluation.judge import load_judge

    if task == "prompts":
        from dream.evaluation.prompts import prompt_accuracy

        return prompt_accuracy(pretrained, load_judge(), count=args.prompts, seed=args.seed)
    from dream.evaluation.selection import selection

    return selection(pretrained, load_judge(), count=args.prompts, candidates=args.candidates, seed=args.seed)


def _write(
    target: Path, args: argparse.Namespace, pretrained: "Pretrained", measures: "Sequence[Measure]"
) -> None:
    from dream.training.run_log import git_commit, versions

    target.parent.mkdir(parents=True, exist_ok=True)
    asked = {
        name: getattr(args, name) for name in ("prompts", "candidates", "pictures", "pool", "pools", "seed")
    }
    result = {
        "model": str(pretrained.path),
        "model_id": pretrained.model_id,
        "step": pretrained.step,
        "weights": "raw" if args.raw else "ema",
        "data": args.data,
        **asked,
        "versions": versions(),
        "git_commit": git_commit(),
        "measures": [measure.to_dict() for measure in measures],
    }
    partial = target.with_name(target.name + ".part")
    partial.write_text(json.dumps(result, indent=2) + "\n")
    partial.replace(target)


def table(results: "dict[str, list[Measure]]") -> list[str]:
    """Lines: a row a measure, a column a model, each number with its 95 % interval."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for model, measures in results.items():
        for measure in measures:
            where = ", ".join(_condition(key, value) for key, value in measure.where.items())
            cells.setdefault((measure.task, f"  {measure.name}, {where}"), {})[model] = str(measure.estimate)
    label = max((len(name) for _, name in cells), default=0)
    widths = {model: max(len(model), 20) for model in results}
    lines = ["".ljust(label) + "".join(f"  {model:>{width}}" for model, width in widths.items())]
    task = ""
    for (its_task, name), row in cells.items():
        if its_task != task:
            task = its_task
            lines.append(f"{task} (95 % interval)")
        lines.append(name.ljust(label) + "".join(f"  {row.get(m, '-'):>{w}}" for m, w in widths.items()))
    return lines


def _condition(key: str, value: object) -> str:
    words = key.replace("_", " ")
    if value is True:
        return words
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"
