"""Names, captions and words of users stand in a figure as they were written: one row per figure that shows any."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dream.config import MaskingConfig, ObjectiveConfig
from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from dream.pretrained import SHIPPED
from tests.workbench.evaluate.sample_results import entry, estimate, results
from workbench.checkpoints.difference import Distance
from workbench.checkpoints.files import Part, TensorEntry
from workbench.checkpoints.optimizer import OptimizerMoments
from workbench.figures import by_ratio, checkpoints, data, joint_space, masking, search, style
from workbench.figures.checkpoint_tree import plot_tree
from workbench.figures.paper import plot_paper_beside
from workbench.figures.robustness import plot_robustness
from workbench.figures.selection import plot_selection
from workbench.figures.side_by_side import plot_comparison
from workbench.masking.drawn import read_drawn
from workbench.masking.study import at_moment, over_training

TYPED = "<b>a&b</b> %{y} $c$"
UNSHOWN = ("ids", "parents", "legendgroup", "source", "uirevision", "level")
"""Properties that plotly never draws."""
MODELS = (Results(TYPED, "a", results("dream").entries), Results("b", "b", results("dream").entries))
SHIFTED = Measure("robustness", "accuracy", {"shift": TYPED}, estimate(0.5))
ROBUST = (Results(TYPED, "a", (entry("robustness", [SHIFTED], data=f"data/{TYPED.replace('/', '')}"),)),)
TENSORS = [TensorEntry(f"{TYPED}{i}", (2,), TYPED, 8, Path("a")) for i in range(2)]


@cache
def drawn():
    """The ratios of the shipped model, under another name."""
    return replace(read_drawn(SHIPPED["demo"]), name=TYPED)


@cache
def schedule():
    """The published masking."""
    return over_training(MaskingConfig(), ObjectiveConfig(), 25, moments=5, bins=10)


def moment():
    """The draws in the middle of the training."""
    return at_moment(0.5, MaskingConfig(), ObjectiveConfig(), 25)


FIGURES = {
    "retrieval": lambda: by_ratio.plot_retrieval_by_ratio(MODELS),
    "side by side": lambda: plot_comparison(MODELS),
    "selection": lambda: plot_selection(MODELS),
    "paper": lambda: plot_paper_beside(MODELS),
    "robustness": lambda: plot_robustness(ROBUST),
    "density": lambda: masking.plot_density(schedule(), 0.5, drawn()),
    "ridges": lambda: masking.plot_ridges(schedule(), 0.5, drawn()),
    "shares": lambda: masking.plot_shares(schedule(), 0.5, drawn()),
    "moment": lambda: masking.plot_moment(moment(), np.linspace(0, 1, 9), TYPED),
    "words": lambda: data.plot_frequent([(TYPED, 3), ("b", 2)]),
    "joint space": lambda: joint_space.plot_similarity_table(
        np.zeros((1, 1)), [TYPED], np.zeros((1, 3, 4, 4), np.uint8)
    ),
    "marked cosine": lambda: search.plot_cosines(np.linspace(0, 1, 5), [(TYPED, 0.5)]),
    "patches": lambda: search.plot_patch_map(np.zeros((2, 2)), np.zeros((3, 8, 8), np.uint8), TYPED),
    "words of a text": lambda: search.plot_word_parts(["<b>$&%{y}</b>"], np.ones(1)),
    "tensors": lambda: plot_tree(Part("model", tuple(TENSORS))),
    "distances": lambda: checkpoints.plot_distances([Distance(TYPED, 3, 4.0, 4.0, 1.0, 3.5, 0.5)]),
    "moments": lambda: checkpoints.plot_moments([OptimizerMoments(TYPED, "Adam", 1, 2, 0.1, 0.1, 0)]),
    "nothing": lambda: style.empty(TYPED, "There is nothing."),
}


def texts(tree: object, name: str = "") -> Iterator[str]:
    """Every text of a figure that plotly may draw."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key not in UNSHOWN:
                yield from texts(value, key)
    elif isinstance(tree, (list, tuple)) or (isinstance(tree, np.ndarray) and tree.dtype.kind in "OU"):
        for value in tree:
            yield from texts(value, name)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_shows_text_of_users_as_text(name):
    found = list(texts(FIGURES[name]().to_plotly_json()))
    assert not [text for text in found if "<b>a&b" in text or "$c$" in text or "<b>$" in text or "%{y} $" in text]
    assert any("&lt;b&gt;" in text for text in found)
