"""Checkpoints: whole or not at all, the right ones kept, and one sentence for each way to be broken."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from dream.config import DreamConfig
from dream.data.text import CaptionTokenizer, train_tokenizer
from dream.errors import InputError, RunError
from dream.model.dream import Dream
from dream.pretrained import load_pretrained
from dream.training import checkpoint as ckpt
from dream.training import live_tensors as live
from dream.training.optim import Ema, build_optimizers
from tests.dream.training.training_small import small_config, spoil


@pytest.fixture(scope="module")
def tokenizer() -> CaptionTokenizer:
    return train_tokenizer(["a red circle", "a blue square"], 300, 16)


@pytest.fixture(scope="module")
def config(tokenizer: CaptionTokenizer) -> DreamConfig:
    config = small_config()
    return replace(config, text=replace(config.text, vocab_size=tokenizer.vocab_size))


def write(run: Path, config: DreamConfig, tokenizer: CaptionTokenizer, step: int, loss: float | None = None) -> Path:
    """A checkpoint of random weights."""
    torch.manual_seed(step)
    model = Dream(config)
    ema = Ema(model, config.train)
    for average in ema.averages:
        average.add_(1.0)
    optimizers = build_optimizers(model, config.train)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    tensors = {
        "model": live.model_tensors(model),
        "ema": dict(zip(ema.names, ema.averages, strict=True)),
        "optimizer": live.optimizer_tensors(model, optimizers),
    }
    state = ckpt.TrainingState(step, config, "shapes", {"batch": step}, loss)
    return ckpt.save_checkpoint(run, state, tensors, tokenizer)


def test_what_is_written_comes_back_to_the_bit(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 7, 0.5)
    assert folder == ckpt.latest_checkpoint(tmp_path)
    assert ckpt.read_state(folder) == ckpt.TrainingState(7, config, "shapes", {"batch": 7}, 0.5)
    model = Dream(config)
    optimizers = build_optimizers(model, config.train)
    live.copy_tensors(folder, "model", model.state_dict())
    live.restore_optimizers(folder, model, optimizers)
    for name, there in (("model", live.model_tensors(model)), ("optimizer", live.optimizer_tensors(model, optimizers))):
        stored = ckpt.read_tensors(folder, name)
        assert stored.keys() == there.keys()
        assert all(torch.equal(stored[key], there[key]) for key in stored)


@pytest.mark.parametrize(
    ("positions", "position"), [([{"epoch": 3}], {"epoch": 3}), ([1, 1], 1), ([{"epoch": 3}, {"epoch": 2}], None)]
)
def test_positions_of_versions_that_had_one_per_rank_are_read(tmp_path, config, tokenizer, positions, position):
    folder = write(tmp_path, config, tokenizer, 7)
    tree = json.loads((folder / "state.json").read_text())
    del tree["position"]
    (folder / "state.json").write_text(json.dumps({**tree, "positions": positions}))
    assert ckpt.read_state(folder).position == position


def test_it_opens_as_a_model_with_averaged_or_raw_weights(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 3)
    (tmp_path / "config.json").write_text(json.dumps({"config": config.to_dict()}))
    averaged, raw = load_pretrained(tmp_path), load_pretrained(folder, ema=False)
    assert (averaged.path, averaged.step, averaged.model.training) == (folder, 3, False)
    stored = {name: ckpt.read_tensors(folder, name) for name in ("model", "ema")}
    for opened, name in ((averaged, "ema"), (raw, "model")):
        assert all(torch.equal(p, stored[name][key]) for key, p in opened.model.named_parameters())
    assert torch.equal(averaged.model.joint.bn1.running_var, stored["model"]["joint.bn1.running_var"])
    assert averaged.model_id != raw.model_id
    assert averaged.model_id == load_pretrained(folder).model_id
    assert averaged.tokenizer.text_of(averaged.tokenizer.token_ids(["a red circle"])) == ["a red circle"]


def test_opening_one_leaves_the_global_generator_alone(tmp_path, config, tokenizer):
    write(tmp_path, config, tokenizer, 3)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_pretrained(ckpt.latest_checkpoint(tmp_path))
    assert torch.equal(torch.rand(3), expected)


def test_it_holds_safetensors_and_json_only(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 1)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json"}


def test_the_last_ones_and_the_best_are_kept(tmp_path, config, tokenizer):
    losses = {1: None, 2: 0.9, 3: 0.4, 4: 0.6, 5: None, 6: 0.5}
    for step, loss in losses.items():
        write(tmp_path, config, tokenizer, step, loss)
        ckpt.prune(tmp_path, keep_last=2)
    assert [path.name for path in ckpt.list_checkpoints(tmp_path)] == [
        "step-00000003",
        "step-00000005",
        "step-00000006",
    ]
    assert ckpt.best_checkpoint(tmp_path) == ckpt.checkpoint_folder(tmp_path, 3)


@pytest.mark.parametrize("name", ["model.safetensors", "ema.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_a_damaged_file_is_named_with_the_checkpoint_before(tmp_path, config, tokenizer, name, damage):
    write(tmp_path, config, tokenizer, 1)
    path = write(tmp_path, config, tokenizer, 2) / name
    spoil(path, damage)
    with pytest.raises(InputError, match=rf"{path}.*step-00000001") as error:
        ckpt.read_tensors(path.parent, path.stem)
    assert "\n" not in str(error.value)


def test_a_damaged_state_is_named(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 2)
    (folder / "state.json").write_text('{"format": 1, "step"')
    with pytest.raises(InputError, match=r"state\.json is damaged.*no checkpoint before it"):
        ckpt.read_state(folder)
    (folder / "state.json").write_text('{"format": 1, "step": 2}')
    with pytest.raises(InputError, match="lacks"):
        ckpt.read_state(folder)
    (folder / "state.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format 99"):
        ckpt.read_state(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("step", "../../x"),
        ("source", 3),
        ("validation_loss", "low"),
        ("encoder.depth", 10**400),
        ("encoder.depth", 10**9),
    ]
    + [(f"{part}.width", 2**20) for part in ("encoder", "decoder", "head", "text")]
    + [("encoder.depth", 1000), ("text.vocab_size", 10**9), ("text.vocab_size", 2**63)],
)
def test_a_state_of_other_types_or_sizes_builds_nothing(tmp_path, config, tokenizer, place, value):
    folder = write(tmp_path, config, tokenizer, 2)
    state = json.loads((folder / "state.json").read_text())
    *section, name = place.split(".")
    (state["config"][section[0]] if section else state)[name] = value
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match=r"state\.json is damaged"):
        load_pretrained(folder)


@pytest.mark.parametrize("state", ["{", '{"format": 1, "validation_loss": "low"}'])
def test_pruning_survives_a_damaged_neighbour(tmp_path, config, tokenizer, state):
    for step in (1, 2, 3):
        write(tmp_path, config, tokenizer, step, float(step))
    (ckpt.checkpoint_folder(tmp_path, 2) / "state.json").write_text(state)
    ckpt.prune(tmp_path, keep_last=1)
    assert [path.name for path in ckpt.list_checkpoints(tmp_path)] == ["step-00000001", "step-00000003"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: (os error 28)")]
)
def test_a_full_disk_leaves_older_checkpoints_and_no_rest(tmp_path, config, tokenizer, monkeypatch, error):
    write(tmp_path, config, tokenizer, 1)

    def full(*arguments: object) -> None:
        Path(str(arguments[1])).write_bytes(b"half")
        raise error

    monkeypatch.setattr(ckpt, "save_file", full)
    with pytest.raises(RunError, match="disk is full"):
        write(tmp_path, config, tokenizer, 2)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    ckpt.read_tensors(ckpt.latest_checkpoint(tmp_path), "model")


def test_what_a_killed_process_left_is_no_checkpoint_and_goes(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 1)
    shutil.copytree(folder, folder.with_name(".step-00000002.writing"))
    assert ckpt.list_checkpoints(tmp_path) == [folder]
    ckpt.remove_unfinished(tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == [folder]


def test_another_configuration_is_refused_by_key(tmp_path, config):
    other = replace(config, encoder=replace(config.encoder, width=48), head=replace(config.head, depth=2))
    with pytest.raises(InputError, match=r"encoder\.width \(32 there, 48 here\), head\.depth"):
        ckpt.check_same_model(tmp_path, config, other)
    ckpt.check_same_model(tmp_path, config, replace(config, train=replace(config.train, lr=0.5)))


def test_tensors_that_do_not_fit_are_listed(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 1)
    with pytest.raises(InputError, match=r"missing \['other'\].*logit_scale.*shape \['joint.maps'\]"):
        live.copy_tensors(folder, "ema", {"other": torch.zeros(1), "joint.maps": torch.zeros(1)})


def test_moments_of_an_unknown_parameter_are_refused(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 1)
    with pytest.raises(InputError, match="not trained here"):
        live.restore_optimizers(folder, nn.Linear(2, 2), [])


def test_later_checkpoints_are_set_aside_not_lost(tmp_path, config, tokenizer):
    for step in (1, 2, 3):
        write(tmp_path, config, tokenizer, step)
    moved = ckpt.set_aside_after(tmp_path, 1)
    assert [path.name for path in moved] == ["step-00000002", "step-00000003"]
    assert all((path / "model.safetensors").is_file() for path in moved)
    assert [path.name for path in ckpt.list_checkpoints(tmp_path)] == ["step-00000001"]


@pytest.mark.parametrize(("path", "message"), [("nowhere", "no such model"), (".", "neither a run")])
def test_what_is_no_model_says_so(tmp_path, path, message):
    with pytest.raises(InputError, match=message):
        load_pretrained(tmp_path / path)


@pytest.mark.parametrize("name", ["model", "ema", "optimizer"])
def test_values_that_are_no_numbers_are_not_taken_over_and_name_the_checkpoint_before(
    tmp_path, config, tokenizer, name
):
    write(tmp_path, config, tokenizer, 1)
    folder = write(tmp_path, config, tokenizer, 2)
    tensors = {each: ckpt.read_tensors(folder, each) for each in ("model", "ema", "optimizer")}
    first = next(key for key, tensor in tensors[name].items() if tensor.is_floating_point() and tensor.ndim)
    tensors[name][first].view(-1)[0] = torch.nan
    ckpt.write_checkpoint(folder, ckpt.read_state(folder), tensors, tokenizer)
    with pytest.raises(InputError, match=rf"{name}\.safetensors are not all numbers.*step-00000001 instead") as caught:
        ckpt.read_tensors(folder, name)
    assert f"'{first}'" in str(caught.value)


def test_a_pointer_of_git_lfs_is_named_as_such(tmp_path, config, tokenizer):
    folder = write(tmp_path, config, tokenizer, 1)
    for name in ("model.safetensors", "state.json"):
        (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        with pytest.raises(InputError, match=rf"{name} is a git-lfs pointer"):
            load_pretrained(folder)
