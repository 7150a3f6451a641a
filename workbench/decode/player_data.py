"""A decode as data for the player: its pictures, and the inside of the model.

A decode is stored or a bare record. Data that needs no model is available at once; `add_inspection` adds the rest
in one pass over all steps and stores it next to a stored record, so that it is computed once. The size is bounded
by MAX_ENTRIES pictures of each kind and PATH_LENGTH patches per token.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.decoding.context import DecodeContext
from dream.decoding.inspection import REST_DENOISING_STEPS, Inside, Walk, look_inside, walk_of
from dream.decoding.paint import encode_prompts
from dream.decoding.previews import to_uint8
from dream.decoding.record import GIVEN, DecodeRecord, load_record
from dream.errors import InputError
from dream.files import replace_text
from dream.json_text import read_json_object
from workbench.decode.request import Stretch, stretches, winner
from workbench.decode.words import caption_words
from workbench.palette import candidate_colour
from workbench.pictures import Picture, png_url
from workbench.store import ABOUT, RECORD, StoredDecode, open_folder
from workbench.work import Work

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

PLAYER, VERSION = "player.json", 1
MAX_ENTRIES = 64
"""Most entries of the player; a decode with more steps shows several of them per entry."""
PATH_LENGTH = 17
"""Most patches of a token's denoising path."""
ATTENTION_NUMBERS = 16_000_000
"""Most attention weights computed at a time; bounds the number of steps inspected together."""
PICTURES_AT_A_TIME = 8
COLOUR = candidate_colour(0)
"""Colour of outlines, that of the first candidate in every figure."""


def opened_decode(decode: StoredDecode | DecodeRecord | str | Path) -> StoredDecode | DecodeRecord:
    """Opens a decode; a path is that of a stored decode's folder or of a record.

    Raises InputError if there is none, or it is damaged.
    """
    if isinstance(decode, (StoredDecode, DecodeRecord)):
        return decode
    path = Path(decode)
    folder = path.parent if path.name == RECORD else path
    return open_folder(folder) if (folder / ABOUT).is_file() else load_record(path)


def record_of(decode: StoredDecode | DecodeRecord) -> DecodeRecord:
    """Record of a decode; raises InputError if it is missing or damaged."""
    return load_record(decode.record_path) if isinstance(decode, StoredDecode) else decode


def player_data(decode: StoredDecode | DecodeRecord) -> dict[str, Any]:
    """The player's data: as `add_inspection` stored it, or else from the record alone.

    Raises InputError if the record is missing or damaged.
    """
    path = decode.path / PLAYER if isinstance(decode, StoredDecode) else None
    if path is not None and path.is_file():
        with suppress(InputError):  # cut short: computed again, as is one of another version
            tree = read_json_object(path)
            if tree.get("version") == VERSION and isinstance(tree.get("data"), dict):
                return tree["data"]
    return _base(record_of(decode), _title(decode))


def was_looked_at(data: dict[str, Any]) -> bool:
    """Whether the player's data includes the inside of the model."""
    return data["rests"] is not None


def check_painter(record: DecodeRecord, model_id: str) -> None:
    """Raises InputError if other weights painted the record."""
    if record.about.model_id != model_id:
        raise InputError(
            f"this was painted by model {record.about.model_id}, but the weights are now {model_id}; "
            "only the stored pictures can be shown"
        )


def add_inspection(
    work: Work[dict[str, Any]], decode: StoredDecode | DecodeRecord, pretrained: "Pretrained"
) -> dict[str, Any]:
    """The player's data with previews of the rest, attention and denoising paths; stored next to a stored record.

    Raises InputError if another model painted the decode.
    """
    record = record_of(decode)
    check_painter(record, pretrained.model_id)
    walk, made_of = walk_of(record, winner(record)), stretches(decode)
    data, entries = _base(record, _title(decode)), _entries(record)
    parts = list(_look(work, record, walk, made_of, pretrained))
    data |= _rests(work, walk, [inside for inside, _ in parts], entries, pretrained)
    data |= _attention(walk, parts, made_of, pretrained)
    data |= _paths(walk, [inside for inside, _ in parts], pretrained)
    if isinstance(decode, StoredDecode) and decode.path.is_dir():  # it may have been deleted in the meantime
        replace_text(decode.path / PLAYER, json.dumps({"version": VERSION, "data": data}))
    return data


def picture_after(record: DecodeRecord, step: int) -> Picture:
    """(3, H, W): the finished candidate after `step` steps; hidden cells are grey."""
    return np.asarray(record.previews[step - 1, 0, record.drawn_by(step - 1, 0, winner(record))])


def remarks(data: dict[str, Any], record_steps: int) -> list[str]:
    """Notes for the reader of the player on how its data was computed."""
    notes = []
    if len(data["steps"]) < record_steps:
        notes.append(f"{record_steps} steps are shown as {len(data['steps'])}.")
    if was_looked_at(data):
        notes.append(
            f"The rest is filled at once, with at most {REST_DENOISING_STEPS} denoising steps and separate noise; "
            "attention is the mean over heads and decoder blocks."
        )
    return notes


def _entries(record: DecodeRecord) -> list[list[int]]:
    """The steps, grouped into at most MAX_ENTRIES entries of consecutive steps."""
    groups = np.array_split(record.steps, min(MAX_ENTRIES, len(record.steps)))
    return [group.tolist() for group in groups]


def _title(decode: StoredDecode | DecodeRecord) -> str:
    return decode.prompt if isinstance(decode, StoredDecode) else decode.about.prompts[0]


def _base(record: DecodeRecord, title: str) -> dict[str, Any]:
    candidate, entries, reveal_step = winner(record), _entries(record), record.reveal_step[0]
    redrawn = np.full_like(reveal_step, GIVEN) if record.redrawn_step is None else record.redrawn_step[0]
    of_step = {step: i for i, part in enumerate(entries) for step in part}
    order = [-1 if step == GIVEN else of_step[step] for step in reveal_step.tolist()]
    steps, frames = [], []
    for part in entries:
        last = part[-1]
        score = float(record.alignment[last, 0, record.drawn_by(last, 0, candidate)])
        steps.append(
            {
                "step": last + 1,
                "of": record.about.settings.steps,
                "decoded": round(float(record.decoded_fraction[last]), 6),
                "guidance": round(float(record.guidance[last]), 4),
                "alignment": None if np.isnan(score) else round(score, 5),
                "revealed": np.flatnonzero(np.isin(reveal_step, part) | np.isin(redrawn, part)).tolist(),
            }
        )
        frames.append(png_url(picture_after(record, last + 1)))
    return {
        "mode": "player",
        "title": title,
        "size": record.about.picture_size,
        "grid": round(record.about.num_tokens**0.5),
        "steps": steps,
        "frames": frames,
        "order": order,
        "rests": None,
        "words": None,
        "cross": None,
        "self": None,
        "paths": None,
        "path_length": 0,
        "path_values": None,
        "colour": COLOUR,
    }


def _look(
    work: Work[Any], record: DecodeRecord, walk: Walk, made_of: list[Stretch], pretrained: "Pretrained"
) -> Iterator[tuple[Inside, int]]:
    """The inside of runs of steps, each with the number of its stretch."""
    config = pretrained.config
    length = config.encoder.buffer_tokens + config.image.num_tokens
    at_a_time = max(1, ATTENTION_NUMBERS // (config.decoder.heads * length**2))
    ends = [one.first_step for one in made_of[1:]] + [record.about.settings.steps]
    for number, (stretch, end) in enumerate(zip(made_of, ends, strict=True)):
        inside = [i for i, step in enumerate(walk.steps) if stretch.first_step <= step < end]
        if not inside:
            continue
        prompted = encode_prompts(pretrained, [stretch.prompt], stretch.settings, record.about.picture_ids[:1])
        context = DecodeContext.of(pretrained.model, prompted, stretch.settings)
        for first in range(0, len(inside), at_a_time):
            run = inside[first : first + at_a_time]
            work.tell(0.7 * run[0] / len(walk.steps), f"looking inside from step {run[0] + 1}")
            yield look_inside(context, walk.part(slice(run[0], run[-1] + 1))), number


def _rests(
    work: Work[Any], walk: Walk, parts: list[Inside], entries: list[list[int]], pretrained: "Pretrained"
) -> dict[str, Any]:
    """Previews after each entry: the state before the next step, filled; after the last, the picture itself."""
    filled = torch.cat([*(part.rests for part in parts), walk.final[None]])
    ends = np.cumsum([len(part) for part in entries])
    urls: list[str] = []
    for first in range(0, len(ends), PICTURES_AT_A_TIME):
        work.tell(0.7 + 0.25 * first / len(ends), "drawing the previews of the rest")
        tokens = filled[ends[first : first + PICTURES_AT_A_TIME]]
        urls += [png_url(picture) for picture in to_uint8(pretrained.image_tokenizer.to_pixels(tokens)).numpy()]
    return {"rests": urls}


def _attention(
    walk: Walk, parts: list[tuple[Inside, int]], made_of: list[Stretch], pretrained: "Pretrained"
) -> dict[str, Any]:
    """Attention maps of all positions; those of given tokens are zero."""
    num_tokens = len(walk.final)
    words, columns = _columns(made_of, pretrained)
    cross, own = np.zeros((num_tokens, len(words))), np.zeros((num_tokens, num_tokens))
    for inside, stretch in parts:
        rows = inside.positions.numpy()
        own[rows] = inside.own[:, pretrained.config.encoder.buffer_tokens :].numpy()
        for column, tokens in columns[stretch]:
            cross[rows, column] = inside.cross[:, tokens].sum(dim=1).numpy()
    return {"words": words, "cross": _bytes(cross), "self": _bytes(own)}


def _columns(made_of: list[Stretch], pretrained: "Pretrained") -> tuple[list[str], list[list[tuple[int, list[int]]]]]:
    """All words of all prompts, and for each stretch the (column, token indices) of its words."""
    words: list[str] = []
    known: dict[str, list[tuple[int, list[int]]]] = {}
    for stretch in made_of:
        if stretch.prompt not in known:
            words += ["⑂"] if words else []
            of_prompt = caption_words(pretrained, stretch.prompt)
            known[stretch.prompt] = [(len(words) + i, tokens) for i, (_, tokens) in enumerate(of_prompt)]
            words += [word for word, _ in of_prompt]
    return words, [known[stretch.prompt] for stretch in made_of]


def _paths(walk: Walk, parts: list[Inside], pretrained: "Pretrained") -> dict[str, Any]:
    """Denoising paths of all tokens; empty if they do not lead to the recorded tokens."""
    places = torch.cat([part.positions for part in parts])
    own = [part.paths for part in parts]
    length = min(PATH_LENGTH, *(len(path) for path in own))
    paths = torch.cat([path[_spread(len(path), length)] for path in own], dim=1)  # (length, M, D)
    final = walk.final[places]
    if not torch.allclose(paths[-1], final, rtol=1e-2, atol=1e-2):
        return {}
    whole = walk.final.repeat(length, 1, 1)  # (length, N, D): given tokens do not change
    whole[:, places] = paths
    distance = (whole - walk.final).square().mean(dim=-1).sqrt()  # (length, N)
    values = np.nan_to_num(distance.T.double().numpy(), nan=0.0, posinf=1e9).round(4).tolist()
    return {"path_length": length, "path_values": values, "paths": _strips(whole, pretrained)}


def _strips(whole: Tensor, pretrained: "Pretrained") -> list[str] | None:
    """A strip of patches for each position; None if a token alone is not a picture (with a VAE)."""
    if pretrained.config.image.tokenizer != "pixels":
        return None
    length, num_tokens, dim = whole.shape
    patches = to_uint8(pretrained.image_tokenizer.to_pixels(whole.reshape(-1, 1, dim)))  # (length * N, 3, p, p)
    strips = patches.unflatten(0, (length, num_tokens)).permute(1, 2, 3, 0, 4).flatten(3).numpy()
    return [png_url(strip) for strip in strips]


def _spread(length: int, wanted: int) -> list[int]:
    return np.linspace(0, length - 1, wanted).round().astype(int).tolist()


def _bytes(weights: NDArray[np.floating]) -> str:
    """Rows scaled so that the largest of each is 255, as base64."""
    top = weights.max(axis=1, keepdims=True)
    scaled = np.divide(weights, top, out=np.zeros_like(weights), where=top > 0)
    return base64.b64encode((scaled * 255).round().astype(np.uint8).tobytes()).decode()
