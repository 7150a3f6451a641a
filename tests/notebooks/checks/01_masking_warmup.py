"""The notebook's own explorers are driven: figures and data say the same, and laws hold at every setting."""

import numpy as np

for shown in (explorer, trained):  # noqa: F821 - of the notebook
    for name in ("Paper", "tiny", "Uniform", "Moving"):
        shown.controls["preset"].value = name
        result = shown.result
        (line,) = [trace for trace in shown.figures["density"].data if trace.name == "true mean"]
        assert np.allclose(line.y, result.schedule.mean), name
        assert np.allclose((result.schedule.density * np.diff(result.schedule.edges)).sum(1), 1), name
        shown.controls["moment"].value = 90
        moment = shown.result.moment
        assert abs(moment.ratios.mean() - moment.mean) < 0.05, name
        assert f"{moment.progress:.0%}" in shown.figures["moment"].layout.title.text

explorer.controls["preset"].value = "Paper"  # noqa: F821
assert np.allclose(explorer.result.schedule.mean[[0, -1]], [0.34, 0.66], atol=0.01)  # noqa: F821
explorer.controls["view"].value = "Ridges"  # noqa: F821
assert not explorer._note.value and not trained._note.value  # noqa: F821
