"""Lists of captions: the first is read in training, and all of them come with it, from every kind of source."""

import io
import json
import pickle
import tarfile

import pytest
from PIL import Image

from dream import presets
from dream.data.captions import USUAL, Caption, caption_in, every_caption
from dream.data.corpora.hub import HubRow
from dream.data.sources import open_source

TEXTS = ["a red box ", "", "a  box", "a red box", 7]
USABLE = ("a red box", "a box", "a red box")


@pytest.mark.parametrize(
    ("record", "captions"),
    [
        ({"captions": TEXTS}, USABLE),
        ({"sentences": [{"raw": "a box", "tokens": ["a", "box"]}, {"raw": "a red box"}]}, ("a box", "a red box")),
        ({"caption": ["", None], "text": ["b", "c"]}, ("b", "c")),
        ({"caption": "a box", "captions": ["other", "captions"]}, ("a box",)),
        ({"captions": ["", "only one"]}, ("only one",)),
        ({"caption": "a box"}, ("a box",)),
    ],
)
def test_the_first_usable_caption_knows_the_others_of_its_list(record, captions):
    caption = caption_in(record)
    assert caption == captions[0] and every_caption(caption) == captions
    assert type(str(caption)) is str
    if len(captions) > 1:
        assert isinstance(caption, Caption) and every_caption(pickle.loads(pickle.dumps(caption))) == captions
    else:
        assert type(caption) is str


def folder(root):
    lines = [json.dumps({"file_name": f"{i}.png", "captions": [f"{text} {i}" for text in "abcde"]}) for i in range(8)]
    (root / "metadata.jsonl").write_text("\n".join(lines))
    for i in range(8):
        (root / f"{i}.png").write_bytes(picture())
    return str(root)


def tar(root):
    with tarfile.open(root / "x.tar", "w") as file:
        for i in range(8):
            record = json.dumps({"captions": [f"{text} {i}" for text in "abcde"]}).encode()
            for name, content in ((f"{i}.png", picture()), (f"{i}.json", record)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return str(root / "x.tar")


def picture():
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("write", [folder, tar])
def test_a_source_gives_all_captions_of_the_samples_that_it_chose(write, tmp_path):
    source = open_source(write(tmp_path), presets.tiny(), split="all")
    batch = source.fixed(5)
    assert all(type(caption) is str for caption in (*batch.captions, *source.captions()))
    for caption, captions in zip(batch.captions, source.fixed_captions(batch), strict=True):
        number = caption.split()[1]
        assert captions == tuple(f"{text} {number}" for text in "abcde") and captions[0] == caption


def test_a_hub_row_has_its_list():
    row = HubRow("shard", "0", b"", {"sentences": ["a", "b"]}, USUAL)
    assert every_caption(row.caption()) == ("a", "b")
