"""What holds for every test: one thread for each worker, no network, no cache in the user's home.

The variables are set before torch, datasets or transformers are imported; commands that tests start
inherit them.
"""

import os
import tempfile

import pytest

import dream  # noqa: F401 - before anything that imports torchvision
from dream.data.content import INSIDE
from dream.weights.hub import LOCAL_ONLY

_cache = tempfile.TemporaryDirectory(prefix="dream-tests-")  # removed when the tests end

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = _cache.name
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(autouse=True)
def unconfined():
    """The app confines its process to its workspace by these variables; no test may do so to the next one."""
    yield
    for name in (INSIDE, LOCAL_ONLY):
        os.environ.pop(name, None)
