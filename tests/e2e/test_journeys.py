"""Journeys of a user: a training, stopped and resumed, then a picture by that model; a choice among candidates;
the difference of two checkpoints; a wrong path; a trainer that was killed."""

import json
import os
import signal

import pytest

from app.browsing import PATIENCE, open_page, press, settle, widget
from dream.decoding.pictures import read_about
from dream.training.run_log import is_training, read_heartbeat
from tests.e2e.pages import choose, type_into, wait_for_text

pytestmark = pytest.mark.browser
RUN = "mine"


@pytest.fixture
def page(browser, address, workspace):
    found = open_page(browser, address)
    yield found
    found.screenshot(path=workspace / "last.png")
    assert found.locator("[data-testid=stException]").count() == 0
    found.context.close()


def start_training(page, address, name: str, steps: int) -> None:
    page.goto(f"{address}/train")
    settle(page)
    if widget(page, "in.train.view").count():
        choose(page, "in.train.view", "Set up")
    type_into(page, "in.train.name", name)
    choose(page, "in.train.budget", "steps")
    type_into(page, "in.train.steps", str(steps))
    type_into(page, "in.train.assignments", "train.log_every=2\ntrain.batch_size=16")
    press(page, "do.train.start")


def beat(workspace, name: str = RUN):
    return read_heartbeat(workspace / "runs" / name)


def wait_for_state(page, workspace, state: str, name: str = RUN) -> None:
    for _ in range(PATIENCE // 500):
        found = beat(workspace, name)
        if found is not None and found.status == state and (state != "running" or is_training(found)):
            break
        page.wait_for_timeout(500)
    assert beat(workspace, name).status == state
    settle(page)


def test_train_reload_stop_resume_decode_scrub_fork_export(page, address, workspace):
    start_training(page, address, RUN, 40)
    wait_for_state(page, workspace, "running")
    page.reload()
    settle(page)
    wait_for_text(page, r"step \d+ of 40")
    press(page, f"do.train.queue.{RUN}")
    wait_for_state(page, workspace, "stopped")
    stopped = beat(workspace).step
    assert 0 < stopped < 40
    press(page, "do.train.resume")
    wait_for_state(page, workspace, "finished")
    assert beat(workspace).step == 40
    wait_for_text(page, "Finished")

    press(page, "do.train.decode")
    page.wait_for_url("**/decode", timeout=PATIENCE)
    settle(page)
    press(page, "do.decode.go")
    player = page.locator(".dream-player").first
    player.wait_for(timeout=PATIENCE)
    settle(page)
    player.focus()
    at_the_end = read_out(player)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert read_out(player) != at_the_end

    choose(page, "in.decode.panel", "Fork")
    type_into(page, "in.decode.fork.seed", "7")
    press(page, "do.decode.fork")
    for _ in range(PATIENCE // 500):
        if len(decodes(workspace)) == 2:
            break
        page.wait_for_timeout(500)
    parents = [tree.get("parent") for tree in decodes(workspace)]
    assert sum(parent is not None for parent in parents) == 1
    settle(page)
    with page.expect_download(timeout=PATIENCE) as download:
        widget(page, "do.decode.export.png").locator("button").first.click()
    about = read_about(download.value.path())
    assert about["settings"]["seed"] == 7


def read_out(player) -> list[str]:
    """Step, shares and scores shown by the player."""
    return player.locator(".dp-readouts output").all_inner_texts()


def decodes(workspace) -> list[dict]:
    """Metadata of every stored decode."""
    return [json.loads(path.read_text())["about"] for path in (workspace / "decodes").glob("*/about.json")]


def test_a_killed_trainer_is_shown_and_resumed(page, address, workspace):
    start_training(page, address, "killed", 400)
    wait_for_state(page, workspace, "running", "killed")
    os.kill(beat(workspace, "killed").pid, signal.SIGKILL)
    wait_for_text(page, "[Kk]illed")
    press(page, "do.train.resume")
    wait_for_state(page, workspace, "running", "killed")
    press(page, "do.train.queue.killed")
    wait_for_state(page, workspace, "stopped", "killed")


def test_a_choice_among_candidates_of_the_demo_model(page, address, workspace):
    page.goto(f"{address}/trajectories?in.trajectories.model=demo")
    settle(page)
    press(page, "do.trajectories.paint")
    page.locator(".dream-player").first.wait_for(timeout=PATIENCE)
    press(page, "do.trajectories.finish")
    page.locator(".dp-choose").wait_for(timeout=PATIENCE)
    kinds = [json.loads(path.read_text())["kind"] for path in (workspace / "decodes").glob("*/about.json")]
    assert "trajectories" in kinds


def test_the_difference_of_two_checkpoints_and_a_wrong_path(page, address, workspace):
    page.goto(f"{address}/checkpoints")
    settle(page)
    wait_for_text(page, "Tensors")
    choose(page, "in.checkpoints.section", "Difference")
    settle(page)
    box = widget(page, "in.checkpoints.path").locator("input").first
    box.fill("../nowhere")
    box.press("Enter")
    settle(page)
    wait_for_text(page, "outside of the workspace")
