"""Turns a request into a run that is ready to train: ranks, data, model, folder, in that order."""

import time
from typing import Any

from dream.console import Console
from dream.data.changes import changes_between
from dream.data.sources import Source, open_source
from dream.training import checkpoint, optim, run_log
from dream.training.bundle import TrainingBundle, build_bundle, compile_blocks, obtain_tokenizer
from dream.training.devices import launch
from dream.training.request import TrainingStart, TrainRequest
from dream.training.run_log import RunLog
from dream.training.state import Run, restore


def set_up(request: TrainRequest, start: TrainingStart) -> Run:
    """Sets up ranks, data and model, then the folder: nothing is written until everything fits."""
    fabric = launch(request, start.config)
    rank, train = fabric.global_rank, start.config.train
    log, console = RunLog(request.out, rank), Console(rank == 0)
    source = open_source(start.source, start.config, seed=train.seed, rank=rank, world_size=fabric.world_size)
    facts = {"device": str(fabric.device), "ranks": fabric.world_size, "strategy": type(fabric.strategy).__name__}
    facts |= data_facts(source, request, start, console)
    if start.checkpoint is None and rank > 0:
        fabric.barrier()  # until rank 0 has written the tokenizer
    known = start.checkpoint or (request.out if request.resume or rank > 0 else None)
    tokenizer = obtain_tokenizer(start.config, source, known / "tokenizer" if known else None)
    bundle = build_bundle(start.config, tokenizer)
    if start.checkpoint is None and rank == 0:
        open_run(log, request, start, bundle, facts)
        fabric.barrier()
    bundle.move_frozen(fabric.device)
    if train.compile:
        compile_blocks(bundle.model)
    model = fabric.setup_module(bundle.model)
    optimizers = optim.build_optimizers(bundle.model, train)
    wrapped = [fabric.setup_optimizers(optimizer) for optimizer in optimizers]
    run = Run(fabric, bundle, source, start.source, model, wrapped, optim.Ema(bundle.model, train), log, console)
    if start.checkpoint is not None:
        restore(run, start)
        if rank == 0:
            open_run(log, request, start, bundle, facts)
        fabric.barrier()
    return run


def data_facts(source: Source, request: TrainRequest, start: TrainingStart, console: Console) -> dict[str, Any]:
    """What the run's record keeps of its data; says what is odd about them, and how they changed before a resume."""
    for note in source.notes:
        console.say(note)
    if start.config.objective.contrastive_weight and source.contrast_fault:
        console.say(f"{source.name}: {source.contrast_fault}")
    facts = {"data": source.facts()}
    record = run_log.read_record(request.out) if request.resume else {}
    if record.get("source") != start.source or not (changes := changes_between(record.get("data"), facts["data"])):
        return facts
    console.say(f"the data changed since this training last began: {changes}; what is held out may be another part")
    return {**facts, "data_changed": changes}


def open_run(
    log: run_log.RunLog, request: TrainRequest, start: TrainingStart, bundle: TrainingBundle, facts: dict[str, Any]
) -> None:
    """Creates the run's folder, with `facts` in its record, or adds to its history that the run continues."""
    folder = log.folder
    about = {**facts, "versions": run_log.versions(), "git_commit": run_log.git_commit()}
    if request.resume:
        checkpoint.remove_unfinished(folder)
        moved = [path.name for path in checkpoint.set_aside_after(folder, start.step)] if start.checkpoint else []
        log.record(
            {
                **run_log.read_record(folder),
                "config": bundle.config.to_dict(),
                "source": start.source,
                "data": facts["data"],
            }
        )
        log.event("resumed", step=start.step, set_aside=moved, **about)
        log.drop_rows_after(start.step if start.checkpoint else -1)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        run_log.delete_run(folder)
        log.record(
            {
                "format": 1,
                "preset": request.preset,
                "source": start.source,
                "config": bundle.config.to_dict(),
                "legs": None,
                "parameters": sum(p.numel() for p in bundle.model.parameters()),
                **about,
                "history": [{"time": time.time(), "event": "started"}],
            }
        )
    log.heartbeat("starting", start.step, 0)
    if not (folder / "tokenizer").exists():
        bundle.tokenizer.save(folder / "tokenizer")
