"""torchvision imports beside a torch of any build, and a torchvision that fits is left alone."""

import subprocess
import sys


def run(script: str) -> str:
    """What a fresh interpreter prints for `script`."""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_importing_dream_or_asking_for_torchvision_imports_no_torch():
    script = (
        "import dream, sys, importlib.util as util; "
        "print(util.find_spec('torchvision') is not None, 'torch' in sys.modules)"
    )
    assert run(script) == "True False"


def test_timm_imports_after_dream_and_the_operators_stay():
    script = (
        "import dream, timm, gc, torch; gc.collect(); "
        "print(hasattr(torch.ops.torchvision, 'nms'), hasattr(torch.ops.torchvision, 'qnms'))"
    )
    assert run(script) == "True True"


def test_a_library_that_loads_is_left_alone(tmp_path):
    (tmp_path / "_C.so").touch()
    (tmp_path / "image.so").touch()
    script = f"""
import torch
from dream.torchvision_shim import declare_missing_operators
loaded = []
torch.ops.load_library = loaded.append
print(declare_missing_operators({str(tmp_path)!r}), loaded == [{str(tmp_path / "_C.so")!r}])
print(hasattr(torch.ops.torchvision, "nms"))
"""
    assert run(script).split() == ["False", "True", "False"]


def test_operators_are_declared_once(tmp_path):
    (tmp_path / "_C.so").write_bytes(b"not a library")
    script = f"""
from dream.torchvision_shim import declare_missing_operators
print(declare_missing_operators({str(tmp_path)!r}), declare_missing_operators({str(tmp_path)!r}))
"""
    assert run(script) == "True False"
