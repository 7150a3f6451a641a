"""What is broken in the folder is counted and named; the run that came out is whole and paints."""

import numpy as np

from workbench.runs.trainings import delete_training, list_trainings

assert world == at_hand("emoji") and len(captions) == 400  # noqa: F821 - of the notebook
assert preview.good == 399 and preview.problems == 3 and preview.complete  # noqa: F821
assert {problem.key for problem in preview.named} == {"cut.png", "001.png", "alone.png"}  # noqa: F821
assert (run.state, run.step) == ("finished", 200)  # noqa: F821
assert broken_data(run.path)["problems"] == 3  # noqa: F821
assert pictures.shape == (8, 3, 30, 30) and pictures.std() > 0  # noqa: F821
losses = run.validation["loss"]  # noqa: F821
assert np.isfinite(losses).all() and losses.iloc[-1] < losses.iloc[0]
assert not monitor.running and not monitor._note.value  # noqa: F821
monitor.controls["figure"].value = "retrieval"  # noqa: F821
assert len(monitor.figure.data) > 0  # noqa: F821

delete_training(workspace, next(each for each in list_trainings(workspace) if each.path == run.path))  # noqa: F821
assert not run.path.exists() and folder.exists()  # noqa: F821
