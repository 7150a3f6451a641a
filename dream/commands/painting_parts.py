"""A folder of pictures painted in batches, by any number of processes, that goes on after a stop.

A batch holds the same prompts whatever the number of processes, and each has one painter, so that the pictures are
those of a single process to the bit. What is in the folder already is not painted again.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from dream.commands.painted_files import picture_name, write_pictures
from dream.commands.painting import PaintJob, paint_job
from dream.console import Console, counted
from dream.decoding import pictures
from dream.errors import InputError
from dream.json_text import format_json, parse_json
from dream.training.launchers import WorkShare, parse_part, rank_of_world


def share_of_painting(args: argparse.Namespace) -> WorkShare | None:
    """This process's share of the batches, if a folder is painted in parts; None for a decode in one piece.

    Raises InputError for `--part` and `--resume` with anything but a folder.
    """
    number, workers = parse_part(args.part) if args.part else rank_of_world()
    if workers == 1 and not args.part and not args.resume:
        return None
    if args.out.suffix or args.record:
        raise InputError("--part, --resume and several processes paint a folder: give --out FOLDER and no --record")
    if args.overwrite:
        raise InputError("--overwrite deletes what other processes have painted: choose another --out")
    return WorkShare(number, workers)


@dataclass(frozen=True)
class _Batch:
    """Consecutive pictures of a plan."""

    first: int
    job: PaintJob


def paint_parts(job: PaintJob, out: Path, share: WorkShare) -> int:
    """Paints this process's batches into the folder `out`, but those that are there; returns how many pictures it has.

    Raises InputError if the folder has pictures of other settings.
    """
    console, painted, found = Console(True), 0, 0
    batches = list(_batches(job))
    for number in range(share.number, len(batches), share.workers):
        batch = batches[number]
        if _is_there(job, batch, out):
            found += len(batch.job.plan.prompts)
            continue
        gallery = paint_job(batch.job, every_step=False, record=None, overwrite=False)
        write_pictures(batch.job, gallery, out, first=batch.first, total=len(job.plan.prompts))
        painted += len(batch.job.plan.prompts)
        console.say(f"batch {number + 1} of {len(batches)} is in {out}")
    console.say(f"painted {counted(painted, 'picture')}; {found:,} were there already")
    return painted


def _batches(job: PaintJob) -> "list[_Batch]":
    plan, size = job.plan, job.plan.batch_size
    return [
        _Batch(
            first,
            replace(
                job,
                plan=replace(
                    plan, prompts=plan.prompts[first : first + size], picture_ids=plan.picture_ids[first : first + size]
                ),
            ),
        )
        for first in range(0, len(plan.prompts), size)
    ]


def _is_there(job: PaintJob, batch: _Batch, out: Path) -> bool:
    """Whether all pictures of a batch are in the folder. Raises InputError for pictures of other settings."""
    wanted, total = parse_json(format_json(job.about())), len(job.plan.prompts)  # as a file gives it back
    for offset, prompt in enumerate(batch.job.plan.prompts):
        stem = picture_name(batch.first + offset, prompt, total)
        files = list(out.glob(f"{stem.split('-', 1)[0]}-*-c*.png"))
        if not files:
            return False
        for file in files:
            about = pictures.read_about(file)
            same = all(about.get(name) == wanted[name] for name in ("seed", "settings", "model_id"))
            if not same or about.get("prompt") != prompt:
                raise InputError(
                    f"{file} was painted with another model, other settings or another list of prompts: choose another "
                    "--out, or delete it"
                )
    return True
