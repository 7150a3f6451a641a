"""The tokenizer of a training, and the words that it keeps of the captions."""

from pathlib import Path

import pytest

from dream.data.drawn.shapes import ShapesSource
from dream.data.text import load_tokenizer
from dream.data.words import TrainingWords
from dream.presets import tiny
from dream.training import bundle
from dream.training.bundle import obtain_tokenizer
from dream.training.checkpoint import read_state


def test_a_training_keeps_all_words_of_its_captions(tmp_path):
    source = ShapesSource(tiny())
    tokenizer = obtain_tokenizer(tiny(), source, None)
    assert tokenizer.words is not None and tokenizer.words.complete
    assert set(tokenizer.words.counts) == {word for text in source.captions() for word in text.lower().split()}
    tokenizer.save(tmp_path)
    assert obtain_tokenizer(tiny(), source, tmp_path).words == tokenizer.words


def test_more_captions_than_are_read_leave_the_list_incomplete(monkeypatch):
    monkeypatch.setattr(bundle, "CAPTIONS_READ", 50)
    words = obtain_tokenizer(tiny(), ShapesSource(tiny()), None).words
    assert words is not None and not words.complete


@pytest.mark.parametrize(
    "model", ["dream/shipped/demo", *(f"notebooks/models/{name}" for name in ("dream", "fluid", "clip"))]
)
def test_the_shipped_models_keep_the_words_of_their_training(model):
    folder = Path(__file__).parents[3] / model
    captions = ShapesSource(read_state(folder).config).captions()
    stored = load_tokenizer(folder / "tokenizer", 20).words
    assert stored is not None and stored.complete
    assert stored.counts.keys() == TrainingWords.of(captions, True).counts.keys()
