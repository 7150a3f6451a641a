"""Files that `dream decode` writes: a sheet, a trajectory or a folder of pictures."""

import re
from pathlib import Path

from PIL import Image

from dream.commands.painting import PaintJob
from dream.console import Console
from dream.data.reading import shortened
from dream.decoding import pictures
from dream.decoding.gallery import Gallery
from dream.decoding.selection import SelectPoint, decoded_fractions
from dream.errors import InputError


def write_painted(job: PaintJob, gallery: Gallery, out: Path) -> None:
    """Writes the sheet, the trajectory or the folder, and prints a line for every choice."""
    console, count = Console(True), max(job.plan.picture_ids) + 1
    for picture, shown in enumerate(gallery.finished()):
        if gallery.compared_at is not None and job.plan.settings.selection != "every":
            compared = gallery.moments[gallery.compared_at]
            prompt = shortened(job.plan.prompts[picture], 160)
            scores = ", ".join(f"{s.candidate + 1}: {s.alignment:.3f}" for s in compared.shown[picture])
            score = job.plan.settings.score
            console.say(f"'{prompt}': chose candidate {shown[0].candidate + 1} by its {score} ({scores})")
    if out.suffix.lower() == ".gif":
        pictures.save_gif(gallery.frames(), out)
    elif out.suffix:
        sheet = pictures.draw_sheet(gallery.rows(count if count > 1 else None), footer=_footer(job))
        readings = [reading.to_dict() for reading in job.readings.values()]
        about = {"prompt": "\n".join(job.readings), "readings": readings, "count": count, **job.about()}
        pictures.save_png(sheet, out, about)
    else:
        _write_folder(job, gallery, out)
    console.say(f"wrote {out}")


def _write_folder(job: PaintJob, gallery: Gallery, out: Path) -> None:
    """Writes every finished picture at its own size; deletes pictures of an earlier decode in the folder."""
    for old in out.glob("*.png") if out.is_dir() else ():
        try:
            pictures.read_about(old)
        except InputError:
            continue  # not from a decode
        old.unlink()
    write_pictures(job, gallery, out, first=0, total=len(job.plan.prompts))


def picture_name(number: int, prompt: str, total: int) -> str:
    """Name of a picture's file in a folder of `total`, without candidate and ending."""
    slug = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40]
    return f"{number:0{max(4, len(str(total - 1)))}d}-{slug or 'picture'}"


def write_pictures(job: PaintJob, gallery: Gallery, out: Path, *, first: int, total: int) -> None:
    """Writes every finished picture into the folder `out`; the first one has the number `first` of `total`."""
    out.mkdir(parents=True, exist_ok=True)
    for picture, shown in enumerate(gallery.finished()):
        for one in shown:
            name = f"{picture_name(first + picture, job.plan.prompts[picture], total)}-c{one.candidate}.png"
            about = {
                "prompt": job.plan.prompts[picture],
                "readings": [job.readings[job.plan.prompts[picture]].to_dict()],
                "picture_id": job.plan.picture_ids[picture],
                "candidate": one.candidate,
                "alignment": one.alignment,
                **job.about(),
            }
            pictures.save_png(Image.fromarray(one.picture.transpose(1, 2, 0).copy()), out / name, about)


def _footer(job: PaintJob) -> str:
    s, config = job.plan.settings, job.pretrained.config
    parts = [
        f"seed {s.seed}",
        f"{s.steps} steps",
        f"guidance {s.guidance_scale:g} {s.guidance_schedule}" if s.guided else "no guidance",
        f"temperature {s.temperature:g}",
        f"{s.head(config.head).sampling_steps} denoising steps",
    ]
    if s.candidates > 1:
        num_tokens = config.image.num_tokens
        shares = decoded_fractions(num_tokens, s.reveal_steps, num_tokens - job.num_kept, s.coarse_steps)
        where = ", ".join(str(SelectPoint(step, shares[step])) for step in s.select_steps)
        compared = f"compared {'from' if s.selection == 'every' else 'at'} {where}" if where else "all finished"
        parts.append(f"{s.candidates} candidates {compared}")
    return " · ".join([*parts, f"model {job.pretrained.model_id}"])
