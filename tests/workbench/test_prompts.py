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
