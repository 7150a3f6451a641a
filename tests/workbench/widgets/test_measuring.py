"""Models are measured in the background, once, and a wrong question is a sentence."""

import pytest

from dream.errors import InputError
from workbench.widgets.measuring import Measuring

QUICK = ("few_shot.episodes=20", "few_shot.per_class=6")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    return out, Measuring({"mine": "demo"}, "few_shot", out, assignments=QUICK).wait(120)


def test_results_are_kept_and_shown(measured):
    out, box = measured
    (result,) = box.result
    assert result.name == "mine" and (out / "mine.json").is_file()
    shown = [value for trace in box.figure.data if trace.name == "mine" for value in trace.x]
    assert result.entries[0].measures[0].estimate.value in shown


def test_what_is_known_is_not_measured_again(measured):
    out, box = measured
    again = Measuring({"mine": "demo"}, "few_shot", out, assignments=QUICK).wait(60)
    assert again.result[0].entries == box.result[0].entries


def test_what_is_wrong_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="unknown task"):
        Measuring({"mine": "demo"}, "nonsense", tmp_path)
    with pytest.raises(InputError, match="no such model"):
        Measuring({"mine": "missing"}, "few_shot", tmp_path).wait(30)


def test_other_data_than_shapes_are_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path))  # where no emoji are built
    (result,) = Measuring({"mine": "emoji"}, "retrieval", tmp_path, data="emoji").wait(60).result
    assert {entry.data for entry in result.entries} == {"emoji:val", "emoji:unseen"}
    assert all("dream data emoji --build" in entry.skipped for entry in result.entries)
