"""`dream plan`: what a training will need, before it starts: memory, arithmetic, hours, energy, disk."""

import argparse
import re
from typing import TYPE_CHECKING

from dream.commands import options
from dream.config import DreamConfig
from dream.console import duration, print_out
from dream.errors import InputError
from dream.forecast.words import bytes_words
from dream.overrides import override
from dream.presets import OBJECTIVES, SIZES, preset

if TYPE_CHECKING:  # `dream plan --help` must not import torch
    from dream.forecast.training import Forecast, PlanSetting

_FACTORS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add = parser.add_argument
    add("--preset", default="base", metavar="NAME", help=f"{', '.join(SIZES)} (default: base)")
    add("--objective", default="dream", metavar="NAME", help=f"{', '.join(OBJECTIVES)} (default: dream)")
    add("--devices", type=int, default=1, metavar="N", help="number of GPUs, over all machines (default: 1)")
    add("--gpu", default="h100", metavar="NAME", help="h100 (default), a100, ..., or its rate, e.g. 420tflops")
    add("--data", default="11M", metavar="N", help="number of pictures, e.g. 11M, or a source, which is counted")
    add("--epochs", type=float, metavar="E", help="passes through the data (default: the preset's, or 48)")
    add("--steps", type=int, metavar="N", help="optimiser steps, instead of --epochs")
    add("--strategy", default="ddp", metavar="NAME", help="ddp (default) or fsdp")
    add("--cached", action="store_true", help="latents come from a cache of `dream cache`")
    add("--precision", default="bf16-mixed", metavar="P", help="bf16-mixed (default) or 32-true")
    add("--utilisation", type=float, metavar="U", help="share of the peak rate that is reached (default: 0.35)")
    options.add_assignments(parser, "section.key=value", "change any setting, e.g. --set train.accumulate=2")


def run(args: argparse.Namespace) -> None:
    """Prints the forecast; raises InputError for settings that do not fit."""
    options.require_at_least(args, 1, "devices", "steps")
    if args.strategy not in ("ddp", "fsdp"):
        raise InputError(f"--strategy must be ddp or fsdp, got '{args.strategy}'")
    if args.epochs is not None and not 0 < args.epochs < 1e6:
        raise InputError(f"--epochs must be above 0, got {args.epochs:g}")
    if args.utilisation is not None and not 0 < args.utilisation <= 1:
        raise InputError(f"--utilisation must be in (0, 1], got {args.utilisation:g}")
    from dream.forecast.machines import machine_of
    from dream.forecast.training import UTILISATION, PlanSetting, forecast

    steps = "null" if args.steps is None else args.steps
    changes = [f"train.precision={args.precision}", f"train.steps={steps}", *args.assignments]
    config = override(preset(args.preset, args.objective), changes)
    setting = PlanSetting(
        machine=machine_of(args.gpu),
        devices=args.devices,
        pictures=_pictures(args.data, config),
        epochs=args.epochs or config.train.epochs or 48.0,
        sharded=args.strategy == "fsdp",
        cached=args.cached,
        utilisation=args.utilisation or UTILISATION,
    )
    print_out("\n".join(_lines(args, config, setting, forecast(config, setting))))


def _lines(args: argparse.Namespace, config: DreamConfig, setting: "PlanSetting", plan: "Forecast") -> list[str]:
    machine, train = setting.machine, config.train
    fits = plan.device_bytes <= 0.92 * machine.memory
    parts, batch = plan.parts, train.batch_size
    named = {
        "encoder": parts.encoder,
        "decoder": parts.decoder + parts.aligner,
        "head": parts.head,
        "text tower": parts.text_tower + parts.joint,
    }
    shares = [f"{name} {batch * work.flops / plan.step_flops:.0%}" for name, work in named.items()]
    shares.append(f"VAE and T5 {batch * plan.frozen_flops / plan.step_flops:.0%}")
    energy = f", {plan.kilowatt_hours:,.0f} kWh of the boards" if machine.watts else ""
    lines = [
        f"{args.preset}: {plan.parameters / 1e6:,.0f} million parameters, {setting.devices} x {machine.name}, "
        f"{args.strategy}, {train.precision}, {batch // setting.devices // train.accumulate} pictures at a time",
        f"  steps        {plan.steps:,} of {batch:,} pictures",
        f"  arithmetic   {plan.step_flops / 1e12:,.1f} TFLOP a step: {', '.join(shares)}",
        f"  time         {_hours(plan.seconds)} at {setting.utilisation:.0%} of the peak rate, "
        f"{plan.step_seconds:.2f} s a step, {batch / plan.step_seconds:,.0f} pictures/s{energy}",
        f"  device       {bytes_words(plan.device_bytes)}: {_sizes(plan.device)}",
        f"  host         {bytes_words(sum(plan.host.values()))} for each device: {_sizes(plan.host)}",
        f"  checkpoint   {bytes_words(plan.checkpoint)}, {bytes_words(plan.kept)} kept; saved every "
        f"{plan.save_minutes:.2g} min it takes 3 % of the time on a disk of 1 GB/s (train.save_every)",
    ]
    if plan.cache:
        lines.append(f"  cache        {bytes_words(plan.cache)} of moments and ids (dream cache)")
    if not fits:
        lines.append(f"  it does not fit into {bytes_words(machine.memory)}: {_remedy(config, setting)}")
    return lines


def _remedy(config: DreamConfig, setting: "PlanSetting") -> str:
    """The first change of settings with which the training fits."""
    from dataclasses import replace

    from dream.forecast.training import forecast

    share, train = config.train.batch_size // setting.devices, config.train
    for sharded in dict.fromkeys((setting.sharded, True)):
        for recompute in (False, True):
            for accumulate in (n for n in range(train.accumulate, share + 1) if share % n == 0):
                changed = replace(train, accumulate=accumulate, checkpoint_gradients=recompute)
                plan = forecast(replace(config, train=changed), replace(setting, sharded=sharded))
                if plan.device_bytes <= 0.92 * setting.machine.memory:
                    words = [f"train.accumulate={accumulate}"] if accumulate > 1 else []
                    words += ["train.checkpoint_gradients=true"] if recompute else []
                    strategy = " --strategy fsdp" if sharded and not setting.sharded else ""
                    return f"it would with --set {' '.join(words)}{strategy}" if words else f"it would with{strategy}"
    return "take more devices or larger ones"


def _pictures(text: str, config: DreamConfig) -> float:
    """A number of pictures, as it is written or counted in a source."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmb]?)", text.strip().lower()):
        count = float(match[1]) * _FACTORS[match[2]]
        if count < 1:
            raise InputError(f"--data must be at least 1 picture, got {text}")
        return count
    from dream.data.report import DataReport
    from dream.data.sources import open_corpora

    if text == "shapes":
        raise InputError("'shapes' has no end: say how many pictures the training is to see, e.g. --data 1M")
    corpus = open_corpora(text, config)["train"]
    return float(sum(sum(1 for _ in corpus.rows(shard, 0, DataReport())) for shard in range(len(corpus.shards))))


def _sizes(kinds: dict[str, float]) -> str:
    return ", ".join(f"{kind} {bytes_words(size)}" for kind, size in kinds.items())


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 36000 else duration(seconds)
