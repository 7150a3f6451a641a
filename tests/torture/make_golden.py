"""`python -m tests.torture.make_golden NAME`: packs a workspace with one of each format into tests/data/golden.

Run it when a format gets a new version, and never overwrite an older file: each must open for ever.
"""

import json
import sys
import tarfile
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from dream.decoding.settings import DecodeSettings
from dream.evaluation.results import write_results
from dream.pretrained import load_pretrained
from dream.training.run_log import HEARTBEAT, read_heartbeat
from tests.dream.training.training_small import run_training, small_config
from tests.workbench.evaluate.sample_results import results
from workbench.decode.paint import paint_and_store
from workbench.decode.request import DecodeRequest
from workbench.runs.notes import Note, write_note
from workbench.work import Work
from workbench.workspace import Workspace

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PROMPT = "a red circle on a white background"


def make(root: Path) -> None:
    """Writes the workspace: a run of four steps, a decode by it, a result, a note."""
    workspace = Workspace(root)
    config = small_config(steps=4, evaluations=1, keep_last=1)
    config = replace(
        config,
        text=replace(config.text, vocab_size=300, width=8, conditioning_width=8),
        encoder=replace(config.encoder, width=8, depth=1, buffer_tokens=1),
        decoder=replace(config.decoder, width=8, depth=1),
        head=replace(config.head, width=8),
        joint=replace(config.joint, width=8, hidden=16),
    )
    run_training(workspace.runs / "small", config)
    beat = read_heartbeat(workspace.runs / "small")
    assert beat is not None
    text = json.dumps(asdict(replace(beat, host="", boot="", namespace="")))  # no name of a machine
    (workspace.runs / "small" / HEARTBEAT).write_text(text)
    settings = DecodeSettings(steps=4, seed=3, guidance_scale=2.0, selection="none")
    wanted = DecodeRequest(model="runs/small", weights="averaged", prompt=PROMPT, settings=settings)
    model = load_pretrained(workspace.runs / "small")
    work = Work(lambda work: paint_and_store(work, workspace, model, wanted)).wait()
    assert work.error is None, work.error
    write_results(workspace.results, results("dream"))
    write_note(workspace, "small", Note(("good",), "a note"))


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A member without its owner; locks stay away."""
    member.uname, member.gname, member.uid, member.gid = "", "", 0, 0
    return None if member.name.endswith(".lock") else member


if __name__ == "__main__":
    target = GOLDEN / f"{sys.argv[1]}.tar.xz"
    assert not target.exists(), f"{target} must stay as it is"
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        with tarfile.open(target, "w:xz") as tar:
            tar.add(folder, "workspace", filter=_nameless)
    print(f"{target}: {target.stat().st_size:,} bytes")
