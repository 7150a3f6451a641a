"""Compares joint and single objectives at an equal budget: `python -m workbench.comparison --help`.

Trains every variant with several seeds, evaluates all runs, and writes the means over seeds as a table and as figures.

Equal budget means the same wall-clock minutes (`--minutes`, the default) on the same number of threads, so that an
expensive step counts against its method; a run converts its minutes into steps itself. With `--steps` every run has
the same number of optimiser steps and pictures, whatever they cost. Model size, data, optimiser, evaluation and its
seed are the same for all; the differences are listed in `variants.VARIANTS`. Runs that share a machine (`--jobs`)
slow each other down equally as long as the same number runs side by side. The last runs of a queue would run alone
and get more steps from their minutes, so choose a number of runs that `--jobs` divides.

A comparison can be stopped and started again: finished runs and results are kept, stopped runs continue. Every world
has a comparison of its own: `--data emoji --preset emoji --beside results/comparison` writes into comparison-emoji,
and a table with the results of both.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dream.__main__ import CommandParser
from dream.commands.options import SOURCE_FORMS
from dream.console import Console, duration
from dream.data.emoji.corpus import SOURCE, is_emoji, open_emoji
from dream.errors import InputError, RunError
from dream.evaluation.results import Results, read_folder, read_results, results_path, write_results
from dream.evaluation.table import markdown_table
from dream.evaluation.tasks import named_tasks
from dream.exit_codes import exit_code
from dream.files import check_writable, replace_text
from dream.json_text import read_json_object
from dream.presets import SIZES
from dream.training import run_log
from dream.training.claim import check_not_held
from workbench.figures.by_ratio import plot_by_mask_ratio
from workbench.figures.paper import plot_paper_beside
from workbench.figures.selection import plot_selection
from workbench.figures.side_by_side import plot_comparison
from workbench.jobs.side_by_side import Command, Running, cores, last_log_line, run_side_by_side
from workbench.means import mean_over_seeds
from workbench.variants import MAIN, VARIANTS, ComparisonPlan, slug


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `python -m workbench.comparison`."""
    return exit_code(
        "comparison",
        lambda: run_comparison(*_parsed(argv), Console(True)),
        interrupted="stopped; run the same command again to continue",
    )


def run_comparison(plan: ComparisonPlan, jobs: int, threads: int, console: Console) -> None:
    """Trains and evaluates what is missing, and writes the table and the figures.

    Raises InputError for a plan that does not match the existing runs, RunError for runs that failed.
    """
    _check(plan)
    _train(plan, jobs, threads, console)
    _evaluate(plan, jobs, threads, console)
    written = write_report(plan, threads)
    console.say("wrote " + ", ".join(map(str, written)))


# training


def _train(plan: ComparisonPlan, jobs: int, threads: int, console: Console) -> None:
    due = [member for member in plan.members() if not _finished(plan.folder(*member))]
    commands = {_name(*member): _training(plan, *member) for member in due}
    done, whole = len(plan.members()) - len(due), len(plan.members())
    folders = {_name(*member): plan.folder(*member) for member in due}

    def show(waiting: Sequence[Command], running: Sequence[Running]) -> None:
        ended = whole - len(waiting) - len(running)
        left = _seconds_left(plan, len(waiting), [(each, folders[each.command.name]) for each in running], jobs)
        words = ", ".join(f"{each.command.name} {_share(folders[each.command.name]):.0%}" for each in running)
        text = f"training: {ended} of {whole} runs done; {words}"
        console.progress(text + (f"; {duration(left)} left" if left is not None else ""))

    if done:
        console.say(f"training: {done} of {whole} runs are already finished")
    run_side_by_side(list(commands.values()), jobs, threads, show)
    failed = [command for name, command in commands.items() if not _finished(folders[name])]
    if failed:
        raise RunError(
            f"{len(failed)} of {whole} runs failed; the last line of {failed[0].name} is '{last_log_line(failed[0])}' "
            f"(log: {failed[0].log}); run the same command to try again"
        )
    console.say(f"training: {whole} of {whole} runs done")


def _training(plan: ComparisonPlan, variant: str, seed: int) -> Command:
    """Returns the command that trains a run, or continues it."""
    folder, what = plan.folder(variant, seed), VARIANTS[variant]
    log = folder.parent / f"{folder.name}.log"
    if run_log.holds_run(folder):
        return Command(_name(variant, seed), ["train", "--out", str(folder), "--resume"], log)
    budget = ["--minutes", f"{plan.minutes:g}"] if plan.steps is None else ["--steps", str(plan.steps)]
    settings = [*plan.assignments, *what.assignments]
    arguments = [
        "train",
        "--preset",
        plan.preset,
        "--objective",
        what.objective,
        "--data",
        plan.data,
        *budget,
        "--seed",
        str(seed),
        "--out",
        str(folder),
        *(["--set", *settings] if settings else []),
    ]
    return Command(_name(variant, seed), arguments, log)


def _finished(folder: Path) -> bool:
    beat = run_log.read_heartbeat(folder) if run_log.holds_run(folder) else None
    return beat is not None and beat.status == "finished"


def _share(folder: Path) -> float:
    beat = run_log.read_heartbeat(folder)
    return beat.step / beat.end if beat and beat.end else 0.0


def _seconds_left(
    plan: ComparisonPlan, waiting: int, running: Sequence[tuple[Running, Path]], jobs: int
) -> float | None:
    """Returns the estimated time until all runs end; None while the duration of a run is unknown."""
    durations = [60 * plan.minutes] if plan.steps is None and plan.minutes else []
    lefts: list[float | None] = []
    for each, folder in running:
        beat, spent = run_log.read_heartbeat(folder), time.monotonic() - each.started
        reported = beat.seconds_left if beat and beat.status == "running" else None
        durations += [] if reported is None else [spent + reported]
        lefts.append(reported if reported is not None or not durations else max(0.0, durations[0] - spent))
    if None in lefts or (waiting and not durations):
        return None
    whole = sum(left for left in lefts if left is not None) + (waiting * durations[0] if waiting else 0.0)
    return whole / max(1, min(jobs, waiting + len(running)))


# evaluation


def _evaluate(plan: ComparisonPlan, jobs: int, threads: int, console: Console) -> None:
    commands = [_evaluation(plan, *member) for member in plan.members()]
    begin = time.monotonic()

    def show(waiting: Sequence[Command], running: Sequence[Running]) -> None:
        ended = len(commands) - len(waiting) - len(running)
        pace = (time.monotonic() - begin) / ended if ended else None
        left = f"; {duration(pace * (len(commands) - ended))} left" if pace else ""
        words = "; ".join(last_log_line(each.command)[:60] for each in running)
        console.progress(f"evaluation: {ended} of {len(commands)} runs done{left}; {words}")

    failed = run_side_by_side(commands, jobs, threads, show)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(commands)} evaluations failed; the last line of {failed[0].name} is "
            f"'{last_log_line(failed[0])}' (log: {failed[0].log}); run the same command to try again"
        )
    console.say(f"evaluation: {len(commands)} of {len(commands)} runs done")


def _evaluation(plan: ComparisonPlan, variant: str, seed: int) -> Command:
    name = _name(variant, seed)
    arguments = [
        "evaluate",
        "--model",
        f"{name}={plan.folder(variant, seed)}",
        "--tasks",
        plan.tasks,
        "--data",
        plan.data,
        "--out",
        str(plan.out),
        *(["--set", *plan.task_settings] if plan.task_settings else []),
    ]
    return Command(name, arguments, plan.out / "logs" / f"{name}.log")


# report


def write_report(plan: ComparisonPlan, threads: int) -> list[Path]:
    """Writes means over seeds as results, a Markdown table and HTML figures; returns the paths of table and figures."""
    results = []
    for variant in plan.variants:
        runs = [read_results(results_path(plan.out, _name(variant, seed))) for seed in plan.seeds]
        results.append(mean_over_seeds(variant, str(plan.folder(variant, 0).parent), runs))
    means = plan.out / "means"
    for result in results:
        write_results(means, replace(result, name=slug(result.name)))
    table = plan.out / "table.md"
    replace_text(table, "\n".join([*_preface(plan, threads), *markdown_table(results)]))
    written = [table]
    if plan.beside is not None:
        both = plan.out / "both.md"
        replace_text(both, "\n".join([*_preface(plan, threads), *markdown_table(_with_those(plan.beside, results))]))
        written.append(both)
    for name, plot in (
        ("models", plot_comparison),
        ("mask-ratio", plot_by_mask_ratio),
        ("selection", plot_selection),
        ("paper", plot_paper_beside),
    ):
        path = plan.out / f"{name}.html"
        replace_text(path, plot(results).to_html(include_plotlyjs=True))
        written.append(path)
    return written


def _with_those(folder: Path, results: Sequence[Results]) -> list[Results]:
    """Returns the results of each variant after those of another comparison, which come first.

    Raises InputError if the folder holds no comparison.
    """
    others = {each.name: each.entries for each in _means_in(folder)}
    return [replace(each, entries=(*others.get(slug(each.name), ()), *each.entries)) for each in results]


def _means_in(folder: Path) -> list[Results]:
    if not (folder / "means").is_dir():
        raise InputError(f"--beside {folder} holds no comparison: give the --out of one that is finished")
    return read_folder(folder / "means")


def _preface(plan: ComparisonPlan, threads: int) -> list[str]:
    one = len(plan.seeds) == 1
    spread = "of one seed, with its own intervals" if one else f"over seeds {', '.join(map(str, plan.seeds))}"
    lines = [
        "# Joint and single objectives at an equal budget",
        "",
        f"Every run: preset {plan.preset} on {plan.data}, {plan.budget} with {threads} threads"
        + (f", {' '.join(plan.assignments)}" if plan.assignments else "")
        + f". Numbers are means {spread}"
        + ("." if one else ", with the 95 % interval of Student's t."),
        "",
        "| variant | objective | settings | steps |",
        "| --- | --- | --- | ---: |",
    ]
    for name in plan.variants:
        beats = [run_log.read_heartbeat(plan.folder(name, seed)) for seed in plan.seeds]
        steps = ", ".join(f"{beat.step:,}" for beat in beats if beat)
        lines.append(f"| {name} | {VARIANTS[name].objective} | {' '.join(VARIANTS[name].assignments)} | {steps} |")
    return [*lines, ""]


# the plan


def _name(variant: str, seed: int) -> str:
    return f"{slug(variant)}-{seed}"


def _check(plan: ComparisonPlan) -> None:
    """Raises InputError if the folder holds runs of another plan, or a folder cannot be written."""
    check_writable(plan.runs, "--runs")
    check_writable(plan.out)
    if plan.beside is not None:
        _means_in(plan.beside)
    if is_emoji(plan.data):
        open_emoji(plan.data)
    path = plan.runs / "plan.json"
    ours = {
        "preset": plan.preset,
        "data": plan.data,
        "minutes": plan.minutes,
        "steps": plan.steps,
        "assignments": list(plan.assignments),
    }
    if path.exists():
        theirs = read_json_object(path)
        if changed := [key for key in ours if theirs.get(key) != ours[key]]:
            raise InputError(
                f"{plan.runs} holds runs of another plan (their {changed[0]} is {theirs.get(changed[0])}, "
                f"this one's {ours[changed[0]]}): choose another --runs and --out"
            )
    for variant, seed in plan.members():
        folder = plan.folder(variant, seed)
        check_not_held(folder, run_log.find_training(folder), "--runs")
    plan.runs.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(ours, indent=1) + "\n")


def _parsed(argv: Sequence[str] | None) -> tuple[ComparisonPlan, int, int]:
    parser = CommandParser(
        prog="python -m workbench.comparison", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = "\n".join(f"  {name:<26}{v.objective} {' '.join(v.assignments)}" for name, v in VARIANTS.items())
    parser.epilog = f"variants:\n{known}"
    add, plan = parser.add_argument, ComparisonPlan()
    add(
        "--variants",
        default=";".join(MAIN),
        help=f"some of the variants, separated by ';', or all (default: the first {len(MAIN)})",
    )
    add("--seeds", default="0,1,2", help="comma-separated (default: 0,1,2)")
    add("--preset", default=plan.preset, choices=tuple(SIZES), help="size of the model (default: tiny)")
    add("--data", metavar="SRC", help=f"{SOURCE_FORMS} (default: {SOURCE} for preset {SOURCE}, else {plan.data})")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help=f"minutes of training per run (default: {plan.minutes:g})")
    budget.add_argument("--steps", type=int, help="optimiser steps per run, instead of minutes")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        dest="assignments",
        metavar="section.key=value",
        help="change settings of every run",
    )
    add("--tasks", default=plan.tasks, help="tasks of the evaluation, as in dream evaluate (default: all)")
    add(
        "--set-task",
        nargs="+",
        action="extend",
        default=[],
        dest="task_settings",
        metavar="TASK.FIELD=VALUE",
        help="change settings of tasks",
    )
    add("--runs", type=Path, help=f"folder of the runs (default: {plan.runs}, of emoji {plan.runs}-{SOURCE})")
    out = f"folder of results, table and figures (default: {plan.out}, of emoji {plan.out}-{SOURCE})"
    add("--out", type=Path, help=out)
    add("--beside", type=Path, metavar="FOLDER", help="--out of another comparison: both.md has the results of both")
    add("--jobs", type=int, default=1, help="runs side by side (default: 1)")
    add("--threads", type=int, help="threads per run (default: all cores divided by --jobs)")
    return _plan(parser.parse_all(list(sys.argv[1:] if argv is None else argv)))


def _plan(args: argparse.Namespace) -> tuple[ComparisonPlan, int, int]:
    text = ";".join(VARIANTS) if args.variants.strip() == "all" else args.variants
    variants = tuple(dict.fromkeys(name.strip() for name in text.split(";") if name.strip()))
    if unknown := [name for name in variants if name not in VARIANTS]:
        raise InputError(f"unknown variant '{unknown[0]}'; known are {'; '.join(VARIANTS)}")
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in args.seeds.split(",")))
    except ValueError:
        raise InputError(f"--seeds must be whole numbers, comma-separated, got '{args.seeds}'") from None
    threads = args.threads or max(1, cores() // max(1, args.jobs))
    numbers = {"jobs": args.jobs, "threads": threads, "minutes": args.minutes, "steps": args.steps}
    for name, value in numbers.items():
        if value is not None and value <= 0:
            raise InputError(f"--{name} must be above 0, got {value:g}")
    if not variants or min(seeds) < 0:
        raise InputError("a comparison needs at least one variant, and seeds of at least 0")
    data = args.data or (SOURCE if args.preset == SOURCE else ComparisonPlan().data)
    apart = f"-{SOURCE}" if is_emoji(data) else ""
    named_tasks(args.tasks, [data])
    minutes = None if args.steps else args.minutes or ComparisonPlan().minutes
    plan = ComparisonPlan(
        variants,
        seeds,
        args.preset,
        data,
        minutes,
        args.steps,
        tuple(args.assignments),
        args.tasks,
        tuple(args.task_settings),
        args.runs or Path(f"{ComparisonPlan().runs}{apart}"),
        args.out or Path(f"{ComparisonPlan().out}{apart}"),
        args.beside,
    )
    return plan, args.jobs, threads


if __name__ == "__main__":
    sys.exit(main())
