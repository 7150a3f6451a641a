"""Finishes the candidates of a stored choice, or of many prompts, and stores the result.

A stored choice whose candidates were all finished has them in `finished.npz`, and their steps as a record in
`finished.zarr`. A study of many prompts is stored as a separate choice (`about["prompts"]` is their number),
whose record holds the first prompt's candidates.
"""

import json
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dream.decoding.record import load_record
from dream.decoding.record_writer import RecordWriter
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.json_text import parse_json
from workbench.store import StoredDecode, begin, open_stored
from workbench.trajectories.finished import Finished, finish_all
from workbench.trajectories.race import KIND, Race, about_record, open_race, paint_race, race_of
from workbench.trajectories.worth import worth_by_step
from workbench.work import Work
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

FILE, RECORD = "finished.npz", "finished.zarr"
LISTS = ("prompts", "steps", "decoded", "seconds", "plain_seconds")
ARRAYS = ("scores", "judged", "right", "well_formed", "pictures")
"""Fields of `Finished` that are stored."""
MOST_PROMPTS = 512
SHOWN_PROMPTS = 6
"""Prompts in the thumbnail of a stored study."""


def what_if(
    work: Work[StoredDecode], pretrained: "Pretrained", workspace: Workspace, stored: StoredDecode
) -> StoredDecode:
    """Finishes all candidates of a stored choice and stores them with it.

    Raises InputError if another model painted the choice, or if it was deleted in the meantime.
    """
    if stored.about.get("model_id") != pretrained.model_id:
        raise InputError(
            f"this was painted by the weights {stored.about.get('model_id')}, but "
            f"{stored.about.get('model')} now has {pretrained.model_id}; paint it again to finish all candidates"
        )
    settings = DecodeSettings.from_dict(stored.about["settings"])
    prompts = [stored.prompt]
    folder = workspace.decodes / f".{stored.id}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    try:
        everything = about_record(pretrained, prompts, replace(settings, selection="none"))
        with RecordWriter(folder / RECORD, everything) as writer:
            found = finish_all(pretrained, prompts, settings, progress=work.tell, writer=writer)
        _save(found, folder)
        open_stored(workspace, stored.id)
        for name in (RECORD, FILE):  # the file last: it marks the result as complete
            shutil.rmtree(stored.path / name, ignore_errors=True)
            (folder / name).replace(stored.path / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return stored


def paint_whole(
    work: Work[StoredDecode],
    pretrained: "Pretrained",
    workspace: Workspace,
    model: str,
    prompt: str,
    settings: DecodeSettings,
) -> StoredDecode:
    """Paints and stores one prompt, then finishes all of its candidates; shows the `Race` as `paint_race` does."""
    stored = paint_race(work, pretrained, workspace, model, prompt, settings)
    return what_if(work, pretrained, workspace, stored)


def study(
    work: Work[StoredDecode],
    pretrained: "Pretrained",
    workspace: Workspace,
    model: str,
    prompts: list[str],
    settings: DecodeSettings,
) -> StoredDecode:
    """Finishes all candidates of many prompts and stores them; shows (Finished, worth by step) so far."""
    if not 2 <= len(prompts) <= MOST_PROMPTS:
        raise InputError(f"a study needs 2 to {MOST_PROMPTS} different prompts, got {len(prompts)}")
    about: dict[str, Any] = {
        "model": model,
        "model_id": pretrained.model_id,
        "settings": settings.to_dict(),
        "seed": settings.seed,
        "prompts": len(prompts),
    }
    title = f"{len(prompts)} prompts: {prompts[0]}, ..."

    def show(found: Finished) -> None:
        work.show((found, worth_by_step(found)))

    with begin(workspace, KIND, title, about) as draft:
        first = about_record(pretrained, prompts[:1], replace(settings, selection="none"))
        with RecordWriter(draft.record_path, first) as writer:
            found = finish_all(pretrained, prompts, settings, progress=work.tell, show=show, writer=writer)
        _save(found, draft.path)
        return draft.finish(_sheet(found))


def prompts_of(stored: StoredDecode) -> int:
    """Number of prompts of a stored choice."""
    return int(stored.about.get("prompts", 1))


def has_finished(stored: StoredDecode) -> bool:
    """Whether all candidates of a stored choice were finished."""
    return (stored.path / FILE).is_file()


def open_finished(stored: StoredDecode) -> Finished:
    """Opens the finished candidates of a stored choice; raises InputError if they are damaged."""
    path = stored.path / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            about = parse_json(str(file["about"]))
            arrays = {name: file[name] for name in ARRAYS}
        whole: dict[str, Any] = {**{name: tuple(about[name]) for name in LISTS}, **arrays}
        settings = DecodeSettings.from_dict(about["settings"])
        found = Finished(settings=settings, timed_prompts=int(about["timed_prompts"]), **whole)
        if found.scores.shape[:2] != (len(found.steps), len(found.prompts)):
            raise ValueError("scores of another shape")
        return found
    except Exception as error:  # zip, zlib, numpy and JSON: each its own kinds
        raise InputError(f"{path} is damaged ({error}); delete it and finish the candidates again") from error


def open_finished_race(stored: StoredDecode) -> Race:
    """Race of the first prompt in which no candidate is dropped."""
    if prompts_of(stored) > 1:
        return open_race(stored)
    return race_of(load_record(stored.path / RECORD))


def _save(found: Finished, folder: Path) -> None:
    plain = {name: list(getattr(found, name)) for name in LISTS}
    about = {**plain, "settings": found.settings.to_dict(), "timed_prompts": found.timed_prompts}
    arrays = {name: getattr(found, name) for name in ARRAYS}
    with (folder / FILE).open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)


def _sheet(found: Finished) -> Image.Image:
    """Thumbnail with one row of finished candidates per prompt."""
    rows = found.pictures[:SHOWN_PROMPTS, :8]  # (Q, k, 3, H, W)
    q, k, _, height, width = rows.shape
    sheet = rows.transpose(0, 3, 1, 4, 2).reshape(q * height, k * width, 3)
    return Image.fromarray(np.ascontiguousarray(sheet))
