"""Small races and finished candidates for tests: of the shipped model in few steps, and made up."""

from functools import cache

import numpy as np

from dream.decoding.settings import DecodeSettings
from dream.model.pretrained import Pretrained
from dream.pretrained import load_pretrained
from workbench.store import StoredDecode
from workbench.trajectories.finished import Finished
from workbench.trajectories.race import Race, paint_race, race_settings_of
from workbench.work import Work
from workbench.workspace import Workspace

PROMPT = "a red circle above a blue square on a white background"


@cache
def demo() -> Pretrained:
    return load_pretrained("demo")


def settings(selection="once", at="2steps", candidates=3, steps=4, score="cosine") -> DecodeSettings:
    """Of the shipped model, in so few steps that a race takes a tenth of a second."""
    return race_settings_of(
        demo().config, at, selection=selection, candidates=candidates, steps=steps, sampling_steps=2, score=score
    )[0]


def done(function):
    """What the work returns; its failure is raised."""
    work = Work(function).wait()
    if work.error is not None:
        raise work.error
    return work.result


def painted(workspace: Workspace, **changes) -> StoredDecode:
    """A stored race of the shipped model."""
    return done(lambda work: paint_race(work, demo(), workspace, "demo", PROMPT, settings(**changes)))


def finished(scores, well_formed=None, right=None, seconds=(3.0, 3.0), plain=(1.0, 1.0), prompts=None) -> Finished:
    """Made-up candidates with scores (T, P, K), judged if it is said which are well-formed."""
    scores = np.asarray(scores, np.float32)
    t, p, k = scores.shape
    flags = np.zeros((p, k), bool) if well_formed is None else np.asarray(well_formed, bool)
    return Finished(
        tuple(prompts or [f"prompt {i}" for i in range(p)]),
        DecodeSettings(steps=t, candidates=k, selection="none"),
        tuple(range(1, t + 1)),
        tuple((i + 1) / t for i in range(t)),
        scores,
        np.full(p, well_formed is not None),
        flags if right is None else np.asarray(right, bool),
        flags,
        seconds,
        plain,
        1,
        np.zeros((p, k, 3, 4, 4), np.uint8),
    )


def race(alive, kept, alignment, selection="once", steps=4) -> Race:
    """A made-up race of (T, K) flags and scores."""
    alive, kept = np.asarray(alive, bool), np.asarray(kept, bool)
    t, k = alive.shape
    frames = np.zeros((t, k, 3, 4, 4), np.uint8) + np.arange(k, dtype=np.uint8)[None, :, None, None, None]
    chosen = DecodeSettings(steps=steps, candidates=k, selection=selection, select_steps=(1,))
    return Race(
        "a prompt",
        chosen,
        4,
        tuple(range(1, t + 1)),
        tuple((i + 1) / t for i in range(t)),
        np.where(alive, np.asarray(alignment, np.float32), np.nan),
        alive,
        kept,
        frames,
        (),
    )
