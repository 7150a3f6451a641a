"""CLIP's text cleaning as a named step: ids equal open_clip's on its own vocabulary for thousands of odd captions."""

import gzip
import importlib.util
import json
import random
from pathlib import Path

import pytest

from dream.data.cleaning import clean_as_clip
from dream.data.text import load_tokenizer, train_tokenizer
from dream.errors import InputError

ODD = (
    "caf\u00c3\u00a9 au lait",
    "a &amp;amp; b",
    "&lt;b&gt;bold&lt;/b&gt;",
    "don't they've I'm we'd you'll it's",
    "  a\t\tb\n c ",
    "\u201cquoted\u201d \u2018text\u2019",
    "na\u00efve fa\u00e7ade",
    "100% of $5.00!!",
    "x^2 + y_1 = #3",
    "emoji \U0001f600\U0001f680 here",
    "\u4e2d\u6587 caption",
    "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0442\u0435\u043a\u0441\u0442",
    "ALL CAPS AND mIxEd",
    "email@host.com/path?q=1&amp;r=2",
    "tr\u00e8s\u00a0joli",
    "\ufb01ligature \ufb02ow",
    "soft\u00adhyphen",
    "e\u0301 combined",
    "1,234,567 and 3.14159",
    "&#39;entities&#39; &quot;too&quot;",
    "\u00bd cup",
    "a\u200bb zero width",
    "[brackets] {braces} <angle>",
    "\u0645\u0631\u062d\u0628\u0627",
    "under_score-dash\u2014em\u2013en",
    "\u00e2\u20ac\u0153mojibake\u00e2\u20ac\u009d",
)


def odd_captions(count: int) -> list[str]:
    """Captions of odd pieces and random characters of many scripts."""
    draw = random.Random(0)
    alphabets = [
        (32, 126),
        (160, 591),
        (880, 1023),
        (1024, 1279),
        (0x3040, 0x30FF),
        (0x4E00, 0x4FFF),
        (0x1F300, 0x1F5FF),
    ]
    captions = []
    for _ in range(count):
        pieces = draw.choices(ODD, k=draw.randint(1, 4))
        low, high = draw.choice(alphabets)
        pieces.insert(
            draw.randint(0, len(pieces)), "".join(chr(draw.randint(low, high)) for _ in range(draw.randint(0, 12)))
        )
        captions.append(draw.choice([" ", ", ", "", " & "]).join(pieces))
    return captions


@pytest.fixture(scope="module")
def open_clip(tmp_path_factory):
    """The tokenizer of open_clip, and a folder with vocab.json and merges.txt made of its own file."""
    pytest.importorskip("ftfy")
    found = importlib.util.find_spec("open_clip")
    if found is None or not found.origin:
        pytest.skip("open_clip_torch is not installed")
    place = Path(found.origin).parent  # its tokenizer alone: the package imports torchvision
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", place / "tokenizer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = gzip.decompress((place / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode()
    lines = text.split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(module.bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(line.split()) for line in lines)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines, ""]))
    return module.SimpleTokenizer(), folder


def test_ids_are_those_of_open_clip_for_thousands_of_odd_captions(open_clip):
    theirs, folder = open_clip
    ours, captions = load_tokenizer(folder, 77, "clip"), odd_captions(2500)
    wanted, ids = theirs(captions), ours.token_ids(captions)
    wrong = [caption for caption, a, b in zip(captions, wanted.tolist(), ids.tolist(), strict=True) if a != b]
    assert wrong == []
    ours.save(folder / "saved")
    assert (load_tokenizer(folder / "saved", 77).token_ids(captions[:50]) == ids[:50]).all()


def test_cleaning_repairs_encodings_entities_and_white_space():
    pytest.importorskip("ftfy")
    assert clean_as_clip(" Caf\u00c3\u00a9 \n &amp;amp;  tea ") == "caf\u00e9 & tea"


def test_without_its_package_the_cleaning_is_refused_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "ftfy", None)
    train_tokenizer(["a cat"], 300, 8).save(tmp_path)
    about = json.loads((tmp_path / "captions.json").read_text())
    (tmp_path / "captions.json").write_text(json.dumps({**about, "cleaning": "clip"}))
    with pytest.raises(InputError, match="text.cleaning=clip. needs the package ftfy: pip install"):
        load_tokenizer(tmp_path, 8)
    (tmp_path / "captions.json").write_text(json.dumps({**about, "cleaning": "soap"}))
    with pytest.raises(InputError, match="text.cleaning must be one of none, clip"):
        load_tokenizer(tmp_path, 8)
