"""`dream bench`: times decoding and training against the published algorithm and a plain matrix product."""

import argparse
import json
import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.commands.options import add_assignments, add_model, require_at_least, require_at_most
from dream.console import Console, print_out
from dream.errors import InputError
from dream.fields import MOST_BLOCKS
from dream.files import replace_text

if TYPE_CHECKING:  # `dream bench --help` answers without torch
    from dream.benchmark.decoding import SelectionTimes, StepSplit
    from dream.benchmark.training import TrainingTimes
    from dream.decoding.settings import DecodeSettings
    from dream.model.dream import Dream

PUBLISHED = ("base", "large", "huge", "giant")
DROPOUT = 0.1
"""The published share, with which a training step is timed."""
MOST_THREADS = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--preset", default="base", help="preset to measure; of a published one, a small copy (default: base)")
    add_model(parser, required=False, note="; measures its decoding instead")
    add("--width", type=int, default=512, help="width of the small copy, a multiple of 64 (default: 512)")
    add("--depth", type=int, default=4, help="depth of the small copy's encoder and decoder (default: 4)")
    add("--full", action="store_true", help="measure a published preset at its full size")
    add("--steps", type=int, help="reveal steps (default: the preset's)")
    add("--sampling-steps", type=int, help="denoising steps per token (default: the preset's)")
    add("--reuse", type=int, default=1, help="steps per decoder pass over all places, in every decode (default: 1)")
    add("--batch", type=int, default=4, help="pictures per training step (default: 4)")
    add("--repeats", type=int, default=3, help="rounds of a few minutes each; the medians are reported (default: 3)")
    add("--threads", type=int, help="CPU threads (default: chosen by torch)")
    add("--choices", action="store_true", help="measure instead what choosing one of 8 costs in CPU time and memory")
    add(
        "--growth",
        action="store_true",
        help="measure instead how time and memory grow with tokens, candidates, pictures and cached samples (minutes)",
    )
    add("--front", action="store_true", help="measure instead in how few steps the --model paints as well as in many")
    add(
        "--data",
        metavar="SRC",
        help="with --front: data with a judge, whose captions are painted (default: the model's)",
    )
    add(
        "--also",
        action="append",
        default=[],
        metavar="MODEL",
        help="with --front: another model, such as a distilled one",
    )
    add_assignments(parser, "front.FIELD=VALUE", "with --front: change its settings, e.g. --set front.count=100")
    add("--reading", action="store_true", help="measure instead how fast a cache is read, next to a file per sample")
    add("--json", type=Path, help="also write the results to this file")


def run(args: argparse.Namespace) -> None:
    """Measures and prints; raises InputError for invalid settings."""
    require_at_least(args, 1, "width", "depth", "batch", "repeats", "threads")
    require_at_most(args, MOST_BLOCKS, "depth")
    require_at_most(args, 100_000, "width", "batch", "repeats")
    if (args.threads or 0) > MOST_THREADS:
        raise InputError(f"--threads must be at most {MOST_THREADS:,}, got {args.threads}")
    if args.width % 64:
        raise InputError(f"--width must be a multiple of 64, got {args.width}")
    if not args.front and (args.assignments or args.also or args.data):
        raise InputError("--set, --also and --data are of --front: add it")
    if args.json and not args.json.parent.is_dir():
        raise InputError(f"--json {args.json}: the folder {args.json.parent} does not exist")
    if args.reading:
        _reading(args)
        return
    if args.front:
        _front(args)
        return
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    if args.growth:
        _growth(args)
        return
    name, model = _model(args)
    settings = _settings(args, model)
    figures: dict[str, Any] = {
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "settings": settings.to_dict(),
    }
    size, cores = f"{figures['parameters'] / 1e6:.1f} million parameters", figures["cores"]
    print(f"{name}: {size}; {figures['threads']} threads, {cores} cores, torch {figures['torch']}")
    if args.choices:
        figures |= _choices(model, settings, args.repeats)
    else:
        figures |= _speed(args, model, settings)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
        print_out(f"wrote {args.json}")


def _speed(args: argparse.Namespace, model: "Dream", settings: "DecodeSettings") -> dict[str, Any]:
    """Measures and prints a decode step, a choice and a training step, each beside the published algorithm's."""
    from dream import published
    from dream.benchmark import decoding, training

    figures: dict[str, Any] = {"matmul": _matmul(model)}
    split = decoding.decode_split(model, settings)
    _print_split(split, figures["matmul"])
    share = f"{published.SELECT_SHARE:.1%} of the steps"
    print(f"decoding with {published.CANDIDATES} candidates, chosen at {share}")
    selection = decoding.selection_times(model, settings, args.repeats, print)
    _print_selection(selection)
    figures |= {"decode_step": asdict(split), "selection": asdict(selection)}
    if _comparable(model):
        print(f"training step of {args.batch} pictures, with dropout {DROPOUT:g}, AdamW and averages, by mask ratio")
        times = training.training_times(model.config, args.batch, args.repeats, print, DROPOUT)
        _print_training(times)
        figures["training"] = asdict(times)
    return figures


def _choices(model: "Dream", settings: "DecodeSettings", repeats: int) -> dict[str, Any]:
    """Measures and prints the price of each kind of choice among candidates, and the memory of one."""
    from dream.benchmark import choices, memory

    count = memory.CANDIDATES
    print(f"choosing one of {count} from {choices.SELECT_AT} on, CPU seconds of one prompt")
    plain, prices = choices.choice_prices(model, settings, count, repeats, print)
    _line("plain decode", plain)
    for each in prices:
        low, high = min(each.ratios), max(each.ratios)
        target = "; target at most 1.3" if each.selection == "once" else ""
        note = f"{each.price:.2f} x plain (rounds {low:.2f} to {high:.2f}{target})"
        _line(f"{each.selection}, after {', '.join(map(str, each.select_steps))} steps", each.seconds, note)
    held = memory.decode_memory(model, settings, count)
    print(f"peak memory beside the {held.weights / 1e6:.1f} MB of weights")
    for name, size in (("plain decode", held.plain), (f"{count} candidates", held.ours), ("published", held.published)):
        print(f"  {name:28}{size / 1e6:8.2f} MB")
    ratios = f"{held.ratio:.2f}, weights included {held.ratio_with_weights:.2f}"
    print(f"  ours over the published {ratios} (target at most 1.0)")
    return {"plain_seconds": plain, "choices": [asdict(each) for each in prices], "memory": asdict(held)}


def _reading(args: argparse.Namespace) -> None:
    """Measures the reading of latents of the preset's shape, in a temporary folder."""
    from dream import presets
    from dream.data.cache.speed import reading_rates

    config = presets.preset(args.preset)
    if config.image.tokenizer == "pixels":
        raise InputError(f"--reading is of caches of a VAE's latents, and {args.preset} trains on pixels: use base")
    with tempfile.TemporaryDirectory(prefix="dream-bench-") as folder:
        rates = reading_rates(config, Path(folder))
    print(f"samples of {rates.sample_bytes / 1024:.1f} KiB, all in memory; opened in {rates.opening:.2f} s")
    print(f"  shuffled batches of a cache {rates.batches:10,.0f} samples/s, {rates.batches / rates.files:.1f} x files")
    print(f"  random rows of a cache      {rates.rows:10,.0f} samples/s, {rates.rows / rates.files:.1f} x files")
    print(f"  one .npz per sample         {rates.files:10,.0f} samples/s")
    if args.json:
        args.json.write_text(json.dumps(rates._asdict(), indent=1) + "\n")


def _growth(args: argparse.Namespace) -> None:
    """Measures how time and memory grow, and prints a line per axis."""
    from dream.benchmark.growth import growth

    console = Console(True)
    found = growth(console.progress, args.repeats)
    console.say("")
    for each in found:
        print(f"{each.axis}: {', '.join(f'{size:,}' for size in each.sizes)}")
        for what, values, own, (low, high) in (
            ("CPU seconds", [f"{value:.3g}" for value in each.seconds], each.time_exponent, each.expected_time),
            ("peak MB", [f"{value / 1e6:.3g}" for value in each.bytes], each.memory_exponent, each.expected_memory),
        ):
            beyond = "" if low <= own <= high else "  <- not as expected"
            print(f"  {what:12}{', '.join(values)}: exponent {own:.2f} (expected {low:g} to {high:g}){beyond}")
    if args.json:
        rows = [
            asdict(each) | {"time_exponent": each.time_exponent, "memory_exponent": each.memory_exponent}
            for each in found
        ]
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
        print_out(f"wrote {args.json}")


def _front(args: argparse.Namespace) -> None:
    """Measures the task `front` of a model, prints a line per row of settings, and says which to paint with."""
    from dream.evaluation.painted.front import FASTER, FrontSettings
    from dream.evaluation.statistics import Measure
    from dream.overrides import assign
    from dream.pretrained import load_pretrained
    from dream.training.checkpoint import read_state

    if not args.model:
        raise InputError("--front paints with a trained model: give --model")
    pretrained, console = load_pretrained(args.model), Console(True)
    data = args.data or read_state(pretrained.path).source
    settings: FrontSettings = assign(
        {"front": FrontSettings()}, args.assignments, "front.FIELD=VALUE", "front.count=100"
    )["front"]
    measures = replace(settings, also=(*settings.also, *args.also)).measure(
        pretrained, data, progress=lambda done, text: console.progress(f"{done:.0%}  {text}")
    )
    rows: dict[tuple[int, int, str], list[Measure]] = {}
    for measure in measures:
        words = " ".join(measure.where[name] for name in ("way", "model") if measure.where.get(name))
        rows.setdefault((measure.where["steps"], measure.where["sampling_steps"], words), []).append(measure)
    for (steps, sampling_steps, way), own in rows.items():
        found = {each.name: each.estimate for each in own}
        words = ", ".join(f"{name} {estimate}" for name, estimate in found.items() if name != FASTER)
        chosen = "  <- paint with these" * any(each.where.get("chosen", False) for each in own)
        best = f" best of {settings.candidates}" if settings.candidates > 1 else ""
        how = (f" {way}" if way else "") + best
        faster = found[FASTER].value
        print(f"{steps:3} steps, {sampling_steps:3} denoising{how}: {faster:5.2f} x as fast; {words}{chosen}")
    if args.json:
        trees = [measure.to_dict() for measure in measures]
        replace_text(args.json, json.dumps(trees, indent=1, allow_nan=False) + "\n")
        print_out(f"wrote {args.json}")


def _model(args: argparse.Namespace) -> "tuple[str, Dream]":
    from dream import presets
    from dream.benchmark import decoding

    if args.model:
        from dream.pretrained import load_pretrained

        return str(args.model), load_pretrained(args.model).model
    name, config = args.preset, presets.preset(args.preset)
    if name in PUBLISHED and not args.full:
        config = decoding.small_copy(config, args.width, args.depth)
        name = f"a small copy of {name} (width {args.width}, depth {args.depth})"
    return name, decoding.random_model(config)


def _settings(args: argparse.Namespace, model: "Dream") -> Any:
    from dream.decoding.settings import DecodeSettings

    given = {"steps": args.steps, "sampling_steps": args.sampling_steps}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = DecodeSettings.of(model.config.decode, **changes, reuse=args.reuse)
    if settings.steps < 2:
        raise InputError(f"--steps must be at least 2 to compare candidates between steps, got {settings.steps}")
    return settings


def _comparable(model: "Dream") -> bool:
    """Whether the published training step exists for this configuration."""
    c = model.config
    return not (c.objective.distinct_negatives or c.joint.positional_text or c.joint.max_logit_scale) and (
        c.objective.contrastive_weight > 0 and c.objective.generative_weight > 0 and not c.objective.alignment_weight
    )


def _matmul(model: "Dream") -> dict[str, float]:
    """FLOP/s of plain products at width 512 and at the model's widths."""
    from dream.benchmark.timing import matmul_rate

    c = model.config
    widths = sorted({512, c.encoder.width, c.decoder.width, c.head.width, c.text.width})
    rates = {str(width): matmul_rate(width) for width in widths}
    parts = ", ".join(f"{rate / 1e9:.0f} at width {width}" for width, rate in rates.items())
    print(f"plain float32 matrix product, GFLOP/s: {parts}")
    return rates


def _print_split(split: "StepSplit", matmul: dict[str, float]) -> None:
    print(f"a decode step of one prompt: {1000 * split.total_seconds:.0f} ms (mean of {split.steps})")
    for part, seconds in split.seconds.items():
        flop = split.flop.get(part)
        rate = f", {flop / seconds / 1e9:.0f} GFLOP/s" if flop and seconds else ""
        print(f"  {part:8}{1000 * seconds:8.1f} ms  {seconds / split.total_seconds:5.0%}{rate}")
    share = split.rate / matmul["512"]
    print(f"  together {split.rate / 1e9:.0f} GFLOP/s, {share:.2f} of the product at width 512")


def _print_selection(times: "SelectionTimes") -> None:
    _line("plain decode of one prompt", times.plain)
    _line("with candidates", times.ours, f"{times.price:.2f} x plain (target at most 1.4)")
    _line("as published", times.published, f"{times.saving:.2f} x ours (target at least 1.6)")
    print(f"  largest relative difference of the two results {times.largest_difference:.1e}")


def _print_training(times: "TrainingTimes") -> None:
    low, high = min(times.savings), max(times.savings)
    print("  mean over the masking schedule, CPU seconds:")
    _line("ours", times.ours)
    spread = f" (rounds {low:.2f} to {high:.2f}; target at least 2.3)"
    _line("as published", times.published, f"{times.saving:.2f} x ours{spread}")
    losses, gradients = times.loss_difference, times.gradient_difference
    print(f"  relative differences: losses {losses:.1e}, gradients {gradients:.1e}")
    rate, share = times.flop / times.ours / 1e9, times.utilisation
    print(f"  matrix work {rate:.0f} GFLOP/s, {share:.2f} of a plain product (target at least 0.75)")


def _line(what: str, seconds: float, note: str = "") -> None:
    print(f"  {what:28}{seconds:8.2f} s   {note}".rstrip())
