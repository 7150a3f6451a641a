"""Every launch line of README.md and docs/cluster.md is run as printed: on gloo ranks, with a small model.

What is replaced is listed in SMALLER: sizes, counts of devices, and the addresses of machines, which are both this one.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dream.errors import InputError
from dream.training import run_log
from dream.training.checkpoint import is_in_parts, latest_checkpoint, read_state
from dream.training.launchers import Launcher, find_launcher, follow, launcher_precision
from dream.training.request import TrainRequest
from tests.dream.data.test_sources import members, write_tar
from tests.dream.frozen_small import save_vae
from tests.dream.training.training_small import run_training, settings, small_config

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/cluster.md")
STARTS = ("dream train", "fabric run", "torchrun", "srun", "exec torchrun")
STEPS = 3
SRUN = """#!{python}
import os, subprocess, sys
command = sys.argv[2:]  # behind --kill-on-bad-exit
tasks = [
    subprocess.Popen(command, env=os.environ | {{"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i), "SLURM_NODEID": "0"}})
    for i in range(2)
]
sys.exit(max(task.wait() for task in tasks))
"""
"""Stands in for srun, of which only the environment of its tasks matters here."""


def blocks(page: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def launch_lines() -> list[str]:
    """Lines of the pages that start several ranks, each once."""
    lines = [line.strip() for page in PAGES for block in blocks(page) for line in block.splitlines()]
    kept = [line for line in lines if line.startswith(STARTS) and " train " in line]
    return list(dict.fromkeys(line for line in kept if not line.startswith("dream train") or "--devices" in line))


def lines_with(text: str) -> list[str]:
    """Commands of the pages that hold a text, such as the model that they open."""
    lines = [line.strip() for page in PAGES for block in blocks(page) for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if text in line))


def slurm_script() -> str:
    (script,) = [block for block in blocks("docs/cluster.md") if block.startswith("#!/bin/bash")]
    return script


def smaller(line: str, port: int, node: int = 0) -> str:
    """The line with a model and a number of devices for this machine."""
    config = small_config(optimizer="adamw") if "fsdp" in line else small_config()
    each = "1" if "--nnodes" in line or "--num-nodes" in line else "2"
    for pattern, replacement in (
        ("--preset (base|giant)", "--preset tiny --set " + " ".join(f"'{each}'" for each in settings(config)[1:])),
        (r"--total-steps 100000", f"--total-steps {STEPS}"),
        (r"\{00000\.\.01242\}", "{00000..00001}"),
        (r"(--devices|--nproc-per-node) 8", rf"\1 {each}"),
        (r"(--master-addr|--main-address) \S+", r"\1 127.0.0.1"),
        (r"--master-port 29400", f"--master-port {port}"),
        (r"--main-address 127.0.0.1", f"--main-address 127.0.0.1 --main-port {port}"),
        (r"--node-rank 0", f"--node-rank {node}"),
        (r"cd /shared/dream", "cd ."),
    ):
        line = re.sub(pattern, replacement.replace("\\1", "\\g<1>"), line)
    return line


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder as the pages assume it: data, and the environment under `.venv`."""
    (tmp_path / "cc12m").mkdir()
    for shard in range(2):
        write_tar(tmp_path / f"cc12m/{shard:05d}.tar", members(range(20 * shard, 20 * shard + 20)))
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return tmp_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shell(line: str, place: Path, name: str, **environment: str) -> "subprocess.Popen[bytes]":
    """Runs the line in bash, in a process group of its own."""
    path = f"{place / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (place / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            ["bash", "-c", line],
            cwd=place,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def stand_in(place: Path, name: str, text: str) -> None:
    """Puts a program of this name and text first on the path of `shell`."""
    (place / "bin").mkdir(exist_ok=True)
    (place / "bin" / name).write_text(text)
    (place / "bin" / name).chmod(0o755)


def finish(processes: "list[subprocess.Popen[bytes]]", place: Path) -> str:
    """What the processes said; all of them have to end well."""
    try:
        codes = [process.wait(timeout=400) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    said = "".join(path.read_text() for path in sorted(place.glob("*.log")))
    assert codes == [0] * len(processes), said
    return said


def check_run(place: Path, said: str, name: str = "base", strategy: str = "DDPStrategy") -> None:
    """One training of two ranks ran to its end."""
    run = place / "runs" / name
    beat, record = run_log.read_heartbeat(run), run_log.read_record(run)
    assert beat is not None and (beat.status, beat.step) == ("finished", STEPS), said
    assert record["ranks"] == 2 and record["strategy"] == strategy
    assert record["config"]["train"]["precision"] == "bf16-mixed"
    assert read_state(latest_checkpoint(run)).step == STEPS
    ours = [line for line in said.splitlines() if "torch/distributed/elastic/" not in line]  # torchrun's farewells
    assert said.count(f"trained to step {STEPS}") == 1 and "Traceback" not in "\n".join(ours)


def test_the_pages_have_lines_of_every_launcher():
    lines = launch_lines()
    for start in ("dream train", "fabric run", "torchrun --nproc", "torchrun --nnodes", "srun", "exec torchrun"):
        assert any(line.startswith(start) for line in lines), start
    assert sum("--num-nodes" in line for line in lines) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [each for each in launch_lines() if not each.startswith("srun") and "fsdp" not in each]
)
def test_a_launch_line_works_as_printed(place, line):
    port, nodes = free_port(), 2 if "--nnodes" in line or "--num-nodes" in line else 1
    started = [
        shell(smaller(line, port, node), place, f"node{node}", JOB_COMPLETION_INDEX=str(node)) for node in range(nodes)
    ]
    check_run(place, finish(started, place))


@pytest.mark.slow
def test_a_sharded_training_and_what_opens_it_work_as_printed(place):
    (line,) = [line for line in launch_lines() if "fsdp" in line]
    said = finish([shell(smaller(line, free_port()), place, "train")], place)
    check_run(place, said, "giant", "ModelParallelStrategy")
    assert "Warning" not in said
    assert is_in_parts(latest_checkpoint(place / "runs/giant"), "optimizer")
    opening = lines_with("--model runs/giant ")
    assert [line.split()[1] for line in opening] == ["decode", "export"]
    for number, each in enumerate(opening):
        finish([shell(each, place, f"open{number}")], place)
    assert (place / "sheet.png").is_file() and (place / "giant-model/model.safetensors").is_file()


@pytest.mark.slow
def test_an_evaluation_on_many_ranks_works_as_printed(place):
    (line,) = lines_with("evaluate --model runs/base ")
    run_training(place / "runs/base", small_config())
    said = finish([shell(smaller(line, 0).replace("count=30000", "count=8"), place, "log")], place)
    assert said.count("generation") and (place / "results/base.json").is_file()


@pytest.mark.slow
def test_painting_on_many_ranks_and_publishing_work_as_printed(place):
    (painting,), (publishing,) = lines_with("srun --kill-on-bad-exit=1 dream decode"), lines_with("dream publish")
    run_training(place / "runs/base", small_config())
    (place / "captions.txt").write_text("a red circle\na blue square\na green circle\n")
    stand_in(place, "srun", SRUN.format(python=sys.executable))
    slurm = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
    finish([shell(painting, place, "painting", **slurm)], place)
    assert len(list((place / "pictures").glob("*.png"))) == 3
    finish([shell(publishing, place, "publishing")], place)
    assert {"README.md", "model.safetensors"} <= {path.name for path in (place / "base-model").iterdir()}


@pytest.mark.slow
def test_planning_and_caching_work_as_printed(place):
    (planning,), (caching, checking) = lines_with("dream plan"), lines_with("cc12m.zarr")[:2]
    assert "parameters, 64 x h100" in finish([shell(planning, place, "plan")], place)
    latents = ["image.size=16", "image.channels=4", "image.patch_size=2", "image.stride=2", "image.tokenizer=sd-vae"]
    sets = " ".join([*latents, f"image.vae={save_vae(place / 'vae')}"])
    smaller_caching = caching.replace("--preset base", f"--preset tiny --set {sets}").replace("01242", "00001")
    for number, each in enumerate((smaller_caching, checking)):
        finish([shell(each, place, f"cache{number}")], place)
    assert (place / "cc12m.zarr").is_dir()


@pytest.mark.slow
def test_the_slurm_script_works_as_printed_and_requeues_what_was_stopped(place):
    stand_in(place, "srun", SRUN.format(python=sys.executable))
    stand_in(place, "scontrol", '#!/bin/sh\necho "$@" > requeued\n')
    script = smaller(slurm_script().replace("source .venv/bin/activate", ""), 0)
    slurm = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
    slurm |= {"SLURM_JOB_NAME": "dream", "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": str(free_port())}
    check_run(place, finish([shell(script, place, "job", **slurm)], place))
    assert not (place / "requeued").exists()
    heartbeat = place / "runs/base/heartbeat.json"
    heartbeat.write_text(heartbeat.read_text().replace('"finished"', '"stopped"'))
    finish([shell("\n".join(script.splitlines()[-1:]), place, "end", **slurm)], place)
    assert (place / "requeued").read_text() == "requeue 4711\n"


@pytest.mark.slow
def test_a_number_of_devices_that_the_launcher_does_not_have_is_refused_by_every_rank(place):
    line = "torchrun --nproc-per-node 2 -m dream train --data shapes --out runs/base --steps 2 --devices 3"
    assert shell(line, place, "log").wait(timeout=300) != 0
    said = (place / "log.log").read_text()
    assert said.count("torchrun started 2 ranks on this machine and --devices says 3") == 2
    assert not (place / "runs").exists()


def request(**changes) -> TrainRequest:
    return TrainRequest(Path("runs/x"), "shapes", small_config(), **changes)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "2", "WORLD_SIZE": "8"}
SLURM = {"SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "dream"}


@pytest.mark.parametrize(("environment", "name"), [(TORCHRUN, "torchrun"), (SLURM, "srun")])
def test_a_world_is_recognised_and_followed(environment, name):
    launcher = find_launcher(environment)
    assert launcher == Launcher(name, 4, 2)
    for given in ({}, {"devices": "4"}, {"num_nodes": 2}, {"devices": "4", "num_nodes": 2}):
        followed = follow(request(**given), launcher, environment)
        assert (followed.devices, followed.num_nodes) == ("4", 2)
    with pytest.raises(InputError, match=f"{name} started 4 ranks on this machine and --devices says 8"):
        follow(request(devices="8"), launcher, environment)
    with pytest.raises(InputError, match="on 2 machines and --num-nodes says 3"):
        follow(request(num_nodes=3), launcher, environment)


def test_fabric_run_brings_its_own_options():
    environment = {**TORCHRUN, "LT_CLI_USED": "1", "LT_STRATEGY": "fsdp", "LT_PRECISION": "bf16"}
    launcher = find_launcher(environment)
    assert launcher is not None and launcher.name == "fabric run"
    assert follow(request(), launcher, environment).strategy == "fsdp"
    assert launcher_precision(environment) == "bf16-mixed" and launcher_precision(TORCHRUN) is None
    with pytest.raises(InputError, match="--strategy fsdp and dream --strategy ddp: give one"):
        follow(request(strategy="ddp"), launcher, environment)


def test_without_a_launcher_nothing_changes():
    for environment in ({}, {"SLURM_NTASKS": "1"}, {**SLURM, "SLURM_JOB_NAME": "bash"}):
        assert find_launcher(environment) is None
    alone = request(devices="2")
    assert follow(alone, None, {}) is alone
