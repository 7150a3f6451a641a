import pytest

from workbench.prompts import PROMPTS, example_prompts, fitting_prompt


def test_an_example_gives_way_to_that_of_the_new_source_and_a_typed_prompt_stays():
    for source, other in (("shapes", "emoji"), ("emoji", "shapes"), ("emoji:val", "shapes")):
        for prompt in example_prompts(other).values():
            assert fitting_prompt(prompt, source) in example_prompts(source).values()
        for prompt in (*example_prompts(source).values(), "typed by hand", ""):
            assert fitting_prompt(prompt, source) == prompt


@pytest.mark.parametrize("source", ["pictures", "hf:a/b", ""])
def test_pictures_of_the_users_own_have_no_examples(source):
    assert example_prompts(source) == {}
    assert all(fitting_prompt(prompt, source) == prompt for prompt in PROMPTS["emoji"].values())


def test_further_examples_stay_with_their_own_source():
    further = {"rocket, classic": "emoji", "a purple square": "shapes"}
    assert fitting_prompt("rocket, classic", "emoji", further) == "rocket, classic"
    assert fitting_prompt("a purple square", "shapes", further) == "a purple square"
    assert fitting_prompt("rocket, classic", "shapes", further) in example_prompts("shapes").values()
    assert fitting_prompt("a purple square", "emoji", further) in example_prompts("emoji").values()
