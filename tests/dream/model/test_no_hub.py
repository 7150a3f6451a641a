"""In the app a checkpoint that names a hub's models asks no hub: no name is looked up, and nothing is connected to."""

import os
import subprocess
import sys

import pytest

from workbench.workspace import Workspace, confine

WATCHED = """
import socket, sys

asked = []
def look_up(host, *rest, **named):
    asked.append(host)
    raise socket.gaierror(-2, "Name or service not known")
def connect(self, address):
    if self.family != socket.AF_UNIX:
        asked.append(address)
    raise ConnectionRefusedError(111, "Connection refused")
socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex = look_up, connect, connect

import dream
from dream.data.text import load_tokenizer, train_tokenizer
from dream.errors import InputError
from dream.evaluation.painted.encoders import _load_timm
from dream.model.conditioning import build_conditioning, decoder_reader
from dream.model.latents import build_image_tokenizer
from dream.model.teacher import Teacher
from dream.overrides import override
from dream.presets import preset

config = preset("base")
bpe = train_tokenizer(["a red circle"], 300, 16)
assert config.text.t5 and config.image.vae
for name, ask in {
    "VAE": lambda: build_image_tokenizer(config.image),
    "T5": lambda: build_conditioning(config.text, bpe),
    "T5's tokenizer": lambda: decoder_reader(config.text, bpe).pieces("a"),
    "teacher": lambda: Teacher(preset("base", "repa")),
    "CLIP's tokenizer": lambda: load_tokenizer("openai/clip-vit-base-patch32", 16),
    "encoder": lambda: _load_timm("resnet18", None),
}.items():
    try:
        ask()
    except InputError as error:
        assert '{"hub": true}' in str(error), (name, error)
    else:
        raise AssertionError(name)
    assert not asked, (name, asked)
print("nothing asked")
"""


@pytest.mark.slow
def test_no_hub_is_asked_for_models_that_a_checkpoint_names(tmp_path, monkeypatch):
    for name in ("DREAM_LOCAL_MODELS", "DREAM_INSIDE"):
        monkeypatch.setenv(name, "")
    confine(Workspace(tmp_path))
    environment = {key: value for key, value in os.environ.items() if "OFFLINE" not in key} | {"HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", WATCHED], env=environment, capture_output=True, text=True, timeout=200)
    assert done.stdout.strip().endswith("nothing asked"), done.stderr[-2000:]


def test_a_setting_lets_the_app_ask_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_LOCAL_MODELS", "")
    monkeypatch.setenv("DREAM_INSIDE", "")
    confine(Workspace(tmp_path, outside=True, hub=True))
    assert os.environ["DREAM_LOCAL_MODELS"] == os.environ["DREAM_INSIDE"] == ""
