"""The command line: what goes wrong is one sentence on stderr and an exit code; help imports no torch."""

import errno
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import IO

import pytest
from safetensors import SafetensorError

from dream import __version__
from dream.__main__ import COMMANDS, EXAMPLES, main
from dream.errors import InputError, RunError

ROOT = Path(__file__).parents[1]
DOCUMENTS = "\n".join(path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))
COMMAND_LINES = re.findall(r"^dream [a-z]+ .*$", f"{DOCUMENTS}\n{EXAMPLES}", re.MULTILINE)


@pytest.fixture
def outcome(monkeypatch, capsys):
    """Calls `dream data` with `error` raised inside the command: the exit code and what stderr got."""

    def call(error: BaseException) -> tuple[int, str]:
        def run(args):
            raise error

        command = ModuleType("dream.commands.data")
        command.__dict__.update(add_arguments=lambda parser: None, run=run)
        monkeypatch.setitem(sys.modules, "dream.commands.data", command)
        return main(["data"]), capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("data.level must be in [0, 3], got 9"), 2, "data.level must be in [0, 3], got 9"),
        (RunError("nothing is left to read"), 1, "nothing is left to read"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), 1, "the disk is full: runs/a"),
        (OSError(errno.EROFS, "Read-only file system", "/cd/a"), 2, "no permission to read or write: /cd/a"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), 2, "no permission to read or write: /a"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/a/b"), 2, "no such file or folder: /a/b"),
        (FileNotFoundError("nothing matches *.tar"), 2, "nothing matches *.tar"),
        (FileExistsError(errno.EEXIST, "File exists", "runs/a"), 2, "was left as it is: runs/a"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), 2, "a folder was expected: a/b"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), 2, "a file was expected: a"),
        (SafetensorError("Error while deserializing header: HeaderTooSmall"), 2, "HeaderTooSmall"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), 1, "the disk is full"),
        (ZeroDivisionError("division\nby zero"), 1, "ZeroDivisionError: division by zero (set DREAM_DEBUG=1"),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(outcome, error, code, said):
    got, stderr = outcome(error)
    assert got == code
    assert stderr.startswith("dream: ") and said in stderr
    assert stderr.count("\n") == 1 and "Traceback" not in stderr


def test_a_cause_speaks_for_an_error_that_is_not_known(outcome):
    error = ValueError("could not write the shard")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device", "a.zarr")
    code, stderr = outcome(error)
    assert code == 1 and "the disk is full: a.zarr" in stderr


def test_the_traceback_is_there_for_who_asks(outcome, monkeypatch):
    monkeypatch.setenv("DREAM_DEBUG", "1")
    code, stderr = outcome(InputError("no such preset"))
    assert code == 2 and "Traceback" in stderr and stderr.endswith("dream: no such preset\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["xyzzy"], f"unknown command 'xyzzy' (commands: {', '.join(COMMANDS)})"),
        (["--verson"], "unknown option '--verson'; did you mean '--version'?"),
        ([], "give a command: train, decode"),
    ],
)
def test_a_wrong_command_line_names_what_was_meant(argv, said, capsys):
    assert main(argv) == 2
    stderr = capsys.readouterr().err
    assert said in stderr and stderr.count("\n") == 1


def test_help_and_version(capsys):
    for argv, said in ((["--help"], COMMANDS["train"]), (["--version"], __version__)):
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert end.value.code == 0 and said in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_refuses_what_it_does_not_know(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"usage: dream {name}" in capsys.readouterr().out
    assert main([name, "--no-such-option"]) == 2
    assert capsys.readouterr().err.startswith("dream: ")


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_line_that_we_show_is_one_that_we_take(line, monkeypatch):
    name, *_ = argv = shlex.split(line, comments=True)[1:]
    taken = []
    monkeypatch.setattr(f"dream.commands.{name}.run", taken.append)
    assert main(argv) == 0 and len(taken) == 1


def test_help_imports_nothing_heavy():
    script = "import sys; from dream.__main__ import main; main(['trian']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "datasets", "transformers", "dream.commands.train"} & set(modules.split())


PRINTS = """
import sys, types
from dream.__main__ import main
command = sys.modules["dream.commands.data"] = types.ModuleType("dream.commands.data")
command.add_arguments = lambda parser: None
command.run = lambda args: print("a line")
sys.exit(main(["data"]))
"""


def print_into(stdout: IO[str], unbuffered: str) -> subprocess.CompletedProcess[bytes]:
    """How a command ends that prints a line into `stdout`."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    script = [sys.executable, "-c", PRINTS]
    return subprocess.run(script, stdout=stdout, stderr=subprocess.PIPE, env=environment)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_error(unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        ended = print_into(gone, unbuffered)
    assert ended.returncode == 141 and ended.stderr == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output_is_one_sentence(unbuffered):
    with open("/dev/full", "w") as full:
        ended = print_into(full, unbuffered)
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"dream: the disk is full") and ended.stderr.count(b"\n") == 1
