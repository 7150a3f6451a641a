"""The joint space searched: cosines as the model has them, nested masks, nothing looked at twice."""

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dream.errors import InputError
from dream.presets import preset
from tests.workbench.search.search_small import captioned_folder, small_model
from workbench.search import index as search
from workbench.search.hits import hits_csv, why_no_joint_space
from workbench.search.index import (
    build_index,
    features_at,
    has_joint_space,
    hidden,
    looked_at,
    looked_features,
    looked_up,
    most_pictures,
    nearest,
    other_captions,
    places_with_caption,
    ranks_of,
    text_features,
)
from workbench.sources.browse import browse

MODEL = small_model()


@pytest.fixture(scope="module")
def index():
    return build_index(MODEL, browse("shapes", MODEL.config, "val"), 70)


def png(size=(40, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_every_picture_is_its_own_nearest_and_features_have_length_one(index):
    for ratio in (0.0, 0.5):
        features = features_at(MODEL, index, ratio)
        assert torch.allclose(features.norm(dim=1), torch.ones(70), atol=1e-5)
        hit = nearest(features, features[5], 3)[0]
        assert hit.place == 5 or hit.cosine == pytest.approx(1)


def test_a_picture_looked_at_alone_has_the_features_of_the_index(index):
    for ratio in (0.0, 0.3, 0.95):
        alone = looked_features(MODEL, looked_up(index, 66), ratio)
        assert torch.allclose(alone, features_at(MODEL, index, ratio)[66], atol=1e-5)


def test_a_higher_ratio_hides_what_a_lower_one_hid_and_one_token_stays(index):
    masks = [hidden(MODEL, index.orders, ratio) for ratio in (0.0, 0.3, 0.6, 0.95, 1.0)]
    for less, more in itertools.pairwise(masks):
        assert bool((more | ~less).all())
    assert not masks[0].any() and bool(((~masks[-1]).sum(1) == 1).all())


def test_features_are_computed_once(index, monkeypatch):
    features_at(MODEL, index, 0.2)
    monkeypatch.setattr(search, "features_under", lambda *_: pytest.fail("looked again"))
    features_at(MODEL, index, 0.2)


def test_hits_are_ranked_by_cosine_without_the_query_itself():
    features = torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8], [1, 0]])
    hits = nearest(features, features[0], 3, without=0)
    assert [(hit.rank, hit.place) for hit in hits] == [(1, 3), (2, 2), (3, 1)]
    assert ranks_of(features, torch.tensor([0.0, 1]), [1, 0]) == [1, 3]


def test_equal_captions_are_one_caption_and_the_text_is_not_among_the_others(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 9)
    small = build_index(MODEL, browse(str(folder), MODEL.config, "all"), 9)
    assert len(small.different) == len(small.caption_features) == 4
    assert places_with_caption(small, " A RED  square") == [0, 4, 8]
    assert len(other_captions(small, "A red square")) == 3
    rows = hits_csv(small, nearest(features_at(MODEL, small, 0.0), text_features(MODEL, "red"), 2))
    assert rows.decode().splitlines()[0] == "rank,cosine,name,caption" and rows.count(b"\n") == 3


def test_broken_samples_are_passed_over_and_counted(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 5)
    (folder / "001.png").write_bytes(b"cut")
    browsed = browse(str(folder), MODEL.config, "all")
    small = build_index(MODEL, browsed, 10)
    assert (len(small.names), small.skipped, small.more) == (4, 1, False)
    assert build_index(MODEL, browsed, 2).more
    for file in folder.glob("*.png"):
        file.write_bytes(b"cut")
    with pytest.raises(InputError, match="none of the 5 samples"):
        build_index(MODEL, browsed, 10)


@pytest.mark.parametrize("objective", ["fluid", "mar", "repa"])
def test_a_model_without_the_contrastive_loss_has_no_joint_space(objective):
    config = preset("tiny", objective)
    assert not has_joint_space(config)
    assert "Choose a model trained with" in why_no_joint_space(objective, config)
    assert has_joint_space(preset("tiny")) and has_joint_space(preset("tiny", "clip"))
    with pytest.raises(InputError, match="no joint space"):
        build_index(replace(MODEL, config=config), browse("shapes", MODEL.config, "val"), 4)


def test_an_index_fits_into_memory():
    for config in (preset("tiny"), preset("base")):
        image, count = config.image, most_pictures(config)
        taken = count * (3 * image.size**2 + 4 * image.num_tokens * image.token_dim)
        assert 0 < taken <= search.MEMORY


def test_a_dropped_picture_is_cropped_and_one_that_is_none_refused():
    looked = looked_at(MODEL, "mine.png", png())
    assert looked.pixels.shape == (3, 18, 18) and looked.tokens.shape == (9, 108)
    assert np.array_equal(looked.order.sort().values.numpy(), np.arange(9))
    with pytest.raises(InputError, match="cannot be used as a picture"):
        looked_at(MODEL, "mine.txt", b"text")
    with pytest.raises(InputError, match="larger than 10 MB"):
        looked_at(MODEL, "big.png", b"x" * (search.UPLOAD_BYTES + 1))


def test_an_empty_text_is_refused():
    with pytest.raises(InputError, match="search text is empty"):
        text_features(MODEL, "  ")
