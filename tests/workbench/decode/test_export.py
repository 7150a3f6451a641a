"""A decode's files open, and say how it was painted."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from dream.decoding.record import load_record
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from workbench.decode.export import (
    can_write_mp4,
    decode_gif,
    decode_html,
    decode_json,
    decode_mp4,
    decode_png,
    file_name,
)
from workbench.decode.paint import paint_and_store
from workbench.decode.recall import MAX_BYTES, Recalled, changes, model_here, read_settings
from workbench.decode.request import DecodeRequest, KeptPicture, final_picture
from workbench.work import Work
from workbench.workspace import Workspace

SETTINGS = DecodeSettings(steps=5, seed=3, guidance_scale=2.5, temperature=0.8, sampling_steps=6, selection="none")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("workspace"))


def painted(workspace, **changes):
    wanted = DecodeRequest("demo", "raw", PROMPTS[0], SETTINGS, **changes)
    work = Work(lambda one: paint_and_store(one, workspace, small_pretrained(), wanted)).wait()
    assert work.error is None, work.error
    return work.result


@pytest.fixture(scope="module")
def stored(workspace):
    return painted(workspace)


def test_a_png_is_the_picture_and_holds_its_settings(stored):
    content = decode_png(stored)
    image = Image.open(io.BytesIO(content))
    assert image.size == (512, 512)
    small = np.asarray(image.resize((16, 16), Image.Resampling.NEAREST)).transpose(2, 0, 1)
    np.testing.assert_array_equal(small, final_picture(load_record(stored.record_path)))
    found = read_settings("a.png", content)
    assert (found.prompt, found.settings, found.model, found.weights) == (PROMPTS[0], SETTINGS, "demo", "raw")
    assert found.stored == stored.id and found.remarks == ()


def test_a_json_holds_its_settings_and_what_every_step_did(stored):
    content = decode_json(stored)
    assert read_settings("a.json", content).settings == SETTINGS
    tree = json.loads(content)
    assert sorted(p for step in tree["steps_done"] for p in step["revealed"]) == list(range(16))
    assert np.shape(tree["tokens"]) == (16, 48) and len(tree["order"]) == 16


def test_a_gif_has_a_frame_a_step(stored):
    assert Image.open(io.BytesIO(decode_gif(stored))).n_frames == 5


@pytest.mark.skipif(not can_write_mp4(), reason="imageio-ffmpeg is an extra")
def test_an_mp4_is_one_and_holds_its_settings(stored):
    content = decode_mp4(stored)
    assert content[4:8] == b"ftyp" and len(content) > 1000 and b"guidance_scale" in content


def test_the_html_asks_nobody_for_anything(stored):
    page = decode_html(stored).decode()
    assert PROMPTS[0] in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|fetch\(""", page)


def test_file_names_are_plain(stored):
    assert file_name(stored, "png") == "a-red-circle-seed3.png"


def test_a_kept_picture_travels_with_the_file(workspace):
    picture = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    for name, make in (("a.png", decode_png), ("a.json", decode_json)):
        found = read_settings(name, make(painted(workspace, start=KeptPicture(picture, (1, 2)))))
        assert found.kept == (1, 2)
        inside = np.asarray(Image.open(io.BytesIO(found.given_picture))).transpose(2, 0, 1)
        np.testing.assert_array_equal(inside, picture)


def plain_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.png", plain_png(), "does not say how it was painted"),
        ("a.png", plain_png()[:40], "not a readable PNG"),
        ("a.png", b"", "not a readable PNG"),
        ("a.png", b"GIF89a", "not a PNG picture but GIF"),
        ("a.json", b"{", "not valid JSON"),
        ("a.json", b"[" * 200_000, "not valid JSON"),
        ("a.json", b"[]", "does not say"),
        ("a.json", b'{"format": "dream decode"}', "damaged"),
        ("a.json", b'{"format": "dream decode", "prompt": "a", "settings": {"steps": "x"}}', "damaged"),
        ("a.json", b'{"format": "dream decode", "prompt": "a", "settings": {"steps": -1}}', "damaged"),
        ("a.json", b'{"format": "dream decode", "prompt": "a", "settings": {"_": 1}}', "damaged"),
        ("a.json", b'{"format": "dream decode", "prompt": "a", "settings": {}, "kept": ["x"]}', "damaged"),
        ("a.json", b'{"format": "dream decode", "prompt": "a", "settings": {}, "given_picture": "?"}', "damaged"),
        ("a.json", b" " * (MAX_BYTES + 1), "more than"),
    ],
)
def test_what_is_not_ours_is_refused_in_one_sentence(name, content, words):
    with pytest.raises(InputError, match=words) as raised:
        read_settings(name, content)
    assert "\n" not in str(raised.value)


def test_what_the_form_cannot_take_over_is_said():
    tree = {
        "format": "dream decode",
        "prompt": "a\nb",
        "kept": [1],
        "parent": "x",
        "fork_step": 3,
        "settings": {"candidates": 4, "select_steps": [3]},
    }
    found = read_settings("a.json", json.dumps(tree).encode())
    assert found.prompt == "a" and found.settings.candidates == 1 and found.weights == "averaged"
    text = " ".join(found.remarks)
    assert "2 prompts" in text and "4 candidates" in text and "after step 3" in text and "not in the file" in text


def test_only_what_differs_would_change():
    now = {"seed": 1, "steps": 16, "guidance": 2.0, "prompt": "a"}
    found = changes(now, {"seed": 1, "steps": 8, "guidance": 2, "prompt": "b"})
    assert [(one.name, one.now, one.then) for one in found] == [("steps", "16", "8"), ("prompt", "a", "b")]


def test_the_model_is_found_where_it_is_here(workspace):
    from dream.pretrained import SHIPPED

    def of(model):
        return model_here(workspace, Recalled("a", SETTINGS, model, None, "raw"))

    assert of("demo") == "demo" and of(str(SHIPPED["demo"])) == "demo"
    assert of(None) is None and of("runs/gone") is None and of("/etc/passwd") is None


def test_files_keep_the_prompt_as_typed_and_what_was_read_and_older_files_are_read_too(workspace):
    wanted = DecodeRequest("demo", "raw", "a red cube", SETTINGS)
    work = Work(lambda one: paint_and_store(one, workspace, small_pretrained(), wanted)).wait()
    about = json.loads(decode_json(work.result))
    assert about["prompt"] == "a red cube" and about["readings"][0]["unseen"] == ["cube"]
    remark = "The model never saw: 'cube'."
    assert read_settings("a.png", decode_png(work.result)).remarks == (remark,)
    for readings in (None, "x", [{"remark": 3}]):
        older = json.dumps({**about, "readings": readings}).encode()
        assert read_settings("a.json", older).remarks == ()
    halves = json.dumps({**about, "prompt": "a \ud83d"}).encode()
    with pytest.raises(InputError, match="the prompt in a.json is not plain text"):
        read_settings("a.json", halves)
