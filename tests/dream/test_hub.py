"""A hub that does not answer is noticed at once, and what to bring is said."""

import socket
import threading
import time

import pytest

from dream.errors import InputError
from dream.model.latents import build_image_tokenizer
from dream.presets import preset
from dream.weights import hub


@pytest.fixture
def silent(monkeypatch):
    """The hub as an address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: False)
        monkeypatch.setattr(hub, "PROBE", 0.5)
        hub.hub_answers.cache_clear()
        yield
    hub.hub_answers.cache_clear()


def test_a_silent_hub_is_said_in_a_sentence_with_what_to_download(silent):
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        build_image_tokenizer(preset("base").image)
    assert time.monotonic() - began < 60  # PROBE is half a second; without it, minutes
    said = str(caught.value)
    assert "the hub does not answer here" in said and "--set image.vae=FOLDER" in said
    assert "diffusion_pytorch_model.safetensors of https://huggingface.co/stabilityai/sd-vae-ft-ema" in said


def test_a_hub_that_says_anything_answers(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: False)
        hub.hub_answers.cache_clear()
        assert hub.hub_answers() and hub.hub_options("owner/name") == {}
    hub.hub_answers.cache_clear()


def test_a_folder_is_never_asked_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "hub_answers", lambda: pytest.fail("the hub was asked"))
    assert hub.hub_options(str(tmp_path)) == {}
    assert hub.how_to_bring(str(tmp_path), "x.json", "a.b") == "that folder has to hold x.json"
    assert "no such folder" in hub.how_to_bring("/nowhere/at/all", "x.json", "a.b")
