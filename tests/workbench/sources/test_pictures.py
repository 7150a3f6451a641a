"""HTML of samples: strangers' words are escaped, tokens are marked."""

import numpy as np

from workbench.sources.browse import Broken, Sample
from workbench.sources.pictures import broken_card, card_grid, chips, sample_card
from workbench.sources.seen import Returned, Token

EVIL = "<script>alert('x')</script>\" onload=\""


def sample(caption):
    pixels = np.zeros((3, 6, 6), np.uint8)
    return Sample("a/b", caption, pixels, pixels.transpose(1, 2, 0), 6, 6, "PNG")


def test_captions_and_names_are_escaped():
    tokens = [Token(1, EVIL, "known")]
    html = card_grid([sample_card(sample(EVIL), tokens), broken_card(Broken(EVIL, EVIL, EVIL))])
    assert "<script" not in html and '" onload="' not in html and "&lt;script&gt;" in html


def test_chips_carry_id_kind_and_meaning():
    html = chips([Token(7, "red", "known"), Token(9, "x", "cut")])
    assert 'class="chip known"' in html and "<small>7</small>" in html and "context length of the model, id 9" in html


def test_a_card_tells_the_error_of_the_tokenizer_in_levels():
    back = Returned(np.zeros((1, 3, 6, 6), np.uint8), np.array([2.25]), np.array([17]))
    assert "error 2.2, at most 17" in sample_card(sample("a"), [], back)
    exact = Returned(np.zeros((1, 3, 6, 6), np.uint8), np.array([0.0]), np.array([0]))
    assert "exact" in sample_card(sample("a"), [], exact)
