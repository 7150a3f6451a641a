"""The model card of a published model, in Markdown: what it is, made of, for, and how well it does."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dream import __version__
from dream.config import DreamConfig
from dream.evaluation.results import Results
from dream.evaluation.table import markdown_table

SHEET = "sheet.png"


@dataclass(frozen=True)
class CardFacts:
    """What a card says."""

    name: str
    config: DreamConfig
    parameters: int
    step: int
    source: str
    """Source of the pictures, without the maker's folders."""
    data_licence: str
    """Licence and origin of the data, in words."""
    licence: str
    """Licence of the weights, an identifier of the hub."""
    results: Sequence[Results] = ()
    prompts: Sequence[str] = ()
    """Of the sample sheet; empty without one."""
    preset: str = "custom"


def model_card(facts: CardFacts) -> str:
    """The card, with the front matter that the hub reads."""
    paints = facts.config.objective.generative_weight > 0
    tags = ["dream", "masked-generation", *(["text-to-image"] if paints else []), "image-text-alignment"]
    front = {
        "license": facts.licence,
        "library_name": "dream-workbench",
        "pipeline_tag": "text-to-image" if paints else "zero-shot-image-classification",
        "tags": tags,
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", "", f"# {facts.name}", ""]
    lines += _about(facts, paints)
    lines += ["## Use", "", *_use(facts, paints), "", "## Intended use and limits", "", *_limits(facts, paints), ""]
    lines += ["## Data and licences", "", f"- Pictures and captions: `{facts.source}`. {facts.data_licence}"]
    lines += [f"- Weights: {facts.licence}.", *_frozen(facts.config), "", "## Measures", ""]
    lines += [*_measures(facts), "", "## Training", "", *_training(facts), ""]
    return "\n".join(lines)


def _about(facts: CardFacts, paints: bool) -> list[str]:
    what = {
        (True, True): "One model that tells which caption belongs to which picture, and paints pictures from captions",
        (True, False): "A model that paints pictures from captions",
        (False, True): "A model that tells which caption belongs to which picture",
    }.get((paints, facts.config.objective.contrastive_weight > 0), "A model of pictures")
    lines = [
        f"{what} (DREAM, arXiv 2603.02667): {facts.parameters / 1e6:,.1f} million parameters, pictures of "
        f"{facts.config.image.size} x {facts.config.image.size} pixels, {facts.step:,} optimiser steps.",
        "",
    ]
    if facts.prompts:
        lines += [f"![{_plain('; '.join(facts.prompts))}]({SHEET})", ""]
    return lines


def _use(facts: CardFacts, paints: bool) -> list[str]:
    line = 'dream decode --model FOLDER --prompt "..." --out sheet.png' if paints else "dream evaluate --model FOLDER"
    return [
        "```",
        f"pip install dream-workbench  # {__version__} or newer",
        line,
        "```",
        "",
        "`FOLDER` is this folder, or `hf:owner/name` of a model on the hub. Files are safetensors and JSON; nothing is "
        "unpickled.",
    ]


def _limits(facts: CardFacts, paints: bool) -> list[str]:
    lines = ["- For research and teaching: how alignment and masked generation share one model."]
    if paints:
        lines.append("- It paints what its data show, and takes over what is one-sided or wrong in them.")
        lines.append("- Not for pictures that are to be taken for photographs of real people or events.")
    if facts.config.text.tokenizer == "bpe":
        lines.append("- It knows only words of its training captions; others are read as pieces without meaning.")
    return lines


def _frozen(config: DreamConfig) -> list[str]:
    lines = []
    if config.image.tokenizer != "pixels":
        lines.append(f"- It needs the VAE `{config.image.vae}`, which is not part of it and has a licence of its own.")
    if config.text.conditioning == "t5":
        lines.append(f"- It needs the encoder of `{config.text.t5}`, which is not part of it.")
    return lines


def _measures(facts: CardFacts) -> list[str]:
    if not any(result.entries for result in facts.results):
        return ["Nothing was measured of these weights: `dream evaluate --model FOLDER`."]
    return ["With 95 % intervals, by `dream evaluate`:", "", *markdown_table(facts.results)]


def _training(facts: CardFacts) -> list[str]:
    train, masking = facts.config.train, facts.config.masking
    return [
        f"- preset `{facts.preset}`, batch {train.batch_size:,}, {train.optimizer}, learning rate {train.lr:g}, "
        f"{train.precision}, averages {train.ema:g}",
        f"- masking `{masking.schedule}`, location {masking.center_start:g} to {masking.center_end:g}, spread "
        f"{masking.std:g}; contrastive weight {facts.config.objective.contrastive_weight:g}",
        "- every setting: `state.json`; the log, if there is one: `metrics.jsonl`",
    ]


def _plain(text: str) -> str:
    """Text that cannot end or change a Markdown image's words."""
    return " ".join(text.replace("[", "(").replace("]", ")").replace("!", "").split())
