"""Writes the folder that is published: an exported model, its card, a sheet of samples and its measures."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dream.data.emoji.corpus import is_emoji
from dream.errors import InputError
from dream.evaluation.results import Results, read_folder
from dream.files import WRITING, replace_folder, replace_text, sync
from dream.json_text import read_json_object
from dream.pretrained import load_pretrained
from dream.publishing.card import SHEET, CardFacts, model_card
from dream.publishing.export import RECORD, export, without_place
from dream.training import checkpoint
from dream.training.monitor import draw_samples

CARD = "README.md"
_OWN_DATA = {
    "shapes": "Drawn by this project's own program, which gives exact captions; there is nothing of others in them.",
    "emoji": "Emoji of six artists, under MIT, Apache-2.0 and CC BY 4.0: see NOTICE.",
}


@dataclass(frozen=True)
class PublishOptions:
    """What the weights do not say."""

    name: str
    licence: str = "mit"
    data_licence: str = ""
    """Licence and origin of the data; may be empty for data of this project."""
    results: Path = Path("results")
    prompts: Sequence[str] = ()
    dtype: torch.dtype = torch.float32


def publish(source: Path, out: Path, options: PublishOptions) -> CardFacts:
    """Writes the checkpoint `source` with its card to the folder `out`; returns what the card says.

    The folder appears whole or not at all. Measures are those of exactly these weights. Raises InputError if the
    licence of the data is not known.
    """
    state = checkpoint.read_state(source)
    words = data_words(state.source, options.data_licence)
    name = checkpoint.weights_id(source, "ema" if checkpoint.holds(source, "ema") else "model")
    results = measures_of_weights(options.results, name)
    aside = out.with_name(f".{out.name}-new{WRITING}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        facts = _written(source, aside, options, words, results)
        replace_folder(out, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return facts


def _written(source: Path, out: Path, options: PublishOptions, words: str, results: Sequence[Results]) -> CardFacts:
    """Writes model, sheet and card to `out`."""
    state, parameters = checkpoint.read_state(source), export(source, out, options.dtype)
    recipe = read_json_object(out / RECORD) if (out / RECORD).is_file() else {}
    facts = CardFacts(
        name=options.name,
        config=state.config,
        parameters=parameters,
        step=state.step,
        source=without_place(state.source),
        data_licence=words,
        licence=options.licence,
        results=results,
        prompts=_sheet(source, out, options.prompts),
        preset=str(recipe.get("preset", "custom")),
    )
    replace_text(out / CARD, model_card(facts))
    sync(out)
    return facts


def data_words(source: str, licence: str) -> str:
    """What the card says of the data's licence. Raises InputError if nobody has said it."""
    if licence:
        return licence
    own = "emoji" if is_emoji(source) else source
    if own not in _OWN_DATA:
        raise InputError(
            f"the model was trained on '{without_place(source)}', whose licence is not known here: say it in a "
            "sentence, --data-licence 'CC12M: links to pictures, each under its own licence'"
        )
    return _OWN_DATA[own]


def measures_of_weights(folder: Path, model_id: str) -> list[Results]:
    """What was measured of the weights of this name; empty if there are no results."""
    if not folder.is_dir() or not any(folder.glob("*.json")):
        return []
    kept = []
    for results in read_folder(folder):
        entries = tuple(entry for entry in results.entries if entry.model_id == model_id and not entry.skipped)
        if entries:
            kept.append(Results(results.name, results.model, entries).current())
    return kept


def _sheet(source: Path, out: Path, prompts: Sequence[str]) -> tuple[str, ...]:
    """Paints the prompts into the sheet, or takes the newest sheet of the run; returns the prompts that it shows."""
    if prompts:
        draw_samples(load_pretrained(source), prompts, out / SHEET)
        return tuple(prompts)
    sheets = sorted((source.resolve().parents[1] / "samples").glob("step-*.png"))
    if not sheets:
        return ()
    shutil.copyfile(sheets[-1], out / SHEET)
    return ("samples of the training's own validation captions",)
