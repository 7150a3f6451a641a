"""Semantically Aligned Decoding of one prompt as plain data: painted step by step, stored, opened and played.

A `Race` holds K candidates at every step, their scores, and which of them went on. `finished` judges pictures,
`figures.trajectories` draws the race.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.config import DreamConfig
from dream.decoding.paint import PaintPlan, paint_iter
from dream.decoding.previews import previews
from dream.decoding.record import About, DecodeRecord, load_record
from dream.decoding.record_writer import RecordWriter
from dream.decoding.selection import SelectPoint, parse_select_points, plan_steps
from dream.decoding.settings import DecodeSettings, Selection
from dream.decoding.state import StepRecord
from dream.errors import InputError
from dream.evaluation.tasks import JOINT, PAINTING, PROMPTING, REFUSALS, trained_for
from dream.plain_text import require_text
from workbench.palette import candidate_colour
from workbench.pictures import png_url
from workbench.store import StoredDecode, begin
from workbench.work import Work
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

KIND = "trajectories"
MOST_CANDIDATES = 16
UNITS = {"% of the tokens": "%tokens", "% of the steps": "%steps", "steps": "steps"}
"""Units of the moment of the choice, and their form in `parse_select_at`."""


def refusal(config: DreamConfig) -> str | None:
    """Reason why a model cannot choose among its candidates, as a clause that begins with 'it'; None if it can."""
    learned = trained_for(config)
    return next((REFUSALS[need] for need in (PAINTING, PROMPTING, JOINT) if need not in learned), None)


def race_settings_of(
    config: DreamConfig, select_at: str, *, selection: Selection, candidates: int, **changes: Any
) -> tuple[DecodeSettings, list[SelectPoint]]:
    """The model's own settings with `changes`, and the moments at which candidates are compared.

    `select_at` has the form of `parse_select_at`. Raises InputError for settings that do not fit together.
    """
    plain = DecodeSettings.of(config.decode, **changes)
    points = parse_select_points(select_at, selection, candidates, plain, config.image.num_tokens)
    steps = tuple(point.step for point in points)
    return replace(plain, candidates=candidates, selection=selection, select_steps=steps), points


def place_name(step: int, of: int, decoded: float) -> str:
    """A moment of a decode in all its units: '32 % of the tokens = step 8 of 16 = 50 % of the steps'."""
    return f"{100 * decoded:.3g} % of the tokens = step {step} of {of} = {100 * step / of:.3g} % of the steps"


@dataclass(frozen=True)
class Race:
    """K candidates over the T steps that revealed tokens so far."""

    prompt: str
    settings: DecodeSettings
    num_tokens: int
    steps: tuple[int, ...]
    """(T) number of steps done."""
    decoded: tuple[float, ...]
    """(T) share of the tokens decoded by then."""
    alignment: NDArray[np.float32]
    """(T, K) cosine of the partial picture and the prompt; NaN where a candidate took no part."""
    alive: NDArray[np.bool_]
    """(T, K) candidates that took part in the step."""
    kept: NDArray[np.bool_]
    """(T, K) candidates that went on after it."""
    frames: NDArray[np.uint8]
    """(T, K, 3, H, W) pictures so far; black where a candidate took no part."""
    seconds: tuple[float, ...]
    """(T) duration of the steps; empty if not measured."""

    @property
    def candidates(self) -> int:
        """K."""
        return self.alive.shape[1]

    @property
    def redraws(self) -> bool:
        """Whether candidates are draws of one step instead of separate pictures (`every`)."""
        return self.settings.selection == "every" and self.candidates > 1

    @property
    def choices(self) -> list[int]:
        """Indices into `steps` after which candidates were dropped."""
        return [i for i in range(len(self.steps)) if (self.alive[i] & ~self.kept[i]).any()]

    @property
    def chosen(self) -> int:
        """The only candidate left; -1 while there are several."""
        left = np.flatnonzero(self.kept[-1:])  # of the last step
        return int(left[0]) if len(left) == 1 else -1

    def last_frame(self, candidate: int) -> NDArray[np.uint8]:
        """(3, H, W): the latest picture of a candidate."""
        return self.frames[self.shown_at(len(self.steps) - 1, candidate)]

    def shown_at(self, index: int, candidate: int) -> tuple[int, int]:
        """Index into `frames` of a candidate at a step: of that step, or of the last one it took part in.

        Before the draws of `every` begin, all candidates are the one picture there is.
        """
        alive = np.flatnonzero(self.alive[: index + 1, candidate])
        if len(alive):
            return int(alive[-1]), candidate
        return index, int(np.flatnonzero(self.alive[index])[0])


class GrowingRace:
    """A race that grows with the steps of a decode of one prompt."""

    def __init__(self, prompt: str, settings: DecodeSettings, num_tokens: int, side: int) -> None:
        count, k = len(plan_steps(settings, num_tokens)), settings.candidates
        self.prompt, self.settings, self.num_tokens = prompt, settings, num_tokens
        self.alignment = np.full((count, k), np.nan, np.float32)
        self.alive, self.kept = np.zeros((count, k), bool), np.zeros((count, k), bool)
        self.frames = np.zeros((count, k, 3, side, side), np.uint8)
        self.steps: list[int] = []
        self.decoded: list[float] = []
        self.seconds: list[float] = []

    def add(self, record: StepRecord, pictures: NDArray[np.uint8], seconds: float) -> Race:
        """Adds a step, whose rows `pictures` (R, 3, H, W) show, and returns the race so far."""
        i, candidates = len(self.steps), record.candidate.cpu().numpy()
        self.alive[i, candidates] = True
        self.kept[i, candidates] = record.kept.cpu().numpy()
        self.frames[i, candidates] = pictures
        if record.alignment is not None and _comparable(self.settings, len(candidates)):
            self.alignment[i, candidates] = record.alignment.float().cpu().numpy()
        self.steps.append(record.step + 1)
        self.decoded.append(record.decoded_fraction)
        self.seconds.append(seconds)
        part = slice(0, i + 1)  # views are safe: a row is never written twice
        return Race(
            self.prompt,
            self.settings,
            self.num_tokens,
            tuple(self.steps),
            tuple(self.decoded),
            self.alignment[part],
            self.alive[part],
            self.kept[part],
            self.frames[part],
            tuple(self.seconds),
        )


def timed(records: Iterable[StepRecord]) -> Iterator[tuple[StepRecord, float]]:
    """Yields each record with the seconds that it took to compute; time spent by the consumer is not counted."""
    source = iter(records)
    while True:
        began = time.perf_counter()
        record = next(source, None)
        if record is None:
            return
        yield record, time.perf_counter() - began


def about_record(pretrained: "Pretrained", prompts: Sequence[str], settings: DecodeSettings) -> About:
    """Description of a record of these prompts, decoded in one batch."""
    return About.of(pretrained, PaintPlan(prompts, settings, range(len(prompts)), len(prompts)))


def paint_race(
    work: Work[StoredDecode],
    pretrained: "Pretrained",
    workspace: Workspace,
    model: str,
    prompt: str,
    settings: DecodeSettings,
) -> StoredDecode:
    """Paints and stores one prompt; shows the `Race` after every step."""
    prompt, image = asked(prompt), pretrained.config.image
    about = {
        "model": model,
        "model_id": pretrained.model_id,
        "settings": settings.to_dict(),
        "seed": settings.seed,
        "readings": [pretrained.reader.read(prompt).to_dict()],
    }
    race = None
    with begin(workspace, KIND, prompt, about) as draft:
        growing = GrowingRace(prompt, settings, image.num_tokens, image.size)
        records = paint_iter(pretrained, [prompt], settings, scored="all")
        with RecordWriter(draft.record_path, about_record(pretrained, [prompt], settings)) as writer:
            for record, seconds in timed(records):
                pictures = previews(pretrained.image_tokenizer, image, record).cpu()
                writer.add(record, pictures)
                race = growing.add(record, pictures.numpy(), seconds)
                work.show(race)
                work.tell(record.decoded_fraction, f"step {record.step + 1} of {settings.steps}")
        assert race is not None
        draft.about |= {"seconds": list(race.seconds), "chosen": race.chosen}
        return draft.finish(Image.fromarray(race.last_frame(max(0, race.chosen)).transpose(1, 2, 0)))


def asked(prompt: str) -> str:
    """The prompt without extra blanks; raises InputError if nothing is left, or if it is not plain text."""
    if not (words := " ".join(require_text(prompt, "the prompt").split())):
        raise InputError("there is no prompt: write what to paint")
    return words


def open_race(stored: StoredDecode) -> Race:
    """Opens a stored race; raises InputError if its record is damaged."""
    return race_of(load_record(stored.record_path), tuple(stored.about.get("seconds", ())))


def race_of(record: DecodeRecord, seconds: tuple[float, ...] = (), picture: int = 0) -> Race:
    """The race of one prompt in a record."""
    steps = record.steps
    alive, alignment = record.alive[steps, picture], record.alignment[steps, picture].copy()
    alignment[[not _comparable(record.about.settings, int(row.sum())) for row in alive]] = np.nan
    return Race(
        record.about.prompts[picture],
        record.about.settings,
        record.about.num_tokens,
        tuple(step + 1 for step in steps),
        tuple(record.decoded_fraction[steps].tolist()),
        alignment,
        alive,
        record.kept[steps, picture],
        np.stack([np.asarray(record.previews[step, picture]) for step in steps]),
        seconds if len(seconds) == len(steps) else (),
    )


def _comparable(settings: DecodeSettings, candidates: int) -> bool:
    """Whether a score of so many candidates says something: a sum of scores is relative to the others."""
    return candidates > 1 or len(settings.scores) == 1


def score_title(score: str) -> str:
    """What a score is called at an axis."""
    return "Alignment (cosine)" if score == "cosine" else f"Score ({score.replace('+', ' + ')})"


def race_data(
    race: Race,
    title: str,
    right: Sequence[bool | None] | None = None,
    chosen: int | None = None,
    select: Sequence[int] | None = None,
    urls: dict[tuple[int, int], str] | None = None,
) -> dict[str, Any]:
    """Data for the player's mode `race`.

    `right` says whether each candidate came out right. `chosen` and `select` name the chosen candidate and the
    moments of choice for a race in which all candidates were finished. `urls` caches the pictures of a growing
    race between calls.
    """
    steps = [
        {"step": step, "of": race.settings.steps, "decoded": decoded}
        for step, decoded in zip(race.steps, race.decoded, strict=True)
    ]
    urls = {} if urls is None else urls
    marks = race.choices if select is None else list(select)
    return {
        "mode": "race",
        "title": title,
        "size": int(race.frames.shape[-1]),
        "grid": round(race.num_tokens**0.5),
        "steps": steps,
        "select": marks,
        "chosen": race.chosen if chosen is None else chosen,
        "score": score_title(race.settings.score),
        "candidates": [_candidate(race, k, None if right is None else right[k], urls) for k in range(race.candidates)],
    }


def _candidate(race: Race, number: int, right: bool | None, urls: dict[tuple[int, int], str]) -> dict[str, Any]:
    length = len(race.steps) if race.redraws else int(np.flatnonzero(race.alive[:, number])[-1]) + 1
    scores = race.alignment[:length, number].tolist()
    places = [race.shown_at(i, number) for i in range(length)]
    for place in places:
        if place not in urls:
            urls[place] = png_url(race.frames[place])
    return {
        "number": number,
        "colour": candidate_colour(number),
        "alive": length,
        "frames": [urls[place] for place in places],
        "alignment": [None if score != score else round(score, 5) for score in scores],
        "right": right,
    }
