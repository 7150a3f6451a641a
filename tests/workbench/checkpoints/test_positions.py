"""Position tables: which they are, how they lie on the grid, and what their pictures show."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dream.model.positions import sine_cosine_table
from workbench.checkpoints import positions
from workbench.checkpoints.files import open_checkpoint


def part_of(folder, **shapes):
    """The weights of a file with tensors of these shapes; `__` stands for a dot."""
    tensors = {name.replace("__", "."): torch.randn(shape) for name, shape in shapes.items()}
    save_file(tensors, folder / "a.safetensors")
    return open_checkpoint(folder / "a.safetensors").weights


def test_tables_are_found_by_their_names_ours_and_others(tmp_path):
    part = part_of(
        tmp_path,
        encoder__positions=(13, 4),
        decoder__output_positions=(9, 4),
        pos_embed=(1, 17, 4),
        encoder_pos_embed_learned=(1, 13, 4),
        positional_embedding=(77, 4),
        encoder__embed__weight=(9, 4),
        position_ids=(77,),
        positions_bias=(1, 4),
        deposit__weight=(4, 4),
    )
    names = {entry.name for entry in positions.position_tables(part)}
    assert names == {
        "encoder.positions",
        "decoder.output_positions",
        "pos_embed",
        "encoder_pos_embed_learned",
        "positional_embedding",
    }


def test_the_grid_is_guessed_from_the_checkpoint_then_from_square_tables(tmp_path):
    part = part_of(
        tmp_path,
        encoder_pos_embed_learned=(1, 64 + 256, 4),
        diffusion_pos_embed_learned=(1, 256, 4),
        text_pos_emb=(1, 16, 4),
    )
    entry = part.entry("encoder_pos_embed_learned")
    assert positions.guess_side(entry, part, None) == 16
    assert positions.guess_side(entry, part, 17) == 17
    assert positions.guess_side(entry, part, 99) == 16
    assert positions.guess_side(part.entry("text_pos_emb"), part, None) == 0


def test_the_grid_takes_the_last_rows_and_too_many_cells_are_refused():
    values = np.arange(26.0).reshape(13, 2)
    table = positions.on_grid(values, 3)
    assert (table.rows, table.columns, table.before) == (3, 3, 4)
    assert table.values.tolist() == values[4:].tolist() and table.place(5) == (1, 2)
    assert positions.on_grid(values[None], 0).columns == 13
    with pytest.raises(ValueError, match="needs 16 positions"):
        positions.on_grid(values, 4)


@pytest.mark.parametrize("shape", [(9, 30), (25, 4)])
def test_components_are_those_of_the_singular_value_decomposition(shape):
    values = np.random.default_rng(0).normal(size=shape)
    table = positions.on_grid(values, 0)
    scores, variance = positions.components(table)
    centred = table.values.astype(float) - table.values.astype(float).mean(0)
    strength = np.linalg.svd(centred, compute_uv=False)
    count = len(strength)
    assert np.allclose(np.linalg.norm(scores, axis=0)[:count], strength, atol=1e-5)
    assert variance.sum() == pytest.approx(1.0) and (np.diff(variance) <= 1e-12).all()


def test_similarity_is_one_with_itself_and_falls_with_the_distance_of_waves():
    table = positions.on_grid(sine_cosine_table(6, 32).numpy(), 6)
    cosines = positions.similarities(table)
    assert np.allclose(np.diag(cosines), 1) and np.allclose(cosines, cosines.T)
    near = positions.similarity_map(cosines, table, 14)
    assert near.shape == (6, 6) and near[2, 2] == pytest.approx(1.0)
    assert near[2, 3] > near[2, 4] > near[2, 5]


def test_centred_similarity_is_that_of_what_the_positions_do_not_share():
    values = np.random.default_rng(0).normal(size=(9, 4))
    shared = positions.on_grid(values + 100.0, 3)
    assert positions.similarities(shared).min() > 0.9
    alone = positions.similarities(positions.on_grid(values, 3), centred=True)
    assert np.allclose(positions.similarities(shared, centred=True), alone, atol=1e-4)


def test_the_mosaic_has_each_map_at_its_place():
    table = positions.on_grid(np.random.default_rng(0).normal(size=(9, 4)), 3)
    cosines = positions.similarities(table)
    tiles = positions.mosaic(cosines, table)
    assert tiles.shape == (11, 11) and np.isnan(tiles[3]).all() and np.isnan(tiles[:, 7]).all()
    assert np.array_equal(tiles[4:7, 8:11], positions.similarity_map(cosines, table, 5))


def test_damaged_and_level_tables_still_give_pictures():
    values = np.zeros((9, 4))
    values[2, 1], values[3, 0] = np.nan, np.inf
    table = positions.on_grid(values, 3)
    scores, variance = positions.components(table)
    assert np.isfinite(scores).all() and np.isfinite(variance).all()
    assert positions.as_colours(scores, table).shape == (3, 3, 3)
    assert np.isfinite(positions.similarities(table)).all()
