"""Foreign checkpoints: the authors' exactly there and back, parts of MAR and open_clip, what is asked or refused."""

import argparse
import json

import pytest
import torch

from dream import official
from dream.__main__ import main
from dream.data.text import train_tokenizer
from dream.errors import InputError
from dream.importing import build as importing
from dream.importing.build import ImportOptions, import_weights
from dream.importing.foreign import read_foreign
from dream.importing.sizes import parse_heads
from dream.model.dream import Dream
from dream.overrides import override
from dream.presets import preset
from dream.pretrained import checkpoint_of
from dream.training import checkpoint

CAPTIONS = [f"a picture of thing number {i}" for i in range(40)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    train_tokenizer(CAPTIONS, 300, 12).save(folder)
    return folder


@pytest.fixture(scope="module")
def config(tokenizer):
    sizes = ["image.size=64", "encoder.width=16", "encoder.depth=2", "encoder.heads=2", "encoder.buffer_tokens=3"]
    sizes += ["decoder.width=24", "decoder.depth=1", "decoder.heads=3", "decoder.aligner_depth=1", "text.width=14"]
    sizes += ["text.depth=2", "text.heads=7", "text.context_length=12", "text.conditioning_length=5"]
    sizes += ["text.conditioning_width=10", "head.width=12", "head.depth=2", "joint.hidden=9", "joint.width=7"]
    vocabulary = json.loads((tokenizer / "captions.json").read_text())["end_id"] + 1
    return override(preset("base"), [*sizes, f"text.vocab_size={vocabulary}"])


def authors_tree(config, **args):
    """What the authors save: averages with buffers, 1,000 class rows, an optimiser, and a Namespace."""
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = official.to_state_dict(Dream(config))
        state["fake_latent"] = torch.randn(1, config.encoder.width)
        state["class_emb.weight"] = torch.cat([state["class_emb.weight"], torch.randn(999, config.encoder.width)])
        states.append({name: value.detach().clone() for name, value in state.items()})
    states[0]["image_projection.bn1.running_mean"].add_(1)
    states[1]["image_projection.bn1.running_mean"].add_(1)
    moments = {"state": {i: {"step": i, "exp_avg": torch.zeros(1)} for i in range(500)}, "param_groups": [{"lr": 0.1}]}
    space = argparse.Namespace(**{"encoder_num_heads": 2, "decoder_num_heads": 3, "text_cfg": {"heads": 7}, **args})
    return {"model": states[0], "model_ema": states[1], "optimizer": moments, "epoch": 47, "scaler": {}, "args": space}


def test_an_authors_checkpoint_comes_back_to_the_bit(config, tokenizer, tmp_path, capsys):
    tree = authors_tree(config, mask_ratio_std=0.5)
    torch.save(tree, tmp_path / "x.pth")
    command = ["import", str(tmp_path / "x.pth"), "--out", str(tmp_path / "model"), "--tokenizer", str(tokenizer)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "epoch 47" in out and "fake_latent: left over" in out and "missing  0 tensors" in out
    state = checkpoint.read_state(tmp_path / "model")
    assert state.config.model_dict() | {"text": 0} == config.model_dict() | {"text": 0}
    assert state.config.masking.std == 0.5 and state.config.encoder.heads == 2
    averaged = checkpoint.averaged_weights(tmp_path / "model")
    assert torch.equal(averaged["encoder.embed.weight"], tree["model_ema"]["z_proj.weight"])
    assert torch.equal(averaged["joint.bn1.running_mean"], tree["model"]["image_projection.bn1.running_mean"])
    back = tmp_path / "back.pth"
    export = ["export", "--model", str(tmp_path / "model"), "--format", "authors", "--out", str(back)]
    assert main(export) == 0
    with torch.serialization.safe_globals([argparse.Namespace]):
        again = torch.load(back, weights_only=True)
    for part in ("model", "model_ema"):
        assert set(again[part]) == set(tree[part])
        assert all(torch.equal(again[part][name], value) for name, value in tree[part].items())
    assert again["epoch"] == 47 and again["args"] == tree["args"]
    assert main(command) == 2 and main([*command, "--overwrite"]) == 0


def test_averages_without_buffers_take_those_of_the_model(config, tokenizer, tmp_path):
    tree = authors_tree(config)
    tree["model_ema"] = {
        name: value for name, value in tree["model_ema"].items() if ".bn" not in name or "running" not in name
    }
    torch.save(tree, tmp_path / "x.pth")
    report = import_weights(tmp_path / "x.pth", tmp_path / "model", ImportOptions(tokenizer=str(tokenizer)))
    averaged = checkpoint.averaged_weights(tmp_path / "model")
    assert report.averaged and averaged["joint.bn1.running_mean"].mean() == 1


def test_heads_are_asked_for_where_nothing_says_them(config, tokenizer, tmp_path):
    tree = authors_tree(config)
    tree["args"] = argparse.Namespace()
    torch.save(tree, tmp_path / "x.pth")
    foreign = read_foreign(tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"encoder of width 16 has: give --heads encoder=N \(N divides .*: 1, 2, 4"):
        importing.build(foreign, ImportOptions(tokenizer=str(tokenizer)))
    heads = parse_heads("encoder=2,decoder=3,text=7")
    built = importing.build(foreign, ImportOptions(tokenizer=str(tokenizer), heads=heads))
    assert built.config.model_dict() | {"text": 0} == config.model_dict() | {"text": 0}
    with pytest.raises(InputError, match="--heads must be a number"):
        parse_heads("encoder:2")


def test_a_file_of_the_authors_opens_as_a_model(config, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("dream.importing.opening.ImportOptions", lambda: ImportOptions(tokenizer=str(tokenizer)))
    torch.save(authors_tree(config), tmp_path / "x.pth")
    folder = checkpoint_of(tmp_path / "x.pth")
    assert checkpoint.read_state(folder).step == 0 and checkpoint_of(tmp_path / "x.pth") == folder
    monkeypatch.setattr("dream.importing.opening.ImportOptions", lambda: ImportOptions(tokenizer="/nowhere"))
    assert checkpoint_of(tmp_path / "x.pth") == folder  # imported once
    torch.save(authors_tree(config, changed=1), tmp_path / "x.pth")
    with pytest.raises(InputError, match="CLIP's BPE, whose files they do not hold: .*--tokenizer FOLDER"):
        checkpoint_of(tmp_path / "x.pth")


def test_weights_of_mar_fill_the_matching_parts(config, tokenizer, tmp_path):
    theirs = official.to_state_dict(Dream(config))
    parts = ("z_proj", "encoder", "decoder", "mask_token", "diffusion_pos", "diffloss")
    mar = {name: value for name, value in theirs.items() if name.startswith(parts) and ".cross_attn" not in name}
    mar = {name: value for name, value in mar.items() if not ("decoder_blocks" in name and ".norm1." in name)}
    mar = {name.replace("norm0", "norm1").replace("self_attn", "attn"): value for name, value in mar.items()}
    mar = {name: torch.randn_like(value) for name, value in mar.items() if name != "decoder_proj_ln.weight"}
    mar |= {"class_emb.weight": torch.randn(1000, 16), "fake_latent": torch.randn(1, 16)}
    torch.save({"model": mar, "model_ema": mar}, tmp_path / "mar.pth")
    options = ImportOptions(
        tokenizer=str(tokenizer),
        heads={"encoder": 2, "decoder": 3, "text": 7},
        assignments=[
            "text.width=14",
            "text.depth=2",
            "text.heads=7",
            f"text.vocab_size={config.text.vocab_size}",
            "text.context_length=12",
        ],
    )
    report = import_weights(tmp_path / "mar.pth", tmp_path / "model", options)
    weights = checkpoint.read_tensors(tmp_path / "model", "model")
    assert torch.equal(weights["encoder.buffer"], mar["fake_latent"])
    assert torch.equal(weights["decoder.blocks.0.norm0.weight"], mar["decoder_blocks.0.norm1.weight"])
    assert torch.equal(weights["decoder.blocks.0.self_attn.qkv.weight"], mar["decoder_blocks.0.attn.qkv.weight"])
    assert list(report.unused) == ["class_emb.weight"]
    assert {"decoder.blocks.0.norm1.weight", "decoder.blocks.0.cross_attn.q.weight", "logit_scale"} <= set(
        report.missing
    )
    with pytest.raises(InputError, match="a part of a model: import it"):
        import_weights(tmp_path / "mar.pth", tmp_path / "other", options, whole=True)


@pytest.mark.parametrize("prefix", ["", "text."])
def test_a_text_tower_of_open_clip_is_taken_and_its_picture_tower_left(config, tokenizer, tmp_path, prefix):
    theirs = official.to_state_dict(Dream(config))
    parts = ("token_embedding", "positional_embedding", "transformer", "ln_final", "text_projection")
    clip = {f"{prefix}{name}": torch.randn_like(value) for name, value in theirs.items() if name.startswith(parts)}
    clip[f"{prefix}text_projection"] = torch.randn(14, 14)
    clip |= {"logit_scale": torch.tensor(4.0), "visual.conv1.weight": torch.randn(3, 3)}
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in clip.items()}, "epoch": 3}, tmp_path / "clip.pt"
    )
    tiny = ["joint.positional_text=false", "text.conditioning_length=12"]
    options = ImportOptions("tiny", tokenizer=str(tokenizer), heads={"text": 7}, assignments=tiny)
    report = import_weights(tmp_path / "clip.pt", tmp_path / "model", options)
    weights = checkpoint.read_tensors(tmp_path / "model", "model")
    assert torch.equal(weights["text_tower.embedding.weight"], clip[f"{prefix}token_embedding.weight"])
    assert weights["logit_scale"] == 4 and report.epoch == 3
    assert "has the shape (14, 14), the model's is (128, 14)" in report.unused[f"{prefix}text_projection"]
    assert "picture tower" in report.unused["visual.conv1.weight"]


def test_other_files_are_refused_by_what_they_hold(config, tmp_path, capsys):
    torch.save({"backbone.weight": torch.zeros(1)}, tmp_path / "x.pth")
    assert main(["import", str(tmp_path / "x.pth"), "--out", str(tmp_path / "model")]) == 2
    assert "is none of these" in capsys.readouterr().err and not (tmp_path / "model").exists()
    tree = authors_tree(config)
    del tree["model"]["decoder_norm.weight"]
    torch.save(tree, tmp_path / "y.pth")
    with pytest.raises(InputError, match="do not make a whole model: missing decoder.norm_out.weight"):
        importing.build(read_foreign(tmp_path / "y.pth"), ImportOptions())


def test_epoch_and_settings_come_before_what_an_optimiser_keeps(config, tmp_path):
    from workbench.checkpoints.files import open_checkpoint

    tree = authors_tree(config, batch_size=64)
    torch.save({key: tree[key] for key in ("optimizer", "model", "epoch", "args")}, tmp_path / "x.pth")
    facts = open_checkpoint(tmp_path / "x.pth").facts
    assert next(iter(facts)) == "epoch" and facts["epoch"] == "47" and facts["args.batch_size"] == "64"
    assert len(facts) == 400


def test_a_model_with_departures_has_no_place_in_the_authors_format(tmp_path, capsys):
    assert main(["export", "--model", "demo", "--format", "authors", "--out", str(tmp_path / "x.pth")]) == 2
    assert "departs in image.tokenizer" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_authors_checkpoint_of_50_million_parameters_comes_back_to_the_bit(config, tokenizer, tmp_path):
    sizes = ["encoder.width=512", "encoder.depth=11", "encoder.heads=8", "decoder.width=384", "decoder.depth=6"]
    sizes += ["decoder.heads=6", "text.width=224", "text.heads=7", "head.width=256", "joint.hidden=512"]
    large = override(config, sizes)
    tree = authors_tree(large, encoder_num_heads=8, decoder_num_heads=6)
    assert sum(parameter.numel() for parameter in Dream(large).parameters()) >= 50_000_000
    torch.save(tree, tmp_path / "x.pth")
    back = tmp_path / "back.pth"
    assert (
        main(["import", str(tmp_path / "x.pth"), "--out", str(tmp_path / "model"), "--tokenizer", str(tokenizer)]) == 0
    )
    assert main(["export", "--model", str(tmp_path / "model"), "--format", "authors", "--out", str(back)]) == 0
    with torch.serialization.safe_globals([argparse.Namespace]):
        again = torch.load(back, weights_only=True)
    for part in ("model", "model_ema"):
        assert all(torch.equal(again[part][name], value) for name, value in tree[part].items())
