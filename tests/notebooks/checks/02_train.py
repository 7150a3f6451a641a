"""The notebook's run and its monitor agree with the files; the monitor's figures and buttons work on."""

import numpy as np

from workbench.runs.trainings import delete_training, list_trainings

assert stopped.state == "stopped" and 40 <= stopped.step < stopped.end == 120  # noqa: F821 - of the notebook
assert (run.state, run.step) == ("finished", 120) and run.path.name == name  # noqa: F821
steps = list(run.train["step"])  # noqa: F821
assert steps == sorted(set(steps)) and set(range(2, 121, 2)) <= set(steps), "no step twice, none left out"
assert np.isfinite(run.train[["contrastive_loss", "generative_loss"]].to_numpy()).all()  # noqa: F821
losses = run.train["generative_loss"]  # noqa: F821
assert losses.tail(5).mean() < 0.6 * losses.head(5).mean(), "it learned"
assert run.validation["step"].iloc[0] == 0 and run.validation["step"].iloc[-1] == 120  # noqa: F821

for title, wanted in monitor.controls["figure"].options:  # noqa: F821
    monitor.controls["figure"].value = wanted  # noqa: F821
    assert len(monitor.figure.data) > 0, title  # noqa: F821
monitor.controls["figure"].value = "losses"  # noqa: F821
shown = monitor.figure.data[0]  # noqa: F821
assert np.allclose(shown.x, run.train["step"]) and np.allclose(shown.y, run.train["contrastive_loss"])  # noqa: F821
monitor.controls["sheet"].value = 0  # noqa: F821
assert "step 0" in monitor._sheet.value and not monitor._note.value  # noqa: F821

delete_training(workspace, next(each for each in list_trainings(workspace) if each.path == run.path))  # noqa: F821
assert not run.path.exists()  # noqa: F821
