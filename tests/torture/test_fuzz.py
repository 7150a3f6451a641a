"""No damage of a file ends in anything but a sentence, whatever reads it.

`DREAM_TORTURE` is the number of damages for each reader; `make torture` sets a large one.
"""

import os
import random
from pathlib import Path

import pytest

from tests.torture.damage import damaged
from tests.torture.faults import bounded
from tests.torture.golden import make_workspace
from tests.torture.readers import OURS, READERS, Reader
from workbench.workspace import Workspace

COUNT = int(os.environ.get("DREAM_TORTURE", "20"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damage_ends_in_a_sentence(workspace, reader):
    faults: dict[str, str] = {}
    draws = random.Random(reader.name)
    for number in range(COUNT):
        files = sorted(path for path in workspace.root.glob(reader.files) if path.is_file())
        path = draws.choice(files) if files else workspace.root / reader.files
        before = path.read_bytes() if files else None
        path.write_bytes(content := damaged(before or b'{"pid": 1}', draws))
        try:
            fault = _fault(reader, workspace)
        finally:
            path.unlink() if before is None else path.write_bytes(before)
        if fault:
            faults.setdefault(fault, f"damage {number} of {path.relative_to(workspace.root)}: {content[:200]!r}")
    assert not faults, "\n".join(f"{fault}\n    after {how}" for fault, how in faults.items())


def _fault(reader: Reader, workspace: Workspace) -> str:
    """What the reader raised that is no sentence of ours, with its place; empty if it raised none."""
    try:
        with bounded():
            reader.read(workspace)
    except OURS:
        return ""
    except Exception as error:
        frames, trace = [], error.__traceback__
        while trace is not None:
            frames.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
            trace = trace.tb_next
        return f"{type(error).__name__}: {str(error)[:120]} at {' > '.join(frames[1:][-4:])}"
    return ""
