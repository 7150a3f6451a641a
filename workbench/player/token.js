// Part of mode `player`: details of one token. All tokens share its elements, so it can follow a playing decode.

import {
  bytes, canvasOf, decimals, h, label, note, outlineToken, overlay, panel, place, say, stepText,
} from "./parts.js";
import { lineChart } from "./chart.js";

/**
 * Returns the panel of a token: its attention to words and places when it was revealed, and its denoising.
 *
 * The result is {element, show(position, index), resize()}.
 */
export function tokenPanel(data, { pictures, state }) {
  const { grid, words, order, steps, paths } = data;
  const tokens = grid * grid;
  const [cross, self] = [words && bytes(data.cross), data.self && bytes(data.self)];
  const [title, where] = [label(), note()];
  const spans = (words ?? []).map((word) => h("span", { class: "dp-word" }, word));
  const wordBox = h("p", { class: "dp-words", role: "img" }, ...spans);
  const map = canvasOf(grid);
  const mapPick = outlineToken(grid);
  const strip = paths && canvasOf(data.size / grid * (data.path_length || 1), data.size / grid);
  const curveBox = h("div", { class: "dp-curve" });
  const stripBox = h("div", { class: "dp-strip" }, strip);
  const denoised = strip || data.path_values;
  const body = h(
    "div", { class: "dp-close-body" },
    self && panel("Attention to places", [map, overlay(grid, mapPick.element)], attentionLegend(), "dp-map"),
    h(
      "div", { class: "dp-close-side" },
      words && h("div", {}, label("Attention to words"), wordBox),
      denoised && h("div", {}, label("Denoising, from noise to the token"), stripBox, curveBox),
    ),
  );
  const header = h("div", { class: "dp-close-title" }, title, where);
  const element = h("section", { class: "dp-close", "aria-label": "One token" }, header, body);
  let [drawn, chart] = [null, null];

  function show(position, index) {
    const at = order[position];
    say(title, `Token ${place(position, grid)}`);
    const painted = at >= 0 && at < steps.length;
    const when = painted ? `revealed at ${stepText(steps[at])}` : at < 0 ? "given, not painted" : "not revealed yet";
    const later = painted && at > index ? " (later)" : "";
    const pinned = state.position !== null;
    const next = pinned ? "click it again to unpin" : "follows the step; click a token to pin it";
    say(where, `${when}${later} · ${next}`);
    body.classList.toggle("dp-later-body", at > index);
    body.classList.toggle("dp-none", !painted);
    if (drawn === position || !painted) return;
    drawn = position;
    if (words) showWords(cross.subarray(position * words.length, (position + 1) * words.length));
    if (self) showMap(self.subarray(position * tokens, (position + 1) * tokens), position);
    if (strip) pictures.draw(strip, paths[position]);
    strip?.setAttribute("aria-label", `The patch of the token at ${data.path_length} moments of its denoising, starting from noise`);
    showCurve();
  }

  function resize() {
    const width = curveBox.clientWidth;
    if (!data.path_values || !width) return;
    chart = denoisingChart(data, width);
    curveBox.replaceChildren(chart.element);
    showCurve();
  }

  function showCurve() {
    if (!chart || drawn === null) return;
    const values = data.path_values[drawn];
    chart.redraw(values);
    chart.at(values.length - 1);
    const ends = [values[0], values.at(-1)].map((value) => decimals(value, 2));
    chart.element.setAttribute("aria-label", `Distance to the final token during denoising: ${ends.join(" to ")}`);
  }

  function showWords(row) {
    row.forEach((value, i) => {
      spans[i].style.setProperty("--look", value / 255);
      spans[i].title = `${Math.round((100 * value) / 255)} % of the highest attention`;
    });
    const best = [...row.keys()].sort((one, other) => row[other] - row[one]).slice(0, 3);
    wordBox.setAttribute("aria-label", `Highest attention: ${best.map((i) => words[i]).join(", ")}`);
  }

  function showMap(row, position) {
    const image = new ImageData(grid, grid);
    const blue = getComputedStyle(map).getPropertyValue("--blue").trim().split(" ").map(Number);
    row.forEach((value, i) => image.data.set([...blue, value], 4 * i));
    map.getContext("2d").putImageData(image, 0, 0);
    mapPick.draw([position]);
    const best = row.indexOf(Math.max(...row));
    map.setAttribute("aria-label", `Attention of the token at ${place(position, grid)}: highest at ${place(best, grid)}`);
  }

  return { element, show, resize };
}

function attentionLegend() {
  const bar = h("span", { class: "dp-ramp dp-look-ramp" });
  return h("span", { class: "dp-legend" }, note("low"), bar, note("high"));
}

/** Chart below the strip of patches, with each moment below its patch; all tokens share its axes. */
function denoisingChart({ path_values: curves, path_length: length }, width) {
  return lineChart({
    label: "Distance to the final token during denoising", width, height: 124,
    xs: [...Array(length).keys()], xRange: [-0.5, length - 0.5], yValues: curves.flat(),
    xTitle: "Denoising moment (0 = noise)", yTitle: "RMS distance",
    lines: [{ values: curves[0], colour: "currentColor" }],
  });
}
