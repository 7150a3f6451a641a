"""Table and figure of the study of choosing: what stands in them is what was measured."""

import numpy as np
import pytest

from dream.evaluation.painted.choosing_measures import Otherwise, choosing_measures
from dream.evaluation.painted.scored_candidates import ScoredCandidates, Seconds
from dream.evaluation.results import Results, write_results
from tests.workbench.evaluate.sample_results import entry
from workbench.choosing import choosing_table, choosing_words, main
from workbench.figures.choosing import FINISHED, choosing_info, plot_choosing


def measured(kind="seen", scores=("cosine", "critic")):
    """200 prompts of 4 candidates whose critic sees the outcome and whose cosine half of it, in 5 steps."""
    draws = np.random.default_rng(3)
    right = draws.random((200, 4)) < 0.4
    noise = draws.random((5, 200, 4))
    values = {"cosine": noise + 0.5 * right, "critic": 0.1 * noise + right}
    found = ScoredCandidates(
        (1, 2, 3, 4, 5),
        (0.1, 0.3, 0.5, 0.8, 1.0),
        values,
        {"thing": right, "thing among five": right},
        right.astype(float),
        Seconds(np.ones(5), np.full(5, 0.1), {name: np.full(5, 0.01) for name in values}),
        [5.4, 5.5],
    )
    others = [
        Otherwise(name, at, dict.fromkeys(found.outcomes, right[:50, 0])) for name, at in (("usual", 1), ("more", 2))
    ]
    return choosing_measures(found, scores, others, {"data": "emoji", "combination": kind})


@pytest.fixture(scope="module")
def result():
    return Results("emoji", "emoji", (entry("choosing", [*measured(), *measured("unseen")]),))


def test_lines_are_gains_at_their_time_and_the_line_to_beat_is_there(result):
    seen, unseen = choosing_info([result])
    assert (seen.panel.title, unseen.panel.title) == ("seen combinations", "unseen combinations")
    points = {name: [p for p in seen.panel.points if p.name == name] for name in ("cosine", "critic", FINISHED, "more")}
    assert {name: len(found) for name, found in points.items()} == {"cosine": 5, "critic": 5, FINISHED: 3, "more": 1}
    assert [p.at for p in points["critic"]] == sorted(p.at for p in points["critic"])
    assert points["critic"][0].value > points["cosine"][0].value > 0
    assert points[FINISHED][-1].at == pytest.approx(points["cosine"][-1].at, abs=0.01)
    assert points["more"][0].at == 2 and "any of 4 right" in seen.words


def test_the_figure_has_the_study_or_says_how_to_make_it(result):
    figure = plot_choosing([result])
    assert {trace.name for trace in figure.data} == {"cosine", "critic", FINISHED, "more"}
    assert "95 %" in figure.layout.title.text
    nothing = plot_choosing([Results("a", "")])
    assert not nothing.data and "dream evaluate" in nothing.layout.annotations[0].text


def test_a_row_is_the_choice_at_the_headlines_step_in_pictures_per_hundred(result):
    rows = [line.split(" | ") for line in choosing_table(result, "thing")]
    (critic,) = [row for row in rows if row[0] == "| seen" and row[1].startswith("critic")]
    gain = next(
        m
        for m in result.entries[0].measures
        if m.name == "gain of the choice"
        and m.where.get("headline")
        and m.where["score"] == "critic"
        and m.where["candidates"] == 4
        and m.where["outcome"] == "thing"
    )
    assert critic[1] == "critic, 30% of the tokens"
    assert critic[2].startswith(f"{100 * gain.estimate.value:+.1f} ± ") and critic[6].startswith(
        f"{gain.where['time']:.2f}"
    )
    assert sum(row[1].startswith("best of") for row in rows) == 6 and sum(row[1] == "more" for row in rows) == 2
    assert any("a sample right" in line for line in choosing_words(result, "thing"))


def test_the_program_prints_the_table_and_writes_the_figure(result, tmp_path, capsys):
    write_results(tmp_path, result)
    assert main(["--out", str(tmp_path), "--outcome", "thing"]) == 0
    assert "| seen | critic" in capsys.readouterr().out and (tmp_path / "choosing.html").is_file()
    assert main(["--out", str(tmp_path), "--outcome", "size"]) == 2
    assert "was not measured (measured: thing, thing among five)" in capsys.readouterr().err
