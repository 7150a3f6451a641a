"""`dream decode`: prompts into a sheet, a folder of pictures or an animated trajectory, with a choice among
candidates.
"""

import argparse
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.errors import InputError
from dream.files import check_writable

if TYPE_CHECKING:  # `dream decode --help` answers without torch
    from dream.config import DreamConfig
    from dream.decoding.gallery import Gallery
    from dream.decoding.selection import DecodeSettings
    from dream.decoding.state import Given, StepRecord
    from dream.model.pretrained import Pretrained

ROWS_AT_A_TIME = 32
"""Pictures times candidates in one batch."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--model", required=True, type=Path, help="a run (runs/NAME) or one of its checkpoints")
    add("--raw-weights", action="store_true", help="use the raw weights instead of the averaged ones")
    add("--prompt", action="append", default=[], help="what to paint; may be given several times")
    add("--prompts", type=Path, help="a text file with a prompt a line")
    add("--count", type=int, default=1, help="pictures a prompt (default 1)")
    add("--seed", type=int, default=0, help="same seed, same pictures (default 0)")
    add("--steps", type=int, help="reveal steps (default: the model's)")
    add("--guidance", type=float, help="classifier-free guidance, 1 = off (default: the model's)")
    add("--guidance-schedule", choices=("linear", "constant"), help="default: the model's")
    add("--temperature", type=float, help="factor on the sampling noise (default: the model's)")
    add("--sampling-steps", type=int, help="denoising steps of a token (default: the model's)")
    add("--candidates", type=int, default=1, help="tries a prompt, among which the model chooses (default 1)")
    add(
        "--select-at",
        help="where candidates are compared: 12.5%%tokens, 12.5%%steps or 8steps (default 30%%tokens); with "
        "--selection halving several, with commas",
    )
    add("--selection", choices=("once", "every", "halving", "none"), default="once", help="default once")
    add("--keep", type=Path, help="a picture of which a part is kept (in- and outpainting)")
    add("--box", help="left,top,right,bottom in pixels of the model's picture: what --keep keeps")
    add("--repaint-box", help="left,top,right,bottom: what is painted anew, the rest of --keep is kept")
    add("--record", type=Path, help="also store the whole decode, as PATH.zarr")
    add("--device", default="cpu", help="cpu or cuda (default cpu)")
    add("--out", required=True, type=Path, help="a sheet (.png), a trajectory (.gif), or a folder of pictures")
    add("--overwrite", action="store_true", help="replace what is at --out and --record")


def run(args: argparse.Namespace) -> None:
    """Raises InputError for whatever can be known to be wrong before anything is painted."""
    prompts = prompts_given(args.prompt, args.prompts)
    if args.count < 1:
        raise InputError(f"--count must be at least 1, got {args.count}")
    check_out(args.out, args.overwrite)
    if args.record:
        check_record(args.record, args.overwrite)
    from dream.pretrained import checkpoint_of
    from dream.training.checkpoint import read_state

    config = read_state(checkpoint_of(args.model)).config
    kept = _kept_cells(args, config)
    settings = _settings(args, config, config.image.num_tokens - (int(kept.sum()) if kept is not None else 0))
    job = _load(args, prompts, settings, kept)
    gallery = _paint(job, args)
    _write(job, gallery, args.out)


@dataclass(frozen=True)
class PaintPlan:
    """What is to be painted, one prompt a picture."""

    pretrained: "Pretrained"
    prompts: list[str]
    picture_ids: list[int]
    settings: "DecodeSettings"
    batch_size: int
    given: "Given | None"

    def about(self) -> dict[str, Any]:
        """What every file says of its making."""
        return {
            "seed": self.settings.seed,
            "settings": self.settings.to_dict(),
            "model": str(self.pretrained.path),
            "model_id": self.pretrained.model_id,
        }


def prompts_given(given: list[str], file: Path | None) -> list[str]:
    """The prompts of --prompt and of the lines of --prompts; InputError where there is none, or an empty
    one.
    """
    prompts = [" ".join(prompt.split()) for prompt in given]
    if "" in prompts:
        raise InputError("--prompt is empty; say what to paint")
    if file is not None:
        if not file.is_file():
            raise InputError(f"no such file with prompts: {file}")
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{file} is no text in UTF-8 ({error.reason} at byte {error.start})") from error
        found = [" ".join(line.split()) for line in lines if line.strip()]
        if not found:
            raise InputError(f"{file} holds no prompt; expected one a line")
        prompts += found
    if not prompts:
        raise InputError("nothing to paint: give --prompt TEXT (several times, if you like) or --prompts FILE")
    return prompts


def check_out(out: Path, overwrite: bool) -> None:
    """InputError where `out` is of another kind, exists, or cannot be written."""
    suffix = out.suffix.lower()
    if suffix not in ("", ".png", ".gif"):
        raise InputError(f"--out must end in .png (a sheet) or .gif (the trajectory), or be a folder, got '{out}'")
    if suffix and out.is_dir():
        raise InputError(f"--out {out} is a folder; choose another name for the {suffix[1:].upper()}")
    if not suffix and out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; end it in .png or .gif, or choose a folder's name")
    if (out.exists() if suffix else out.is_dir() and any(out.iterdir())) and not overwrite:
        raise InputError(f"--out {out} is there already; choose another name, or give --overwrite to replace it")
    check_writable(out if out.is_dir() else out.parent)


def check_record(path: Path, overwrite: bool) -> None:
    """InputError where the record cannot be put at `path`."""
    from dream.decoding.record import refuse_existing

    if path.suffix != ".zarr":
        raise InputError(f"--record must end in .zarr, got '{path}'")
    refuse_existing(path, overwrite)
    check_writable(path.parent, "--record")


def _kept_cells(args: argparse.Namespace, config: "DreamConfig") -> Any:
    """(N,) bool of the cells that are kept of --keep; None without it."""
    from dream.decoding import editing

    if not args.keep:
        if args.box or args.repaint_box:
            raise InputError("--box and --repaint-box say what is kept of a picture: give it with --keep PICTURE")
        return None
    if bool(args.box) == bool(args.repaint_box):
        raise InputError("--keep takes either --box (what is kept) or --repaint-box (what is painted anew)")
    if args.box:
        return editing.inside(editing.parse_box(args.box, config.image.size), config.image)
    return ~editing.touched(editing.parse_box(args.repaint_box, config.image.size), config.image)


def _settings(args: argparse.Namespace, config: "DreamConfig", hidden: int) -> "DecodeSettings":
    """The settings of the command line, the model's own where it says nothing."""
    from dream.decoding.selection import DEFAULT_SELECT_AT, DecodeSettings, parse_select_points

    given = {
        "steps": args.steps,
        "guidance_scale": args.guidance,
        "guidance_schedule": args.guidance_schedule,
        "temperature": args.temperature,
        "sampling_steps": args.sampling_steps,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    # checks all that needs no place of selection
    plain = DecodeSettings.of(config.decode, **changes, selection="none", candidates=args.candidates, seed=args.seed)
    steps = plain.steps
    if plain.sampling_steps and plain.sampling_steps > config.head.train_steps:
        raise InputError(f"--sampling-steps must be at most {config.head.train_steps}, got {plain.sampling_steps}")
    if args.candidates == 1 or args.selection == "none":
        if args.select_at:
            why = "--candidates is 1" if args.candidates == 1 else "--selection none compares nobody"
            raise InputError(f"--select-at needs candidates to choose among, and {why}")
        return plain
    text = args.select_at or DEFAULT_SELECT_AT
    points = parse_select_points(text, args.selection, args.candidates, config.image.num_tokens, steps, hidden)
    where = "from " if args.selection == "every" else ""
    default = "" if args.select_at else f" (--select-at {DEFAULT_SELECT_AT}, the default)"
    places = ", ".join(map(str, points))
    _say(f"comparing {args.candidates} candidates {where}at {places} of {steps} steps{default}")
    return replace(plain, selection=args.selection, select_steps=tuple(point.step for point in points))


def _load(args: argparse.Namespace, prompts: list[str], settings: "DecodeSettings", kept: Any) -> PaintPlan:
    import torch

    from dream.decoding import editing
    from dream.pretrained import load_pretrained
    from dream.randomness import generator

    try:
        device = torch.device(args.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {args.device} cannot be used here; try --device cpu") from error
    pretrained = load_pretrained(args.model, ema=not args.raw_weights).to(device)
    given = None
    if kept is not None:
        picture = editing.open_square(args.keep, pretrained.config.image.size)
        given = editing.keep_tokens(pretrained.image_tokenizer, picture, kept, generator(settings.seed, "kept picture"))
    ids = [number for _ in prompts for number in range(args.count)]
    repeated = [prompt for prompt in prompts for _ in range(args.count)]
    return PaintPlan(pretrained, repeated, ids, settings, max(1, ROWS_AT_A_TIME // settings.candidates), given)


def _paint(job: PaintPlan, args: argparse.Namespace) -> "Gallery":
    """Paints everything, into a gallery and, where asked for, a record."""
    from contextlib import ExitStack

    from dream.decoding.decode import paint_batches, previews
    from dream.decoding.gallery import Gallery

    config, gif = job.pretrained.config.image, args.out.suffix.lower() == ".gif"
    gallery = Gallery(job.prompts, job.settings, keep_steps=gif)
    progress = _Progress(job, int(job.given.kept.sum()) if job.given else 0)
    with ExitStack() as stack:
        writer = stack.enter_context(_record_writer(job, args)) if args.record else None
        for first, record in paint_batches(
            job.pretrained,
            job.prompts,
            job.settings,
            picture_ids=job.picture_ids,
            batch_size=job.batch_size,
            given=job.given,
            record_scores=writer is not None,
            score_finished=writer is not None or job.settings.candidates > 1,
        ):
            if writer or gallery.wants(record):
                shown = previews(job.pretrained.image_tokenizer, config, record)
                gallery.add(record, shown, first)
                if writer:
                    writer.add(record, shown, first)
            progress.done(record)
    if args.record:
        _say(f"wrote {args.record}")
    return gallery


def _record_writer(job: PaintPlan, args: argparse.Namespace) -> Any:
    from dream.decoding.record import About, RecordWriter

    image = job.pretrained.config.image
    about = About(
        prompts=tuple(job.prompts),
        picture_ids=tuple(job.picture_ids),
        settings=job.settings,
        model_id=job.pretrained.model_id,
        num_tokens=image.num_tokens,
        token_dim=image.token_dim,
        picture_size=image.size,
        batch_size=job.batch_size,
    )
    return RecordWriter(args.record, about, overwrite=args.overwrite)


def _write(job: PaintPlan, gallery: "Gallery", out: Path) -> None:
    """The sheet, the trajectory or the folder, and a line for every choice."""
    from dream.decoding import pictures

    count = max(job.picture_ids) + 1
    for picture, shown in enumerate(gallery.finished()):
        if gallery.compared_at is not None and job.settings.selection != "every":
            compared = gallery.moments[gallery.compared_at]
            scores = ", ".join(f"{s.alignment:.3f}" for s in compared.shown[picture])
            _say(f"'{job.prompts[picture]}': chose candidate {shown[0].candidate} of {scores} (alignment)")
    if out.suffix.lower() == ".gif":
        pictures.save_gif(gallery.frames(), out)
    elif out.suffix:
        sheet = pictures.draw_sheet(gallery.rows(count if count > 1 else None), footer=_footer(job))
        about = {"prompt": "\n".join(dict.fromkeys(job.prompts)), "count": count, **job.about()}
        pictures.save_png(sheet, out, about)
    else:
        _write_folder(job, gallery, out)
    _say(f"wrote {out}")


def _write_folder(job: PaintPlan, gallery: "Gallery", out: Path) -> None:
    """Every finished picture in its own size; earlier ones of ours in the folder go."""
    from PIL import Image

    from dream.decoding import pictures

    for old in out.glob("*.png") if out.is_dir() else ():
        try:
            pictures.read_about(old)
        except InputError:
            continue  # not ours
        old.unlink()
    for picture, shown in enumerate(gallery.finished()):
        for one in shown:
            slug = re.sub(r"[^a-z0-9]+", "-", job.prompts[picture].lower()).strip("-")[:40]
            name = f"{picture:04d}-{slug or 'picture'}-c{one.candidate}.png"
            about = {
                "prompt": job.prompts[picture],
                "picture_id": job.picture_ids[picture],
                "candidate": one.candidate,
                "alignment": one.alignment,
                **job.about(),
            }
            pictures.save_png(Image.fromarray(one.picture.transpose(1, 2, 0).copy()), out / name, about)


def _footer(job: PaintPlan) -> str:
    from dream.decoding.selection import SelectPoint, decoded_fractions

    s, config = job.settings, job.pretrained.config
    parts = [
        f"seed {s.seed}",
        f"{s.steps} steps",
        f"guidance {s.guidance_scale:g} {s.guidance_schedule}" if s.guided else "no guidance",
        f"temperature {s.temperature:g}",
        f"{s.head(config.head).sampling_steps} denoising steps",
    ]
    if s.candidates > 1:
        kept = int(job.given.kept.sum()) if job.given else 0
        shares = decoded_fractions(config.image.num_tokens, s.steps, config.image.num_tokens - kept)
        where = ", ".join(str(SelectPoint(step, shares[step])) for step in s.select_steps)
        compared = f"compared {'from' if s.selection == 'every' else 'at'} {where}" if where else "all finished"
        parts.append(f"{s.candidates} candidates {compared}")
    return " · ".join([*parts, f"model {job.pretrained.model_id}"])


def _say(text: str) -> None:
    from dream.console import Console

    Console(True).say(text)


class _Progress:
    """Time left, from the rows and tokens that are still to come."""

    def __init__(self, job: PaintPlan, given: int) -> None:
        from dream.console import Console
        from dream.decoding.selection import plan_steps

        num_tokens = job.pretrained.config.image.num_tokens
        plans = plan_steps(job.settings, num_tokens - given)
        alive, self.work = 1, {}
        for plan in plans:
            # decoder passes cost the same in every step, the head costs by the tokens it reveals
            self.work[plan.step] = alive * plan.draws * (plan.reveals + num_tokens / len(plans))
            alive = plan.keep
        self.total = sum(self.work.values()) * len(job.prompts)
        self.finished, self.started, self.console = 0.0, time.monotonic(), Console(True)

    def done(self, record: "StepRecord") -> None:
        """One more step of a batch."""
        from dream.console import duration

        self.finished += self.work[record.step] * record.pictures
        share = min(1.0, self.finished / self.total)
        left = (time.monotonic() - self.started) * (1 - share) / share
        self.console.progress(f"painting: {share:.0%}, {duration(left)} left")
        if share > 1 - 1e-9:
            self.console.say(f"painted in {duration(time.monotonic() - self.started)}")
