"""One training writes into a folder at a time: on one machine, in containers, on a shared disk, in the same second."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dream.errors import InputError, RunError
from dream.training import claim as claims
from dream.training import run_log
from dream.training.checkpoint import list_checkpoints
from dream.training.claim import find_holder, holds_other_files, take_claim
from dream.training.processes import ProcessTable, is_alive, own_table, process_start
from dream.training.request import TrainRequest, check_train_request
from dream.training.run_log import RunLog
from tests.dream.training.training_small import run_training, small_config

ROOT = Path(__file__).parents[3]
RACER = """
import sys, time
from pathlib import Path
from dream.errors import InputError
from dream.training.claim import take_claim
print("ready", flush=True)
sys.stdin.readline()
for folder in map(Path, sys.argv[1:]):
    try:
        claim = take_claim(folder)
        print("won", flush=True)
    except InputError as error:
        assert "is being trained on host" in str(error), error
        print("refused", flush=True)
sys.stdin.readline()
"""
HOLDER = """
import sys
from pathlib import Path
from dream.training.claim import take_claim
with take_claim(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def spawn(script: str, *arguments: object, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    """A Python process that is talked to by lines."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def leave_claim(folder: Path, number: int = 1, age: float = 0.0, **about: object) -> Path:
    """A claim as a process of another machine left it `age` seconds ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".claim-{number}.json"
    there = {"host": "node7", "boot": "another", "namespace": "pid:[1]", "pid": 1234, "process_start": "5"}
    path.write_text(json.dumps({**there, "token": "theirs", "time": 0.0, **about}))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def dead_process() -> dict[str, object]:
    """A process of this machine that has ended."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return {**own_table()._asdict(), "pid": int(ended.stdout), "process_start": "1"}


# who holds a folder


def test_a_claim_names_its_process_and_leaves_no_trace(tmp_path):
    with take_claim(tmp_path / "runs" / "x"):
        (path,) = (tmp_path / "runs" / "x").iterdir()
        about = json.loads(path.read_text())
        assert path.name.startswith(".") and abs(about["time"] - time.time()) < 5
        assert (about["pid"], about["process_start"]) == (os.getpid(), process_start(os.getpid()))
        assert (about["host"], about["boot"], about["namespace"]) == own_table()
        assert not holds_other_files(tmp_path / "runs" / "x")
    assert list(tmp_path.iterdir()) == []


def test_what_was_in_the_folder_stays_when_the_claim_is_released(tmp_path):
    (tmp_path / "notes.txt").touch()
    with take_claim(tmp_path):
        assert holds_other_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("age", [0.0, 4.0, 30.0, -30.0])
def test_a_claim_of_another_machine_holds_while_it_is_fresh(tmp_path, age):
    leave_claim(tmp_path, age=age)
    said = (
        f"{tmp_path} is being trained on host 'node7' \\(process 1234, last sign of life .* ago\\): wait, stop it there"
    )
    with pytest.raises(InputError, match=said):
        take_claim(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".claim-1.json"]


@pytest.mark.parametrize("age", [90.0, 3 * 3600.0, -3600.0])
def test_a_silent_claim_of_another_machine_is_named_and_taken_over(tmp_path, age):
    leave_claim(tmp_path, 6, age=age), leave_claim(tmp_path, 7, age=age)
    assert find_holder(tmp_path, exact=True) is None
    with take_claim(tmp_path) as claim:
        assert [path.name for path in tmp_path.iterdir()] == [".claim-8.json"]
        assert "on host 'node7' (process 1234, last sign of life" in claim.replaced[-1].words
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_of_this_machine_is_taken_over_at_once(tmp_path):
    leave_claim(tmp_path, **dead_process())
    with take_claim(tmp_path) as claim:
        assert len(claim.replaced) == 1


def test_a_living_process_of_this_machine_holds_however_long_it_is_silent(tmp_path):
    about = {**own_table()._asdict(), "pid": os.getpid(), "process_start": process_start(os.getpid())}
    leave_claim(tmp_path, age=7200.0, **about)
    with pytest.raises(InputError, match=rf"process {os.getpid()}, last sign of life 2 h ago"):
        take_claim(tmp_path)


def test_the_same_process_id_in_another_container_of_this_machine_is_another_process(tmp_path):
    about = {**own_table()._asdict(), "namespace": "pid:[1]", "pid": 2**22 + 1}
    leave_claim(tmp_path, **about)
    with pytest.raises(InputError, match="in another container"):
        take_claim(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"pid": null}'])
def test_a_damaged_claim_holds_until_it_is_old(tmp_path, content):
    path = leave_claim(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InputError, match="by an unknown process"):
        take_claim(tmp_path)
    os.utime(path, (0, 0))
    with take_claim(tmp_path) as claim:
        claim.check()


def test_the_clock_of_the_disk_decides_and_not_that_of_the_machine(tmp_path, monkeypatch):
    leave_claim(tmp_path, 1, age=5.0)
    monkeypatch.setattr(claims.time, "time", lambda: 0.0)
    with pytest.raises(InputError, match="last sign of life 5 s ago"):
        take_claim(tmp_path)


def test_a_place_that_cannot_be_claimed_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="is a file"):
            take_claim(out)


# races


def race(folders: list[Path], count: int) -> list[list[str]]:
    """What each of `count` processes says of each folder, all started at the same moment and all alive to the end."""
    racers = [spawn(RACER, *folders) for _ in range(count)]
    try:
        assert {line(racer) for racer in racers} == {"ready"}
        for racer in racers:
            tell(racer)
        return [[line(racer) for _ in folders] for racer in racers]
    finally:
        for racer in racers:
            racer.kill(), racer.communicate()


def test_of_many_processes_in_the_same_second_exactly_one_claims_a_new_folder(tmp_path):
    said = race([tmp_path / "runs" / str(number) for number in range(20)], 12)
    for words in zip(*said, strict=True):
        assert sorted(words) == ["refused"] * 11 + ["won"]


def test_of_many_processes_that_see_a_stale_claim_exactly_one_takes_over(tmp_path):
    folders = [tmp_path / str(number) for number in range(20)]
    gone = dead_process()
    for number, folder in enumerate(folders):
        leave_claim(folder, 3, **(gone if number % 2 else {"age": 100.0}))
    said = race(folders, 12)
    for words in zip(*said, strict=True):
        assert sorted(words) == ["refused"] * 11 + ["won"]
    assert all(sorted(path.name for path in folder.iterdir()) == [".claim-4.json"] for folder in folders)


def test_a_claim_that_came_after_the_look_makes_the_later_one_withdraw(tmp_path, monkeypatch):
    """Numbers begin again where a claim came and went between another's look and its creation."""
    leave_claim(tmp_path, 5, age=100.0)
    seen = claims._live

    def late(*arguments):
        found = seen(*arguments)
        (tmp_path / ".claim-5.json").unlink(missing_ok=True)
        leave_claim(tmp_path, 1)
        return found

    monkeypatch.setattr(claims, "_live", late)
    with pytest.raises(InputError, match="node7"):
        take_claim(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".claim-1.json"]


def test_a_process_that_was_killed_leaves_a_claim_that_the_next_takes_over(tmp_path):
    process = spawn(HOLDER, tmp_path / "x")
    assert line(process) == "held"
    with pytest.raises(InputError, match=f"process {process.pid}"):
        take_claim(tmp_path / "x")
    process.kill(), process.communicate()
    with take_claim(tmp_path / "x"):
        pass


def test_a_process_in_another_pid_namespace_holds(tmp_path):
    enter = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to create PID namespaces")
    process = spawn(HOLDER, tmp_path, before=enter)
    try:
        assert line(process) == "held"
        with pytest.raises(InputError, match=r"in another container \(process 1,"):
            take_claim(tmp_path)
        holder = find_holder(tmp_path)
        assert holder is not None and not holder.is_here
        tell(process)
        process.communicate()
        with take_claim(tmp_path):
            pass
    finally:
        process.kill(), process.communicate()


# signs of life, and losing a claim


def test_a_claim_is_renewed_by_itself_whatever_the_training_does(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "RENEW_SECONDS", 0.02)
    with take_claim(tmp_path) as claim:
        os.utime(claim.path, (0, 0))
        deadline = time.monotonic() + 60
        while claim.path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert claim.path.stat().st_mtime > 0
        assert json.loads(claim.path.read_text())["token"] == claim.token
    assert not any(thread.name == "claim" for thread in claims.threading.enumerate())


@pytest.mark.parametrize("how", ["superseded", "replaced", "deleted", "folder deleted"])
def test_a_claim_that_was_lost_is_noticed_and_not_taken_back(tmp_path, how):
    folder = tmp_path / "run"
    with take_claim(folder) as claim:
        if how == "superseded":
            leave_claim(folder, 2)
        elif how == "replaced":
            leave_claim(folder, 1)
        elif how == "deleted":
            claim.path.unlink()
        else:
            shutil.rmtree(folder)
        for _ in range(2):
            with pytest.raises(RunError, match="node7" if how in ("superseded", "replaced") else "was deleted"):
                claim.renew()
    if how in ("superseded", "replaced"):
        holder = find_holder(folder)
        assert holder is not None and holder.table.host == "node7"


def test_nothing_is_written_without_the_claim(tmp_path):
    with take_claim(tmp_path) as claim:
        log = RunLog(tmp_path, claim=claim)
        log.record({"config": {}, "history": []}), log.row("train", 1)
        claim.path.unlink()
        leave_claim(tmp_path, 2)
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        for write in (
            lambda: log.record({}),
            lambda: log.event("resumed"),
            lambda: log.row("train", 2),
            lambda: log.heartbeat("running", 1, 2),
            lambda: log.report({}),
            lambda: log.set_aside_rows_after(0),
        ):
            with pytest.raises(RunError, match="taken over"):
                write()
        assert log.is_lost and {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# trainings


def test_a_training_holds_its_folder_and_releases_it(tmp_path, monkeypatch):
    seen = []
    from dream.training import loop

    step = loop.take_step
    monkeypatch.setattr(loop, "take_step", lambda *given: seen.append(find_holder(tmp_path / "run")) or step(*given))
    run_training(tmp_path / "run", small_config(steps=2))
    assert all(holder is not None and holder.pid == os.getpid() for holder in seen) and len(seen) == 2
    assert find_holder(tmp_path / "run") is None and not list((tmp_path / "run").glob(".*"))


@pytest.mark.parametrize("how", [{}, {"resume": True, "steps": 1}, {"overwrite": True}])
def test_a_held_folder_is_refused_and_left_as_it_is(tmp_path, how):
    if how:
        run_training(tmp_path / "run", small_config(steps=1))
    leave_claim(tmp_path / "run")
    before = sorted((tmp_path / "run").rglob("*"))
    config = None if "resume" in how else small_config(steps=1)
    with pytest.raises(InputError, match="node7"):
        run_training(tmp_path / "run", config, **how)
    assert sorted((tmp_path / "run").rglob("*")) == before


def test_who_starts_between_the_check_and_the_claim_is_refused(tmp_path, monkeypatch):
    from dream.training import setup

    def checked(request):
        start = check_train_request(request)
        leave_claim(tmp_path / "run")
        return start

    monkeypatch.setattr(setup, "check_train_request", checked)
    with pytest.raises(InputError, match="node7"):
        run_training(tmp_path / "run", small_config(steps=1))
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".claim-1.json"]


def test_a_run_that_came_between_the_check_and_the_claim_is_not_overwritten(tmp_path, monkeypatch):
    from dream.training import setup

    def checked(request):
        start = check_train_request(request)
        RunLog(tmp_path).record({"config": {}, "history": []})
        return start

    monkeypatch.setattr(setup, "check_train_request", checked)
    with pytest.raises(InputError, match="holds a run"):
        run_training(tmp_path, small_config(steps=1))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_training_that_is_refused_later_leaves_nothing(tmp_path):
    request = TrainRequest(tmp_path / "a" / "b", str(tmp_path / "nowhere"), small_config(), accelerator="cpu")
    from dream.training.loop import train

    with pytest.raises(InputError, match="nowhere"):
        train(dataclasses.replace(request, devices="1"))
    assert list(tmp_path.iterdir()) == []


def test_a_stale_claim_is_named_when_a_training_takes_over(tmp_path, capsys):
    run_training(tmp_path / "run", small_config(steps=1))
    leave_claim(tmp_path / "run", age=3 * 3600.0)
    run_training(tmp_path / "run", resume=True, steps=1)
    assert "was claimed on host 'node7' (process 1234, last sign of life 3 h ago)" in capsys.readouterr().err


def test_a_training_that_was_taken_over_stops_without_a_trace(tmp_path, monkeypatch):
    from dream.training import loop

    run, step = tmp_path / "run", loop.take_step
    before: dict[Path, bytes] = {}

    def taken(current, batch, number, progress):
        if number == 2:
            for path in run.glob(".claim-*"):
                path.unlink()
            leave_claim(run, 2)
            before.update({path: path.read_bytes() for path in run.rglob("*") if path.is_file()})
        return step(current, batch, number, progress)

    monkeypatch.setattr(loop, "take_step", taken)
    with pytest.raises(RunError, match="taken over by a training on host 'node7'"):
        run_training(run, small_config(steps=6, log_every=4))
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert [path.name for path in list_checkpoints(run)] == ["step-00000000"]


def test_a_loss_that_the_renewal_notices_ends_the_training_at_the_next_step(tmp_path, monkeypatch):
    from dream.training import loop

    steps, step = [], loop.take_step

    def lost(current, *given):
        steps.append(current.step)
        current.log.claim.lost = "taken over"
        return step(current, *given)

    monkeypatch.setattr(loop, "take_step", lost)
    with pytest.raises(RunError, match="taken over"):
        run_training(tmp_path / "run", small_config(steps=6, log_every=6))
    assert steps == [0]


# heartbeats and processes


def test_a_heartbeat_names_its_machine_and_those_of_older_versions_still_open(tmp_path):
    RunLog(tmp_path).heartbeat("running", 1, 2)
    beat = run_log.read_heartbeat(tmp_path)
    assert beat is not None and beat.table == own_table() and run_log.is_training(beat)
    tree = json.loads((tmp_path / "heartbeat.json").read_text())
    old = {key: value for key, value in tree.items() if key not in ("host", "boot", "namespace")}
    (tmp_path / "heartbeat.json").write_text(json.dumps(old))
    beat = run_log.read_heartbeat(tmp_path)
    assert beat is not None and beat.table.is_own and run_log.is_training(beat)


@pytest.mark.parametrize(("age", "trains"), [(0.0, True), (600.0, False)])
def test_a_heartbeat_of_another_machine_counts_while_it_is_recent(tmp_path, age, trains):
    there = {"host": "node7", "boot": "another", "namespace": "pid:[1]"}
    beat = run_log.Heartbeat(os.getpid(), "5", "running", 1, 2, None, time.time() - age, **there)
    assert run_log.is_training(beat) == trains
    (tmp_path / "heartbeat.json").write_text(json.dumps(dataclasses.asdict(beat)))
    holder = run_log.find_training(tmp_path)
    assert (holder is not None) == trains and (holder is None or not holder.is_here)


def test_a_claim_counts_more_than_a_heartbeat(tmp_path):
    RunLog(tmp_path).heartbeat("running", 1, 2)
    assert run_log.find_training(tmp_path) is not None
    leave_claim(tmp_path, age=100.0)
    assert run_log.find_training(tmp_path) is None


def test_process_ids_mean_something_in_their_own_table_only():
    here = own_table()
    assert here.is_own and ProcessTable().is_own and here._replace(host="renamed").is_own
    assert not here._replace(boot="another").is_own and not here._replace(namespace="pid:[1]").is_own
    assert here._replace(namespace="pid:[1]").shares_machine and not here._replace(boot="another").shares_machine


@pytest.mark.parametrize("pid", [None, 0, -1, 2**22 + 1, 2**70, "1"])
def test_what_is_no_process_id_is_not_alive(pid):
    assert not is_alive(pid, None) and not is_alive(pid, "5")
