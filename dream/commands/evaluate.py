"""`dream evaluate`: measures what trained models can do, writes it as JSON, and prints a table."""

import argparse
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dream.commands import options
from dream.console import Console, duration, print_out
from dream.data.report import problem_lines
from dream.errors import InputError
from dream.evaluation.tasks import described, named_tasks
from dream.files import ABANDONED_SECONDS, check_writable, remove_leftovers

if TYPE_CHECKING:
    from dream.evaluation.events import EvaluationEvent, TaskEnded
    from dream.evaluation.session import EvaluationRequest

EXAMPLES = """\
examples:
  dream evaluate --model runs/shapes --tasks retrieval,edits
  dream evaluate --model dream=runs/a --model clip=runs/b --set few_shot.episodes=1000
  dream evaluate --show --out results --markdown
"""
WAIT_SECONDS = 86_400.0
"""Longest wait of a rank for another, which may be measuring what is measured by one alone."""
NAME = re.compile(r"[^/\0\s][^/\0]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dream evaluate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"tasks:\n{described()}\n\n{EXAMPLES}"
    options.add_models(parser)
    options.add_data(parser, repeatable=True)
    add = parser.add_argument
    tasks = "comma-separated tasks, or all: those that fit the data and take minutes (default: all)"
    add("--tasks", default="all", metavar="LIST", help=tasks)
    out = "folder of the results, one JSON file per model; what it holds is not measured again"
    options.add_out(parser, out, default=Path("results"))
    options.add_assignments(parser, "TASK.FIELD=VALUE", "change a task's settings, e.g. --set retrieval.pool=32")
    options.add_seed(parser, "seed of pictures, masks, prompts, episodes and noise")
    options.add_raw(parser)
    options.add_overwrite(parser, "measure again what the results already hold")
    options.add_device(parser)
    add("--progress", type=Path, metavar="FILE", help="append progress events to FILE, one JSON record per line")
    add("--show", action="store_true", help="only print the results in --out (of --model, if given)")
    add("--markdown", action="store_true", help="print the table as Markdown")


def run(args: argparse.Namespace) -> None:
    """Evaluates and prints the table; raises InputError for bad models, tasks, data or settings, or damaged results."""
    if args.show:
        _show(args)
        return
    if not args.model:
        raise InputError("--model is missing: give a run or a checkpoint, or --show to print what is in --out")
    options.require_at_least(args, 0, "seed")
    sources = list(dict.fromkeys(args.data)) or [options.DEFAULT_SOURCE]
    tasks = named_tasks(args.tasks, sources)
    named = {name.strip() for name in args.tasks.split(",")} | {a.partition(".")[0] for a in args.assignments}
    models = _models(args.model)
    check_writable(args.out)
    remove_leftovers(args.out, ABANDONED_SECONDS)
    from dream.evaluation.pieces import ALONE, EvaluationRank
    from dream.evaluation.session import EvaluationRequest, results_of
    from dream.training.devices import joined_ranks
    from dream.training.lost_ranks import lost_ranks_in_words

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
        device=options.open_device(args.device),
    )
    with joined_ranks(WAIT_SECONDS) as fabric:
        member = ALONE if fabric is None else EvaluationRank(fabric.global_rank, fabric.world_size)
        with lost_ranks_in_words(lambda: member.ranks, WAIT_SECONDS, "call the same line again to go on"):
            ended, refused = _followed(replace(request, member=member), args.progress if member.writes else None)
    if not member.writes:
        return
    _print(results_of(models, ended), args.markdown)
    Console(True).say("kept in " + ", ".join(str(args.out / f"{name}.json") for name in models))
    if refused:
        raise InputError(refused)


def _followed(request: "EvaluationRequest", progress: Path | None) -> "tuple[list[TaskEnded], str]":
    """Evaluates, prints each event and writes it to the progress file; returns ended tasks, and the refusal if any."""
    from dream.evaluation.event_log import EventLog
    from dream.evaluation.events import EvaluationEnded, TaskAtWork, TaskEnded
    from dream.evaluation.session import evaluate

    console, log = Console(request.member.writes), EventLog(progress) if progress else None
    ended: list[TaskEnded] = []
    refused = ""
    try:
        with closing(evaluate(request)) as events:
            for event in events:
                if log:
                    log.write(event)
                if isinstance(event, TaskAtWork):
                    console.progress(event_line(event))
                elif line := event_line(event):
                    console.say(line)
                if isinstance(event, TaskEnded):
                    ended.append(event)
                elif isinstance(event, EvaluationEnded):
                    refused = event.refused
    except KeyboardInterrupt:
        console.say(f"finished tasks are kept in {request.out}; run the same command again to continue")
        raise
    return ended, refused


def event_line(event: "EvaluationEvent") -> str:
    """Returns the text that the command prints for an event; empty for one that it does not print."""
    from dream.evaluation import events

    match event:
        case events.TaskAtWork(question, share, doing, left):
            activity = f" {share:4.0%} {doing}" if share or doing else ""
            return f"{question.title}{activity}, {duration(left)} left in all"
        case events.TaskAnswered(question, entry):
            return f"{question.title}: took {duration(entry.seconds)}"
        case events.TaskSkipped(question, entry):
            return f"{question.title}: skipped, {entry.skipped}"
        case events.TaskCached(question):
            return f"{question.title}: cached"
        case events.ClassesRead(data, reading):
            return f"{data}: {reading}"
        case events.BrokenDataFound(data, problems, kinds):
            count = "1 problem" if problems == 1 else f"{problems:,} problems"
            return "\n".join([f"{data}: {count} in the data; affected samples are skipped", *problem_lines(kinds)])
    return ""


def _models(words: list[str]) -> dict[str, Path]:
    """Returns paths by column name; raises InputError for a bad name, or one that two models have."""
    paths: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or Path(word).exists():
            name, path = _name_of(Path(word)), word
        if not NAME.fullmatch(name) or name.startswith(".") or not path:
            raise InputError(f"--model {word}: expected PATH or NAME=PATH, with a name without '/'")
        if name in paths:
            raise InputError(f"two models are named '{name}': name them, as in --model other={path}")
        paths[name] = Path(path)
    return paths


def _name_of(path: Path) -> str:
    """Returns the folder's name; a checkpoint's starts with its run's: runs/NAME/checkpoints/step-..."""
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
        print_out(f"({older} results of older weights or data are kept in {args.out} and not shown)")


def _print(results: list, markdown: bool) -> None:
    from dream.evaluation.table import markdown_table, text_table

    print_out("\n".join(markdown_table(results) if markdown else text_table(results)))
