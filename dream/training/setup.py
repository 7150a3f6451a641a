"""Turns a request into a run that is ready to train: ranks, claim, data, model, folder, in that order."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from dream.console import Console
from dream.data.cache.source import CachedSource
from dream.data.changes import changes_between
from dream.data.report import LAYOUT_KINDS
from dream.data.sources import Source, open_source
from dream.training import checkpoint, optim, run_log
from dream.training.bundle import TrainingBundle, build_bundle, compile_blocks, obtain_tokenizer
from dream.training.claim import Claim, check_not_held, take_claim
from dream.training.devices import Fabric, launch
from dream.training.frozen import check_cache
from dream.training.loggers import Mirrors
from dream.training.request import TrainingStart, TrainRequest, check_train_request, find_start
from dream.training.run_log import RunLog, training_by_heartbeat
from dream.training.state import Run, restore


@contextmanager
def claimed(fabric: Fabric, request: TrainRequest) -> Iterator[tuple[TrainingStart, Claim | None]]:
    """Holds the claim of the run's folder while the block runs; gives the start that was found under it.

    Rank 0 claims for all ranks and alone looks at the folder, so that none of them finds the claim of its own training;
    the others get None. Raises InputError on every rank if the folder is held or does not fit the request.
    """
    with ExitStack() as held:
        claims: list[Claim] = []

        def begin() -> TrainingStart:
            check_train_request(request)  # what is refused anyway should not touch the folder
            claim = held.enter_context(take_claim(request.out))
            claims.append(claim)
            for holder in claim.replaced:
                Console(True).say(f"{request.out} was claimed {holder.words}, which is silent: taking over")
            if not claim.replaced:  # perhaps a training of a version that made no claims
                check_not_held(request.out, training_by_heartbeat(request.out))
            checkpoint.remove_unfinished(request.out)  # here, since a training that had ended begins no more
            return find_start(request)

        yield launch(fabric, begin), claims[0] if claims else None


def set_up(fabric: Fabric, request: TrainRequest, start: TrainingStart, claim: Claim | None = None) -> Run:
    """Sets up data and model, then the folder: nothing is written until everything fits."""
    rank, train = fabric.global_rank, start.config.train
    log, console = RunLog(request.out, rank, claim), Console(rank == 0)
    ranks = fabric.world_size
    source = open_source(start.source, start.config, seed=train.seed, rank=rank, world_size=ranks, cached=True)
    for kind, place, name, detail in source.report.problems():
        if kind in LAYOUT_KINDS:
            console.say(f"{place}: {kind}: {name}: {detail}")
    facts = {"device": str(fabric.device), "ranks": fabric.world_size, "strategy": type(fabric.strategy).__name__}
    facts |= data_facts(source, request, start, console)
    if start.checkpoint is None and rank > 0:
        fabric.barrier()  # until rank 0 has written the tokenizer
    model_of = start.weights.folder if start.weights else None
    known = start.checkpoint or model_of or (request.out if start.resumed or rank > 0 else None)
    tokenizer = obtain_tokenizer(start.config, source, known / "tokenizer" if known else None)
    bundle = build_bundle(start.config, tokenizer)
    if isinstance(source, CachedSource):
        check_cache(source.about, bundle)
    if start.weights is not None:
        start.weights.copy_to(bundle.model)
        if start.weights.words:
            console.say(start.weights.words)
    if start.checkpoint is None and rank == 0:
        open_run(log, request, start, bundle, facts)
        fabric.barrier()
    if rank == 0 and request.loggers:
        log.mirrors = Mirrors(request.loggers, request.out, bundle.config, console)
    bundle.move_frozen(fabric.device)
    if train.compile:
        compile_blocks(bundle.model)
    model = fabric.setup_module(bundle.model)
    model.mark_forward_method("contrast_rows")
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
    record = run_log.read_record(request.out) if start.resumed else {}
    if record.get("source") != start.source or not (changes := changes_between(record.get("data"), facts["data"])):
        return facts
    console.say(f"the data changed since this training last began: {changes}; what is held out may be another part")
    return {**facts, "data_changed": changes}


def open_run(
    log: run_log.RunLog, request: TrainRequest, start: TrainingStart, bundle: TrainingBundle, facts: dict[str, Any]
) -> None:
    """Creates the run's folder, with `facts` in its record, or adds to its history that the run continues."""
    log.check_claim()
    folder = log.folder
    about = {**facts, "versions": run_log.versions(), "git_commit": run_log.git_commit()}
    checkpoint.remove_unfinished(folder)
    if start.resumed:
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
        if damaged := log.set_aside_rows_after(start.step if start.checkpoint else -1):
            place = folder / run_log.METRICS
            Console(True).say(f"{place} has {damaged} damaged line{'s' * (damaged > 1)}, left as found")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        run_log.delete_run(folder)
        log.record(
            {
                "format": 1,
                "preset": request.preset,
                "source": start.source,
                "config": bundle.config.to_dict(),
                "start_from": None if start.weights is None else str(start.weights.folder),
                "legs": None,
                "parameters": sum(p.numel() for p in bundle.model.parameters()),
                **about,
                "history": [{"time": time.time(), "event": "started"}],
            }
        )
    log.heartbeat("starting", start.step, 0)
    if not (folder / "tokenizer").exists():
        bundle.tokenizer.save(folder / "tokenizer")
