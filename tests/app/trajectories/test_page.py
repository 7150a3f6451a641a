"""The Trajectories page in every state: empty, refusing, painting, shown, finished, many prompts, stored."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dream.presets import clip, fluid
from dream.pretrained import load_pretrained
from tests.app.opening import page_of
from workbench.prompts import example_prompts
from workbench.store import list_stored
from workbench.trajectories.prompts import EXAMPLES
from workbench.workspace import Workspace

IN, DO, WORK = "in.trajectories.", "do.trajectories.", "work.trajectories."
PROMPT = "a red triangle left of a purple circle on a grey background"


@pytest.fixture
def app(tmp_path, monkeypatch) -> AppTest:
    """The page in an empty workspace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DREAM_WORKSPACE", raising=False)
    given = {"trajectories.visited": True, IN + "model": "demo", IN + "prompt": PROMPT}
    return page_of("trajectories", **given).run()


def text(app: AppTest) -> str:
    """Everything written on the page."""
    assert not app.exception
    parts = (app.title, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(element.value for part in parts for element in part)


def player(app: AppTest) -> dict:
    """Data of the player that is shown."""
    (shown,) = [data for part in app.get("bidi_component") if "player" in (data := json.loads(part.proto.json))]
    return shown["player"]


def quick(app: AppTest) -> AppTest:
    """Few candidates in few steps."""
    app.session_state[IN + "candidates"], app.session_state[IN + "steps"] = 3, 4
    return app.run()


def ended(app: AppTest, name: str) -> AppTest:
    """The page after its work of that name has ended."""
    app.session_state[WORK + name].wait(60)
    return app.run()


def painted(app: AppTest) -> AppTest:
    quick(app).button(key=DO + "paint").click().run()
    return ended(app, "race")


def stored(path="."):
    return list_stored(Workspace(Path(path).absolute()), "trajectories")


def test_empty_it_says_what_to_do_and_names_the_moment_twice(app):
    shown = text(app)
    assert "Nothing is painted yet" in shown
    assert "32 % of the tokens = step 8 of 16 = 50 % of the steps" in shown
    app.selectbox(key=IN + "unit").set_value("steps").run()
    app.slider(key=IN + "at.steps").set_value(4).run()
    assert "16 % of the tokens = step 4 of 16 = 25 % of the steps" in text(app)


def test_an_impossible_moment_is_a_sentence_and_nothing_can_be_painted(app):
    app.slider(key=IN + "at.%tokens").set_value(99).run()
    assert "must name a step" in text(app)
    app.button(key=DO + "paint").click().run()
    assert WORK + "race" not in app.session_state and "must name a step" in text(app)


@pytest.mark.parametrize(("objective", "why"), [(fluid, "contrastive loss"), (clip, "cannot paint")])
def test_a_model_that_cannot_choose_says_why(app, monkeypatch, objective, why):
    config = objective(load_pretrained("demo").config)
    monkeypatch.setattr("app.trajectories.controls.pretrained", lambda name: SimpleNamespace(config=config))
    shown = text(app.run())
    assert "cannot choose among its own pictures" in shown and why in shown


def test_a_path_outside_is_refused_in_a_sentence(app):
    other = page_of("trajectories")
    other.session_state[IN + "model"] = "/etc"
    assert "outside of the workspace" in text(other.run())


def test_no_prompt_is_a_sentence(app):
    app.text_input(key=IN + "prompt").set_value("   ").run()
    assert "There is no prompt" in text(painted(app))
    assert not stored()


def test_painted_it_shows_who_was_chosen_and_then_what_if_not(app):
    shown = text(painted(app))
    assert "a red triangle left of a purple circle" in shown and len(stored()) == 1
    assert player(app)["chosen"] >= 0 and player(app)["select"] == [1] and "choose" not in player(app)
    app.button(key=DO + "finish").click().run()
    assert "finished candidate" not in text(ended(app, "finish")) and not app.dataframe  # numbers are folded
    choose = player(app)["choose"]
    assert choose["at"] == choose["now"] == 1 and len(choose["times"]) == 4
    assert choose["picks"][1] == player(app)["chosen"]
    app.session_state[IN + "numbers"] = True
    assert "finished candidate" in text(app.run())
    assert {"Rank correlation", "Regret (cosine)", "AUC"} <= {metric.label for metric in app.metric}
    assert len(app.dataframe[0].value) == 4
    assert not [button for button in app.button if button.key == DO + "finish"]


def test_every_step_and_halving_are_painted_and_explained_too(app):
    for selection in ("every", "halving"):
        app.selectbox(key=IN + "selection").set_value(selection)
        text(painted(app))
    assert {s.about["settings"]["selection"] for s in stored()} == {"every", "halving"}


def test_solver_and_denoising_steps_are_painted_with_and_stored(app):
    app.selectbox(key=IN + "solver").set_value("heun")
    app.number_input(key=IN + "sampling_steps").set_value(3).run()
    text(painted(app))
    settings = stored()[0].about["settings"]
    assert (settings["solver"], settings["sampling_steps"]) == ("heun", 3)
    assert "heun in 3 denoising steps" in text(app)
    app.button(key=DO + "example.0").click().run()
    text(ended(app, "race"))
    settings = stored()[0].about["settings"]
    assert (settings["solver"], settings["sampling_steps"]) == (None, None), "an example paints as its model does"


def test_a_solver_of_another_kind_of_head_gives_way_to_the_models_own(app):
    given = {"trajectories.visited": True, IN + "model": "demo", IN + "prompt": PROMPT, IN + "solver": "ddpm"}
    app = page_of("trajectories", **given).run()
    assert "Nothing is painted yet" in text(app)
    assert app.selectbox(key=IN + "solver").value == "euler"


def test_an_example_fills_the_controls_and_paints_at_once(app):
    app.button(key=DO + "example.0").click().run()
    text(ended(app, "race"))
    assert "choose" in player(app)  # all its candidates are finished
    wanted = EXAMPLES[0].settings
    assert app.number_input(key=IN + "guidance_scale").value == wanted["guidance_scale"]
    assert stored()[0].about["seed"] == wanted["seed"] and stored()[0].prompt == EXAMPLES[0].prompt


def test_what_another_page_hands_over_is_taken(app):
    id = painted(app).session_state["trajectories.shown"]
    del app.session_state["trajectories.shown"]
    app.session_state["handed.trajectories"] = {"model": "demo", "prompt": "a cat", "stored": id}
    shown = text(app.run())
    assert app.text_input(key=IN + "prompt").value == "a cat"
    assert app.session_state["trajectories.shown"] == id and "3 candidates, once" in shown


def test_damaged_ones_are_counted_and_a_damaged_small_picture_hides_none(app):
    painted(app)
    app.number_input(key=IN + "seed").set_value(5)
    painted(app)
    one, other = stored()
    (one.path / "about.json").write_text("[1,2")
    other.thumbnail.write_bytes(b"not a png")
    app.segmented_control(key=IN + "view").set_value("stored").run()
    shown = text(app)
    assert "1 damaged folder" in shown and "small picture is damaged" in shown and not app.error
    assert app.button(key=f"{DO}open.{other.id}")


def test_a_stored_one_is_searched_opened_and_deleted(app):
    painted(app)
    app.segmented_control(key=IN + "view").set_value("stored").run()
    assert "**a red triangle" in text(app)
    app.text_input(key=IN + "query").set_value("green elephant").run()
    assert "Nothing stored matches" in text(app)
    app.text_input(key=IN + "query").set_value("triangle").run()
    id = stored()[0].id
    app.button(key=f"{DO}open.{id}").click().run()
    assert app.session_state[IN + "view"] == "one" and player(app)["mode"] == "race"
    app.button(key=DO + "delete").click().run()
    assert "Nothing is painted yet" in text(app) and not stored()


def test_one_that_another_tab_deleted_is_said_once(app):
    id = painted(app).session_state["trajectories.shown"]
    shutil.rmtree(Path("decodes") / id)
    assert "may have been deleted" in text(app.run())
    assert "Nothing is painted yet" in text(app.run())


def test_a_damaged_one_is_a_sentence(app):
    id = painted(app).session_state["trajectories.shown"]
    st.cache_resource.clear()
    (Path("decodes") / id / "record.zarr" / "zarr.json").write_text("{")
    assert "is not the record of a decode" in text(app.run())


def test_many_prompts_are_studied_stored_and_reopened(app):
    quick(app).segmented_control(key=IN + "view").set_value("many").run()
    assert "One prompt is an anecdote" in text(app)
    app.segmented_control(key=IN + "from").set_value("typed").run()
    app.text_area(key=IN + "lines").set_value("a red circle on a white background\na cat").run()
    app.button(key=DO + "study").click().run()
    shown = text(ended(app, "study"))
    assert "2 prompts, 3 candidates each" in shown and "1 of 2 prompts are captions that a judge knows" in shown
    assert "Of 100 prompts" in html(app) and not app.dataframe
    app.select_slider(key=IN + "choose").set_value(1).run()
    assert "chosen after step 1" in html(app)
    app.session_state[IN + "numbers"] = True
    assert not app.run().exception
    assert len(app.dataframe[0].value) == 4 and stored()[0].about["prompts"] == 2
    app.text_area(key=IN + "lines").set_value("only one").run()
    assert "there are 1" in text(app)


def test_a_cancelled_painting_stores_nothing(app):
    quick(app)
    app.session_state[IN + "steps"] = 25
    app.run().button(key=DO + "paint").click().run()
    work = app.session_state[WORK + "race"]
    work.cancel()
    work.wait(60)
    shown = text(app.run())
    assert work.state == "done" or ("Stopped before it was finished" in shown and not stored())


def test_settings_beyond_what_the_controls_take_are_brought_to_their_ends(app):
    app.session_state["handed.trajectories"] = {
        "settings": {"steps": 64, "temperature": 9, "guidance_scale": 50, "seed": 2**60, "select_steps": [32]}
    }
    text(app.run())
    values = [app.number_input(key=IN + n).value for n in ("steps", "temperature", "guidance_scale")]
    assert values == [25, 5.0, 20.0] and app.slider(key=IN + "at.steps").value == 24


def html(app: AppTest) -> str:
    """What the page shows as HTML of its own."""
    assert not app.exception
    return "\n".join(element.proto.body for element in app.get("html"))


def test_unseen_words_are_marked_in_one_prompt_and_counted_in_many(app):
    assert "<mark" not in html(app)
    app.text_input(key=IN + "prompt").set_value("a red elephant").run()
    assert 'never saw">elephant</mark>' in html(app)
    assert "The model never saw: &#x27;elephant&#x27;." in html(painted(app)).rpartition("remark")[2]
    app.session_state[IN + "view"] = "many"
    app.session_state[IN + "from"] = "typed"
    app.session_state[IN + "lines"] = "a red circle\na red moon\na blue cube"
    app.run()
    assert "2 of 3 prompts" in html(app) and html(app).count("<mark") == 2


def test_the_first_visit_paints_an_example_and_the_next_one_opens_the_latest(app):
    fresh = page_of("trajectories").run()
    ended(fresh, "race")
    assert "A choice that matters" in text(fresh) and "choose" in player(fresh) and len(stored()) == 1
    again = page_of("trajectories").run()
    assert again.session_state["trajectories.shown"] == stored()[0].id and WORK + "race" not in again.session_state
    asked = page_of("trajectories", **{IN + "prompt": "a cat"}).run()
    assert "trajectories.shown" not in asked.session_state and WORK + "race" not in asked.session_state


def test_what_is_open_and_chosen_is_in_the_address_and_opens_from_it(app):
    id = painted(app).session_state["trajectories.shown"]
    app.button(key=DO + "finish").click().run()
    assert "in.trajectories.choice" not in ended(app, "finish").query_params
    assert app.query_params["in.trajectories.shown"] == id and app.query_params[IN + "candidates"] == "3"
    other = page_of("trajectories")
    wanted = {"shown": id, "step": "3", "choice": "1", "seed": "7", "guidance_scale": "4.5", "selection": "halving"}
    for name, value in wanted.items():
        other.query_params[IN + name] = value
    text(other.run())
    data = player(other)
    assert (data["at"], data["choose"]["now"], data["choose"]["at"]) == (2, 0, 1)
    assert other.number_input(key=IN + "seed").value == 7 and other.number_input(key=IN + "guidance_scale").value == 4.5


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("shown", "../../etc", ""),
        ("shown", "nothing", "may have been deleted"),
        ("model", "nowhere", "nowhere"),
        ("steps", "99", "Steps must be"),
        ("steps", "many", ""),
        ("candidates", "900", ""),
        ("view", "Nowhere", ""),
        ("step", "77", ""),
        ("choice", "-1", ""),
        ("seed", "-5", "Seed must be"),
        ("studied", "nothing", ""),
        ("numbers", "perhaps", ""),
    ],
)
def test_a_wrong_link_is_a_sentence_or_the_default(app, name, value, said):
    app.query_params[IN + name] = value
    page = page_of("trajectories", **{"trajectories.visited": True})
    page.query_params[IN + name] = value
    assert said.lower() in text(page.run()).lower()


def test_numbers_out_of_range_are_refused_instead_of_painted(app):
    app.number_input(key=IN + "steps").set_value(99).run()
    app.button(key=DO + "paint").click().run()
    assert "Steps must be a whole number from 2 to 25" in text(app) and WORK + "race" not in app.session_state


def test_prompts_are_shown_as_text(app):
    app.text_input(key=IN + "prompt").set_value("a ![x](http://127.0.0.1:9/p.png) **cat** $x$").run()
    shown = text(painted(app))
    app.segmented_control(key=IN + "view").set_value("stored").run()
    for page in (shown, text(app)):
        assert r"\*\*cat\*\*" in page and "![x](" not in page and "$x$" not in page


def test_a_model_from_another_page_comes_with_its_own_settings_not_those_of_the_model_before(app):
    quick(app)
    app.session_state[IN + "guidance_scale"] = 8.0
    app.session_state["handed.trajectories"] = {"model": "emoji", "prompt": "red heart, ink"}
    app.run()
    own = load_pretrained("emoji").config.decode
    assert not app.exception and app.text_input(key=IN + "prompt").value == "red heart, ink"
    assert app.number_input(key=IN + "steps").value == own.steps
    assert app.number_input(key=IN + "guidance_scale").value == own.guidance_scale


def test_an_example_of_other_pictures_gives_way_to_one_that_the_chosen_model_knows(app):
    for example, model in ((EXAMPLES[0], "demo"), (EXAMPLES[-1], "emoji")):
        app.session_state[IN + "prompt"], app.session_state[IN + "model"] = example.prompt, example.model
        assert app.run().text_input(key=IN + "prompt").value == example.prompt
        app.selectbox(key=IN + "model").set_value(model).run()
        assert app.text_input(key=IN + "prompt").value in example_prompts({"demo": "shapes"}.get(model, model)).values()
    app.text_input(key=IN + "prompt").set_value("typed by hand").run()
    app.selectbox(key=IN + "model").set_value("demo").run()
    assert app.text_input(key=IN + "prompt").value == "typed by hand"
