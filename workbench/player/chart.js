// A line chart in SVG. It is redrawn when its width changes; a slider only moves the cursor and the clip.

import { svg } from "./parts.js";

const MARGIN = { left: 54, right: 30, bottom: 40 };

/** Returns round numbers that divide a range into about `parts`. */
export function ticks(low, high, parts) {
  const raw = (high - low || 1) / parts;
  const power = 10 ** Math.floor(Math.log10(raw));
  const unit = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const values = [];
  for (let i = Math.ceil(low / unit - 1e-9); i * unit <= high + 1e-9 * unit; i++) values.push(i * unit);
  return { values, places: Math.max(0, -Math.floor(Math.log10(unit) + 1e-9)) };
}

/**
 * Returns a chart of `lines` ({values, colour, label, pale}, with a value or null for each of `xs`).
 *
 * The result is {element, at(index), redraw(values)}: `at` moves the cursor and draws lines in full up to it, `redraw`
 * replaces the values of the only line. `above` adds a second x axis at the top: {title, labels}; `marks` are vertical
 * lines {index, label}; `yValues` are the values that the y axis must cover (default: those of the lines).
 */
export function lineChart(settings) {
  const { width, height, label, xs, xRange, xTitle, xText, yTitle, yValues, lines, above, marks = [] } = settings;
  const top = above ? 44 : 12;
  const [low, high] = room((yValues ?? lines.flatMap((line) => line.values)).filter((value) => value !== null));
  const inner = width - MARGIN.left - MARGIN.right;
  const x = (value) => MARGIN.left + ((value - xRange[0]) / (xRange[1] - xRange[0] || 1)) * inner;
  const y = (value) => height - MARGIN.bottom - ((value - low) / (high - low)) * (height - MARGIN.bottom - top);
  const floor = height - MARGIN.bottom;
  const clip = `dp-clip-${++clips}`;
  const window_ = svg("rect", { x: 0, y: 0, width: 0, height });
  const cursor = svg("line", { class: "dp-cursor", y1: top, y2: floor });
  const dots = lines.map((line) => svg("circle", { r: 4, fill: line.colour, class: "dp-dot" }));

  const element = svg(
    "svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "dp-chart" },
    svg("clipPath", { id: clip }, window_),
    ...yAxis(ticks(low, high, 4), y, width),
    ...xAxis(ticks(...xRange, Math.min(10, width / 60)), x, floor, xText),
    text(xTitle, (MARGIN.left + width - MARGIN.right) / 2, height - 6, "dp-title-x"),
    svg("text", { class: "dp-title-y", transform: `translate(13 ${(top + floor) / 2}) rotate(-90)` }, yTitle),
    ...(above ? topAxis(above, xs, x, top, width) : []),
    ...marks.flatMap(({ index, label: name }) => choice(x(xs[index]), top, floor, name, width)),
    ...lines.map((line) => path(line, "dp-line dp-line-rest")),
    svg("g", { "clip-path": `url(#${clip})` }, ...lines.map((line) => path(line, "dp-line"))),
    cursor, ...dots, ...ends(lines, xs, x, y, floor),
  );

  function path(line, name) {
    const d = linePath(line.values, xs, x, y);
    return svg("path", { class: name, d, stroke: line.colour, "data-pale": Boolean(line.pale) });
  }

  function redraw(values) {
    const d = linePath(values, xs, x, y);
    for (const drawn of element.querySelectorAll(".dp-line")) drawn.setAttribute("d", d);
    lines[0].values = values;
  }

  function at(index) {
    const here = x(xs[index]);
    window_.setAttribute("width", here + 1);
    cursor.setAttribute("x1", here);
    cursor.setAttribute("x2", here);
    lines.forEach((line, i) => {
      const value = line.values[index] ?? null;
      dots[i].style.display = value === null ? "none" : "";
      if (value !== null) set(dots[i], { cx: here, cy: y(value) });
    });
  }
  return { element, at, redraw };
}

let clips = 0;

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** Returns the range of the values with a margin. */
function room(values) {
  if (!values.length) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const more = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 && low < 0.3 * high ? 0 : low - more, high + more];
}

function text(content, x, y, name) {
  return svg("text", { x, y, class: name }, content);
}

function yAxis({ values, places }, y, width) {
  return values.flatMap((value) => [
    svg("line", { class: "dp-grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
    text(value.toFixed(places).replace("-", "−"), MARGIN.left - 7, y(value) + 4, "dp-tick-y"),
  ]);
}

function xAxis({ values, places }, x, floor, xText = (value) => value.toFixed(places)) {
  return values.flatMap((value) => [
    svg("line", { class: "dp-axis", x1: x(value), x2: x(value), y1: floor, y2: floor + 4 }),
    text(xText(value), x(value), floor + 17, "dp-tick-x"),
  ]);
}

/** Returns labels above their places, as many as fit. */
function topAxis({ title, labels }, xs, x, top, width) {
  const shown = [];
  for (let i = xs.length - 1; i >= 0; i--) {
    if (!shown.length || x(xs[i]) < x(xs[shown.at(-1)]) - 24) shown.push(i);
  }
  return [
    text(title, (MARGIN.left + width - MARGIN.right) / 2, 13, "dp-title-x"),
    ...xs.map((value) => svg("line", { class: "dp-axis", x1: x(value), x2: x(value), y1: top - 4, y2: top })),
    ...shown.map((i) => text(labels[i], x(xs[i]), top - 8, "dp-tick-x")),
  ];
}

function choice(x, top, floor, name, width) {
  const anchor = x > width * 0.25 ? { x: x - 6, "text-anchor": "end" } : { x: x + 6, "text-anchor": "start" };
  return [
    svg("line", { class: "dp-choice", x1: x, x2: x, y1: top, y2: floor }),
    svg("text", { ...anchor, y: floor - 8, class: "dp-choice-name" }, name),
  ];
}

/** Returns the path of a line, with a gap where a value is missing. */
function linePath(values, xs, x, y) {
  let pen = "M";
  let d = "";
  values.forEach((value, i) => {
    if (value !== null) d += `${pen}${x(xs[i]).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = value === null ? "M" : "L";
  });
  return d;
}

/** Returns the labels at the ends of the lines, moved apart where they would overlap, and kept above the axis. */
function ends(lines, xs, x, y, floor) {
  const found = lines.flatMap((line) => {
    const last = line.values.findLastIndex((value) => value !== null);
    return last < 0 || !line.label ? [] : [{ line, x: x(xs[last]) + 8, y: y(line.values[last]) + 4 }];
  });
  const near = (one, other) => Math.abs(other.x - one.x) < 20;
  const spread = (ordered, way) => ordered.forEach((end, i) => {
    for (const other of ordered.slice(0, i)) {
      if (near(other, end) && way * (end.y - other.y) < 13) end.y = other.y + way * 13;
    }
  });
  spread(found.sort((one, other) => one.y - other.y), 1);
  for (const end of found) end.y = Math.min(end.y, floor);
  spread(found.reverse(), -1);
  const name = ({ line, ...at }) => svg("text", { ...at, style: `fill: ${line.colour}`, class: "dp-end" }, line.label);
  return found.map(name);
}
