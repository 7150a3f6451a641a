"""The figures of a decode say what its steps did."""

import numpy as np

from workbench.figures.decoding import plot_course, plot_order


def data(alignment=(0.1, None, 0.3)):
    steps = [
        {"step": i + 1, "of": 3, "decoded": share, "guidance": 1.0 + i, "alignment": score, "revealed": places}
        for i, (share, score, places) in enumerate(zip((0.5, 0.75, 1.0), alignment, ([1], [2], [3]), strict=True))
    ]
    return {"grid": 2, "order": [-1, 0, 1, 2], "steps": steps}


def test_the_order_is_a_map_with_its_first_row_on_top():
    figure = plot_order(data())
    np.testing.assert_array_equal(figure.data[0].z, [[np.nan, 1], [2, 3]])
    assert figure.layout.yaxis.range == (2.5, 0.5)
    assert "row" in figure.layout.yaxis.title.text and "column" in figure.layout.xaxis.title.text
    assert figure.data[0].customdata[0][0] == "given"


def test_the_course_has_a_line_of_scores_and_bars_of_tokens():
    figure = plot_course(data())
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["tokens revealed"].y) == [1, 1, 1]
    assert list(traces["alignment with the prompt"].y) == [0.1, None, 0.3]
    assert list(traces["guidance scale"].y) == [1.0, 2.0, 3.0]


def test_a_model_without_scores_says_so():
    figure = plot_course(data((None, None, None)))
    assert "no joint space" in figure.layout.annotations[0].text
    assert "alignment with the prompt" not in [trace.name for trace in figure.data]
