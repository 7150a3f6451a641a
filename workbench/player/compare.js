// Mode `compare`: two pictures under one slider.

import { canvasOf, h } from "./parts.js";

/** Returns {element, urls, help, show(), key(event)}; `context.state.split` is the left picture's share in percent. */
export function compareView(data, { pictures, state }) {
  const canvases = ["a", "b"].map((name) => canvasOf(data.size));
  canvases.forEach((canvas, i) => canvas.setAttribute("aria-label", [data.label_a, data.label_b][i]));
  const slider = h("input", {
    type: "range", min: 0, max: 100, "data-focus": "split",
    "aria-label": `Share of "${data.label_a}" (left) shown over "${data.label_b}" (right)`,
    input: () => { state.split = +slider.value; show(); },
  });
  const line = h("span", { class: "dp-split", "aria-hidden": "true" });
  const box = h("div", { class: "dp-compare-box" }, canvases[1], canvases[0], line, slider);
  const labels = h("div", { class: "dp-compare-labels" }, h("span", {}, data.label_a), h("span", {}, data.label_b));
  const element = h("div", { class: "dp-compare" }, box, labels);
  state.split ??= 50;

  function show() {
    ["a", "b"].forEach((name, i) => pictures.draw(canvases[i], data[name]));
    slider.value = state.split;
    slider.setAttribute("aria-valuetext", `${state.split} % of ${data.label_a}`);
    box.style.setProperty("--split", `${state.split}%`);
  }

  function key(event) {
    const to = { ArrowLeft: state.split - 2, ArrowRight: state.split + 2, Home: 0, End: 100 }[event.key];
    if (to === undefined) return false;
    state.split = Math.min(100, Math.max(0, to));
    show();
    return true;
  }

  return { element, urls: [data.a, data.b], show, key, help: "drag · ← → Home End" };
}
