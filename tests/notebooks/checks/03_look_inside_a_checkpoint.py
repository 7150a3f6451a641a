"""Run in the kernel of 03_look_inside_a_checkpoint after its last cell."""
# ruff: noqa: F821 - its names are the notebook's

assert table["values"].sum() == browser.checkpoint.weights.count and (table["nonfinite"] == 0).all()
assert modules["values"].sum() == table["values"].sum()
browser.controls["view"].value = "Tensors"
browser.controls["tensor"].value = "logit_scale"
assert browser.controls["tensor"].value == "logit_scale" and not browser._note.value
browser.controls["find"].value = "blocks.0"
assert all("blocks.0" in name for _, name in browser.controls["tensor"].options)
row = table.set_index("name").loc[browser.controls["tensor"].value]
assert sum(browser._tensors.histogram.data[0].y) == row["values"]
browser.controls["view"].value = "Layers"
assert len(browser._layers.norms.data[0].y) == len(statistics_by_layer(browser.statistics))
assert young.averaged is not None and not young.averaged.equal
young.controls["view"].value = "Tensors"
young.controls["part"].value = "optimizer"
assert young.wait(120).result["name"].str.contains("exp_avg|momentum").any()
assert len(apart) == len(distances_by_layer(ours.compared.weights))
places.controls["position"].value = 3
assert places._positions.similarity.data[0].z[0][3] > 0.999
places.controls["component"].value = 2
places.controls["table"].value = "aligner.positions"
assert places.controls["side"].value == 0 and not places._note.value
cosine = (words @ seen.T).numpy()
assert (cosine.argmax(axis=1) == range(8)).all(), "every caption finds its picture"
total = map_.sum()
assert abs(total - (curve.mean[0] - curve.mean[-1])) < 1e-3, "fair shares add up"
