"""Prompts: what is counted, with and without selection, and how pictures are painted for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.data.drawn.grammar import caption
from dream.data.drawn.shapes import sample_scenes
from dream.decoding.decode import collect
from dream.decoding.paint import paint_iter
from dream.errors import InputError
from dream.evaluation.painted import painting
from dream.evaluation.painted.painting import paint_captions
from dream.evaluation.painted.prompts import EVERY, GAIN, WELL_FORMED, PromptsSettings
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

ATTRIBUTES = {f"{name} right" for name in ("layout", "ground", "shape", "colour")}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def captions(count, seed=0):
    return [caption(scene) for scene in sample_scenes(1, count, np.random.default_rng(seed))]


def test_prompts_count_what_the_judge_sees(pretrained):
    measures = PromptsSettings(count=40).measure(pretrained)
    for combination, count in (("all", 40), ("unseen", 20), ("seen", 20)):
        found = by_name(measures, combination=combination, things="all")
        assert set(found) == {EVERY, WELL_FORMED} | ATTRIBUTES
        assert {estimate.count for estimate in found.values()} == {count}
        assert found[EVERY].value <= min(found[name].value for name in ATTRIBUTES)
        assert found[WELL_FORMED].value <= found[EVERY].value
        parts = [by_name(measures, combination=combination, things=n)[EVERY].count for n in (1, 2)]
        assert sum(parts) == count


def test_all_prompts_are_the_two_halves_together(pretrained):
    measures = PromptsSettings(count=40).measure(pretrained)
    pooled, *halves = (by_name(measures, combination=c, things="all") for c in ("all", "unseen", "seen"))
    for name in ATTRIBUTES:
        assert pooled[name].value == pytest.approx(np.mean([half[name].value for half in halves]))


def test_selection_is_a_second_condition_beside_the_plain_pictures(pretrained):
    plain = PromptsSettings(count=12).measure(pretrained)
    both = PromptsSettings(count=12, candidates=3).measure(pretrained)
    assert [m for m in both if m.where["candidates"] == 1] == plain
    selected = [m for m in both if m.where["candidates"] == 3]
    assert {(m.where["step"], m.where["decoded_fraction"]) for m in selected} == {(3, 0.44)}
    for refusing, name in ((False, EVERY), (True, WELL_FORMED)):
        gain = by_name(selected, combination="all", malformed_refused=refusing)[GAIN]
        before, after = (by_name(m, combination="all", things="all")[name].value for m in (plain, selected))
        assert gain.value == pytest.approx(after - before) and gain.count == 12


def test_other_steps_and_guidance_are_named(pretrained):
    settings = PromptsSettings(count=4, steps=3, guidance_scale=1.0, candidates=2, select_at="1steps")
    measures = settings.measure(pretrained)
    assert all(m.where["steps"] == 3 and m.where["guidance_scale"] == 1.0 for m in measures)
    assert {m.where.get("step", 1) for m in measures} == {1}


def test_progress_goes_from_nothing_to_nearly_all(pretrained, monkeypatch):
    monkeypatch.setattr(painting, "ROWS", 4)
    told = []
    settings = PromptsSettings(count=8, candidates=2)
    settings.measure(pretrained, progress=lambda done, what: told.append(done))
    assert told == sorted(told) and told[0] == 0 and 0.8 < told[-1] < 1


def test_a_painted_picture_does_not_depend_on_its_batch(pretrained, monkeypatch):
    settings = painting.decode_settings_of(pretrained.config, 0)
    together = paint_captions(pretrained, captions(5), settings)
    monkeypatch.setattr(painting, "ROWS", 2)
    torch.testing.assert_close(paint_captions(pretrained, captions(5), settings), together)
    assert together.shape == (5, 3, 30, 30)


def test_one_candidate_is_painted_as_decode_paints_it(pretrained):
    settings = painting.decode_settings_of(pretrained.config, 0)
    records = painting.batch_records(pretrained, captions(2), settings, range(2))
    direct = paint_iter(pretrained, captions(2), settings, picture_ids=range(2))
    torch.testing.assert_close(collect(records).tokens, collect(direct).tokens)


def test_level_2_is_counted_by_size_and_texture_too(pretrained):
    config = replace(pretrained.config, data=replace(pretrained.config.data, level=2))
    measures = PromptsSettings(count=4).measure(replace(pretrained, config=config))
    names = {measure.name for measure in measures}
    assert {f"{name} right" for name in ("layout", "ground", "shape", "colour", "size", "texture")} < names


def test_what_cannot_be_judged_or_painted_is_refused(pretrained):
    with pytest.raises(InputError, match="answer key"):
        PromptsSettings().measure(pretrained, data="pictures")
    with pytest.raises(InputError, match=r"step in \[1, 4\]"):
        PromptsSettings(count=4, candidates=2, select_at="9steps").measure(pretrained)
    with pytest.raises(InputError, match="prompts.guidance_scale must be at least 1, got 0"):
        PromptsSettings(guidance_scale=0)
