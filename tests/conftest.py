"""What holds for every test: one thread for each worker, no network, no cache in the user's home.

The variables are set before torch, datasets or transformers are imported; commands that tests start
inherit them.
"""

import os
import tempfile

import dream  # noqa: F401 - before anything that imports torchvision

_cache = tempfile.TemporaryDirectory(prefix="dream-tests-")  # removed when the tests end

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = _cache.name
os.environ["TOKENIZERS_PARALLELISM"] = "false"
