"""The race is what is stored; a cancelled one leaves nothing; the best of the finished has no regret."""

# ruff: noqa: F821 - the names are those of the notebook

import numpy as np

from workbench.store import list_stored
from workbench.trajectories.race import open_race

stored_race = open_race(race.stored)
steps = won.settings["steps"]
assert np.array_equal(race.result.frames, stored_race.frames) and race.result.chosen == stored_race.chosen
assert stored_race.chosen == int(np.nanargmax(stored_race.alignment[stored_race.choices[0]]))
lines = {trace.name: trace.y for trace in race.lines.data}
assert len(lines) == 8 and all(len(y) == steps for y in lines.values())  # all finished
race.controls["played"].value = "as it went"
lived = {trace.name: len(trace.y) for trace in race.lines.data}
assert sorted(lived.values()) == [points[-1].step] * 7 + [steps]
assert lived[str(stored_race.chosen + 1)] == steps  # names count from 1
assert race.player.data["chosen"] == stored_race.chosen

assert race.worth["regret (cosine)"].iloc[-1] == 0 and race.worth["rank correlation"].iloc[-1] == 1
cost = race.worth["cost (plain pictures, in steps)"]
assert cost.is_monotonic_increasing and cost.iloc[-1] == 8
race.controls["strict"].value = False
assert "right" in race.seen and len(race.curves.data) > 0
assert "right" in faces.seen, "the judge of emoji knows the prompt"

count = len(list_stored(workspace))
race.controls["steps"].value = 64
race.controls["select_at"].value = "12.5%steps"
race.controls["paint"].click()
race.cancel()
race.wait()
assert len(list_stored(workspace)) == count and race.stored is None and race.worth is None
assert not list(workspace.decodes.glob(".*"))

assert found.scores.shape == (steps, 12, 8) and table["regret (cosine)"].iloc[-1] == 0
assert points[0].step == 8 and points[1].step == 21 and points[2].step == 33
assert {one.kind for one in measured} == {"seen", "unseen"}, "the study of these very weights is kept"
assert {"cosine", "critic"} <= {one.score for one in measured}
