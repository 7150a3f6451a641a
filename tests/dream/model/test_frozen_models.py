"""SD-VAE, T5 and the REPA teacher, from small files that the tests make; and what is said when they are not
to be had.
"""

import pytest
import torch

import dream  # noqa: F401  (before torchvision is imported by diffusers, timm and transformers)
from dream.data.text import train_tokenizer
from dream.errors import InputError
from dream.model.conditioning import build_conditioning
from dream.model.latents import build_image_tokenizer
from dream.model.teacher import Teacher
from dream.overrides import override
from dream.presets import preset
from tests.dream.frozen_small import save_t5, save_vae

CAPTIONS = ["a red circle", "a blue square above a red circle"]


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory):
    return save_vae(tmp_path_factory.mktemp("vae"))


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory):
    return save_t5(tmp_path_factory.mktemp("t5"), CAPTIONS)


def with_vae(folder):
    return override(preset("base"), [f"image.vae={folder}", "image.size=32", "image.stride=2"]).image


def test_the_vae_gives_scaled_latents_in_patches_and_takes_them_back(vae_folder):
    tokenizer = build_image_tokenizer(with_vae(vae_folder))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    mean = tokenizer.tokenize(images)
    assert mean.shape == (2, 64, 16)
    assert torch.equal(mean, tokenizer.tokenize(images))
    drawn = [tokenizer.tokenize(images, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    back = tokenizer.to_pixels(mean)
    assert back.shape == (2, 3, 32, 32) and back.min() >= 0 and back.max() <= 1
    latents = tokenizer.vae.encode(images.float() / 127.5 - 1).latent_dist.mean
    assert torch.allclose(mean[0, 0], 0.18215 * latents[0, :, :2, :2].flatten(), atol=1e-6)


def test_a_vae_that_does_not_fit_or_is_not_there_is_named(vae_folder, tmp_path):
    with pytest.raises(InputError, match="stride 2.*image.stride=8"):
        build_image_tokenizer(override(preset("base"), [f"image.vae={vae_folder}"]).image)
    with pytest.raises(InputError, match="cannot load the VAE"):
        build_image_tokenizer(with_vae(tmp_path / "nothing"))
    with pytest.raises(InputError, match="image.size=32"):
        build_image_tokenizer(with_vae(vae_folder)).tokenize(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def with_t5(folder, width=16):
    return override(
        preset("base"), [f"text.t5={folder}", f"text.conditioning_width={width}", "text.conditioning_length=9"]
    ).text


def test_t5_states_are_of_full_length_and_attend_to_the_padding(t5_folder):
    conditioning = build_conditioning(with_t5(t5_folder), train_tokenizer(CAPTIONS, 300, 12))
    states = conditioning.condition([*CAPTIONS, ""])
    assert states.shape == (3, 9, 16) and states.dtype == torch.float32
    assert torch.allclose(states[:1], conditioning.condition(CAPTIONS[:1]), atol=1e-5)
    ids = conditioning.tokenizer(CAPTIONS[:1], return_tensors="pt").input_ids
    alone = conditioning.model(input_ids=ids).last_hidden_state[0]
    assert not torch.allclose(states[0, : ids.shape[1]], alone, atol=1e-3)


def test_a_t5_that_does_not_fit_or_is_not_there_is_named(t5_folder, tmp_path):
    tokenizer = train_tokenizer(CAPTIONS, 300, 12)
    with pytest.raises(InputError, match="text.conditioning_width=12; set it to 16"):
        build_conditioning(with_t5(t5_folder, 12), tokenizer)
    with pytest.raises(InputError, match="cannot load the T5 encoder"):
        build_conditioning(with_t5(tmp_path / "nothing"), tokenizer)


def test_learned_conditioning_is_the_captions_own_ids():
    tokenizer = train_tokenizer(CAPTIONS, 300, 12)
    conditioning = build_conditioning(preset("tiny").text, tokenizer)
    assert torch.equal(conditioning.condition(CAPTIONS), tokenizer.token_ids(CAPTIONS))


def teaching(tmp_path, name, *more):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path / "teacher.safetensors"
    save_file(timm.create_model(name, num_classes=0).state_dict(), path)
    return override(preset("tiny", "repa"), [f"objective.teacher={name}", f"objective.teacher_weights={path}", *more])


@pytest.mark.parametrize(("name", "width", "size"), [("test_vit", 64, 160), ("test_convnext", 64, 64)])
def test_the_teacher_gives_features_of_every_token_place(tmp_path, name, width, size):
    config = teaching(tmp_path, name, f"objective.teacher_width={width}", f"objective.teacher_size={size}")
    teacher = Teacher(config)
    images = torch.randint(0, 256, (2, 3, 30, 30), dtype=torch.uint8)
    features = teacher.features(images)
    assert features.shape == (2, config.image.num_tokens, width)
    brighter = images.clone()
    brighter[:, :, :5, :5] = 255
    change = (teacher.features(brighter) - features).abs().sum(dim=-1)
    assert change[:, 0].min() > 0


def test_a_teacher_that_is_unknown_or_does_not_fit_is_named(tmp_path):
    with pytest.raises(InputError, match="timm has no model 'vit_bse'"):
        Teacher(override(preset("tiny", "repa"), ["objective.teacher=vit_bse"]))
    with pytest.raises(InputError, match="set it to 64"):
        Teacher(teaching(tmp_path, "test_vit", "objective.teacher_width=65", "objective.teacher_size=160"))
    with pytest.raises(InputError, match="cannot load the teacher"):
        Teacher(
            override(
                preset("tiny", "repa"), ["objective.teacher=test_vit", "objective.teacher_weights=none.safetensors"]
            )
        )


def test_t5_reads_as_far_as_its_own_length_and_says_what_it_has_no_token_for(t5_folder):
    from dream.data.reading import PromptReader
    from dream.model.conditioning import decoder_reader

    tokenizer = train_tokenizer(CAPTIONS, 300, 12)
    reader = decoder_reader(with_t5(t5_folder), tokenizer)
    prompt = "a red circle above a blue square a red circle"
    reading = PromptReader(reader, None, None).read(prompt)
    states = build_conditioning(with_t5(t5_folder), tokenizer).condition([prompt, "a red circle above a blue square a"])
    assert reading.painted is not None and reading.painted.words == 8 == reader.room
    assert torch.allclose(states[0], states[1], atol=1e-5)
    assert PromptReader(reader, None, None).read("a cube").lost == ("cube",)
    assert decoder_reader(preset("tiny").text, tokenizer) is tokenizer


def test_frozen_weights_that_are_no_numbers_or_pointers_are_refused_by_name(vae_folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "vae"
    shutil.copytree(vae_folder, folder)
    path = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["encoder.conv_in.bias"][0] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"the VAE .*'encoder\.conv_in\.bias' 1 of 8"):
        build_image_tokenizer(with_vae(folder))
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(InputError, match="git-lfs pointer"):
        build_image_tokenizer(with_vae(folder))


def test_frozen_models_run_in_the_type_of_their_device_and_give_float32(vae_folder, t5_folder, monkeypatch):
    for name in ("latents", "conditioning"):
        monkeypatch.setattr(f"dream.model.{name}.frozen_dtype", lambda device: torch.bfloat16)
    exact = build_image_tokenizer(with_vae(vae_folder))
    fast = build_image_tokenizer(with_vae(vae_folder)).to(torch.device("cpu"))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    tokens = fast.tokenize(images)
    assert next(fast.vae.parameters()).dtype == torch.bfloat16 and tokens.dtype == torch.float32
    assert torch.allclose(tokens, exact.tokenize(images), atol=0.02)
    assert fast.to_pixels(tokens).dtype == torch.float32
    tokenizer = train_tokenizer(CAPTIONS, 300, 12)
    states = build_conditioning(with_t5(t5_folder), tokenizer).to(torch.device("cpu")).condition(CAPTIONS)
    assert states.dtype == torch.float32
    assert torch.allclose(states, build_conditioning(with_t5(t5_folder), tokenizer).condition(CAPTIONS), atol=0.1)
