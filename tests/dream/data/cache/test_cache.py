"""Caches: the same training as from the pictures, killed and parallel writers, holes, and what is refused."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import zarr

from dream.__main__ import main
from dream.data.cache import layout, writing
from dream.data.cache.corpus import open_cache
from dream.data.cache.rows import read_cached_row
from dream.data.report import DataReport
from dream.data.sources import open_corpora, open_source
from dream.errors import InputError
from dream.overrides import override
from dream.training import frozen
from dream.training.frozen import FrozenEncoder, check_cache
from dream.training.run_log import read_metrics
from tests.dream.frozen_small import save_t5, save_vae
from tests.dream.training.training_small import (
    run_training,
    small_config,
    train_on_ranks,
    weights,
    without_dropout,
    write_pictures,
)

PICTURES = 24


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pictures in a folder, a configuration with a VAE and T5, its `--set`, and a whole cache with exact moments."""
    root = tmp_path_factory.mktemp("cache")
    write_pictures(root / "pictures", PICTURES)
    captions = [path.read_text() for path in sorted((root / "pictures").rglob("*.txt"))]
    vae, t5 = save_vae(root / "vae"), save_t5(root / "t5", captions)
    sets = [f"image.vae={vae}", "image.tokenizer=sd-vae", "image.channels=4", "image.stride=2", "image.scale=0.18215"]
    sets += ["image.patch_size=2", "image.size=16", "data.flip=true", "text.conditioning=t5", f"text.t5={t5}"]
    sets += ["text.conditioning_width=16", "text.conditioning_length=9"]
    config = override(small_config(batch_size=8, steps=3, optimizer="adamw"), sets)
    command = ["cache", "--preset", "tiny", "--data", str(root / "pictures"), "--set", *sets]
    assert main([*command, "--out", str(root / "exact.zarr"), "--dtype", "float32"]) == 0
    return root, config, command


@pytest.mark.parametrize("states", [False, True])
def test_training_from_a_cache_is_the_training_from_its_pictures(made, tmp_path, states):
    root, config, command = made
    cache = root / "exact.zarr"
    if states:
        cache = tmp_path / "states.zarr"
        assert main([*command, "--out", str(cache), "--dtype", "float32", "--states"]) == 0
    losses = []
    for out, source in ((tmp_path / "a", root / "pictures"), (tmp_path / "b", cache)):
        run_training(out, config, source=str(source))
        rows = [row for row in read_metrics(out, "train") if isinstance(row["generative_loss"], float)]
        losses.append([(row["step"], row["generative_loss"], row["contrastive_loss"]) for row in rows])
    # not weights: BatchNorm makes some gradients zero but for rounding, which AdamW then grows
    assert losses[0] and np.array(losses[0]) == pytest.approx(np.array(losses[1]), rel=1e-3 if states else 1e-5)


def test_tokens_of_a_batch_are_those_of_its_pictures_mirrored_ones_too(made, tmp_path):
    root, config, command = made
    half = tmp_path / "half.zarr"
    assert main([*command, "--out", str(half)]) == 0
    encoder = FrozenEncoder(config)
    batches = [
        list(itertools.islice(open_source(str(source), config, seed=3, cached=True).batches(8), 5))
        for source in (root / "pictures", root / "exact.zarr", half)
    ]
    noise = torch.randn(8, *config.image.latent_shape, generator=torch.Generator().manual_seed(0))
    for (plain, after), (exact, after_exact), (narrow, _) in zip(*batches, strict=True):
        assert after == after_exact
        assert plain.keys == exact.keys == narrow.keys and plain.captions == exact.captions
        bundle = type("Bundle", (), {"image_tokenizer": encoder.image_tokenizer, "conditioning": encoder.t5})
        tokens = [frozen.batch_tokens(bundle, batch, batch.images, noise) for batch in (plain, exact, narrow)]
        assert torch.allclose(tokens[0], tokens[1], atol=1e-6)
        assert torch.allclose(tokens[0], tokens[2], atol=2e-3) and not torch.equal(tokens[0], tokens[2])
        dropped = ["" if i % 3 == 0 else caption for i, caption in enumerate(plain.captions)]
        texts = [frozen.conditioning_of(bundle, batch, dropped) for batch in (plain, exact)]
        assert torch.allclose(texts[0], texts[1], atol=1e-6)


def small_parts(made, folder, workers=1, encode=None):
    """A cache of tar-like parts of 5 rows, written by several workers."""
    root, config, _ = made
    encoder = FrozenEncoder(config)
    corpora = open_corpora(str(root / "pictures"), config)
    about = encoder.about("pictures", {split: tuple(corpus.shards) for split, corpus in corpora.items()})
    about = replace(about, part_rows=5)
    layout.write_about(folder, about)
    writer = writing.CacheWriter(folder, about, encode or encoder, batch_size=4)
    for number in range(workers):
        for split, corpus in corpora.items():
            list(writer.write(split, corpus, writing.Worker(number, workers), DataReport()))
    return about


def test_parts_have_one_writer_each_and_together_are_the_whole(made, tmp_path):
    whole, shared = tmp_path / "one.zarr", tmp_path / "three.zarr"
    small_parts(made, whole)
    small_parts(made, shared, workers=3)
    for cache in (whole, shared):
        assert layout.find_parts(cache).holes() == []
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(shared) for path in shared.rglob("*") if path.is_file())
    shares = [set(itertools.islice(writing.Worker(i, 3).parts(1), 9)) for i in range(3)]
    assert set.union(*shares) >= set(range(25)) and sum(map(len, shares)) == 27
    rows = [[row.key for row in open_cache(c)[0]["train"].rows(0, 0, DataReport())] for c in (whole, shared)]
    assert rows[0] == rows[1] and len(rows[0]) == PICTURES
    array = zarr.open_group(whole / "train" / "000000-000001", mode="r")["moments"]
    assert np.array_equal(array[3], read_cached_row(f"{whole}/train/000000-000001/moments", 3))  # plain zarr 3


def test_a_killed_writer_leaves_whole_parts_and_the_next_one_finishes(made, tmp_path):
    cache, calls = tmp_path / "cache.zarr", []
    encoder = FrozenEncoder(made[1])

    def killed(pictures, captions):
        calls.append(len(captions))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return encoder(pictures, captions)

    with pytest.raises(KeyboardInterrupt):
        small_parts(made, cache, encode=killed)
    holes = layout.find_parts(cache).holes()
    assert len(holes) == 1 and "rows 5 to 9 and perhaps more" in holes[0]
    with pytest.raises(InputError, match="not whole: 1 part missing.*rows 5 to 9"):
        open_source(str(cache), made[1], cached=True)
    first = (cache / "train" / "000000-000000").stat().st_mtime_ns
    small_parts(made, cache)
    assert layout.find_parts(cache).holes() == []
    assert (cache / "train" / "000000-000000").stat().st_mtime_ns == first


def test_verify_names_missing_parts_and_samples_with_flipped_bits(made, tmp_path, capsys):
    cache = tmp_path / "cache.zarr"
    small_parts(made, cache)
    assert main(["cache", "--out", str(cache), "--verify"]) == 0
    layout.write_index(cache, layout.find_parts(cache))
    shard = next((cache / "train" / "000000-000002" / "moments" / "c").rglob("0/0/0/0/0/0"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    shutil.rmtree(cache / "train" / "000000-000003")
    capsys.readouterr()
    assert main(["cache", "--out", str(cache), "--verify"]) == 2
    out = capsys.readouterr()
    assert "missing part train/000000-000003 (pictures, rows 15 to 19)" in out.out
    assert out.out.count("damaged sample pictures/") == 1 and "2 holes" in out.err
    source = open_source(str(cache), made[1], seed=0, cached=True)  # by its index: damaged rows are skipped and named
    keys = {key for batch, _ in itertools.islice(source.batches(8), 4) for key in batch.keys}
    assert len(keys) > 8 and set(source.report.by_kind()) == {"damaged cache"}


def test_what_does_not_fit_is_refused_in_a_sentence(made, tmp_path, capsys):
    root, config, command = made
    cache = str(root / "exact.zarr")
    other = save_vae(tmp_path / "vae", seed=1)
    changed = override(config, [f"image.vae={other}"])
    about, encoder = layout.read_cache_about(root / "exact.zarr"), FrozenEncoder(changed)
    bundle = type("Bundle", (), {"image_tokenizer": encoder.image_tokenizer, "conditioning": encoder.t5})
    with pytest.raises(InputError, match="another VAE"):
        check_cache(about, bundle)
    assert main([*command, f"image.vae={other}", "--out", cache, "--dtype", "float32"]) == 2
    assert "made with other things: vae" in capsys.readouterr().err
    for change, words in (("image.size=32", "pictures of 16 pixels"), ("image.scale=1", "image.scale=0.18215")):
        with pytest.raises(InputError, match=words):
            open_source(cache, override(config, [change]), cached=True)
    with pytest.raises(InputError, match="is a cache: it holds no pictures"):
        open_source(cache, config)
    for arguments, words in (
        (["--data", "shapes"], "without end"),
        (["--data", str(root / "pictures"), "--preset", "tiny"], "trains on pixels"),
        ([], "give --data SRC"),
        (["--verify"], "is not a cache"),
        (["--data", str(root / "pictures"), "--part", "3/2"], "--part must be I/N"),
    ):
        assert main(["cache", "--out", str(tmp_path / "x.zarr"), *arguments]) == 2
        assert words in capsys.readouterr().err


def test_broken_samples_of_the_source_are_left_out_and_named(made, tmp_path):
    root, config, command = made
    pictures = tmp_path / "pictures"
    shutil.copytree(root / "pictures", pictures)
    broken = sorted(pictures.rglob("*.png"))[4]
    broken.write_bytes(broken.read_bytes()[:60])
    cache = tmp_path / "cache.zarr"
    command = [str(pictures) if part == str(root / "pictures") else part for part in command]
    assert main([*command, "--out", str(cache)]) == 0
    source = open_source(str(cache), config, cached=True)
    assert source.report.by_kind() == {"broken picture": 1}
    assert source.facts()["train"]["rows"] == PICTURES - 1


@pytest.mark.slow
def test_two_ranks_train_from_a_cache_as_one(made, tmp_path):
    root, config, _ = made
    config = without_dropout(override(config, ["train.lr=1e-4"]))
    request = {"config": config, "source": str(root / "exact.zarr"), "accelerator": "cpu"}
    run_training(tmp_path / "one", **request)
    train_on_ranks(2, out=tmp_path / "two", **request)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all(torch.allclose(value, two[name], atol=2e-3) for name, value in one.items())
