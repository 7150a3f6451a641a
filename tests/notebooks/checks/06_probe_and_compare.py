"""Run in the kernel of 06_probe_and_compare after its last cell."""
# ruff: noqa: F821 - its names are the notebook's

from dream.data.emoji.table import table_path

assert not measuring.running
names = [result.name for result in measuring.result]
assert sorted(names) == ["clip", "dream", "fluid"]
by_name = {result.name: result for result in measuring.result}
assert {entry.task for entry in by_name["dream"].entries if entry.measures} == set(tasks.split(","))
skipped = [entry.task for entry in by_name["fluid"].entries if entry.skipped]
assert skipped == ["retrieval"], "only the joint space is missing there"
shown = {trace.name for trace in measuring.figure.data}
assert {"clip", "dream", "fluid"} <= shown
estimates = [m.estimate for result in measuring.result for e in result.entries for m in e.measures]
assert all(e.low <= e.value <= e.high for e in estimates)
hidden = {
    result.name: m.estimate.value
    for result, m in measures_of(live, "retrieval")
    if m.name == "text to image R@1" and m.where["mask_ratio"] == 0.75
}
assert hidden["dream"] > hidden["clip"] + 0.2, hidden
again = Measuring(models, tasks, out, assignments=settings)
assert [result.name for result in again.wait(60).result] == names, "what is kept is not measured again"
stopped = Measuring(models, "edits", out)
stopped.cancel()
stopped.wait(60)
assert not stopped.running
assert sum(len(result.entries) for result in trusted) > 40

assert (source, name) == (("emoji:unseen", "emoji") if table_path().is_file() else ("shapes", "demo"))
assert [result.name for result in real.result] == [name]
measured = [m for _, m in measures_of(real.result, "retrieval") if m.name == "text to image R@1"]
recall = {m.where["mask_ratio"]: m.estimate.value for m in measured}
assert min(recall) == 0 and recall[0] > 10 / 64 and recall[0.75] > 10 / 64
assert len(index.captions) == 400 and query in index.captions
assert set(index.features) == set(ratios.values())
