"""The table of cosines: numbers, pictures and captions at their places."""

import numpy as np

from workbench.figures.joint_space import plot_similarity_table


def test_rows_are_captions_and_columns_pictures():
    cosines = np.array([[0.9, 0.1, -0.2], [0.0, 0.8, 0.3]])
    figure = plot_similarity_table(cosines, ["a red circle", "a cross"], np.zeros((3, 3, 30, 30), np.uint8))
    assert np.array_equal(figure.data[0].z, cosines)
    assert len(figure.layout.images) == 3 and [image.x for image in figure.layout.images] == [0, 1, 2]
    assert figure.layout.yaxis.ticktext == ("a red circle", "a cross")
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first caption is on top"


def test_without_anything_it_says_so():
    figure = plot_similarity_table(np.zeros((0, 0)), [], np.zeros((0, 3, 30, 30), np.uint8))
    assert not figure.data and "no pictures" in figure.layout.annotations[0].text
