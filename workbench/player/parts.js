// Building blocks of all modes: elements, pictures, grid cells, number formats.

/** Creates an HTML element; function attributes become event listeners, `null` and `false` are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Creates an SVG element in the same way. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A note in small print, and a label. */
export const note = (text = "") => h("span", { class: "dp-note" }, text);
export const label = (text = "") => h("span", { class: "dp-label" }, text);

/** Sets text only if it differs, to avoid another layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
export const decimals = (value, places = 3) => (value === null ? "–" : value.toFixed(places).replace("-", "−"));
export const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
export const stepText = (step) => `step ${step.step} of ${step.of}`;

/** Returns row and column, counted from 1. */
export function place(position, grid) {
  return `row ${Math.floor(position / grid) + 1}, column ${(position % grid) + 1}`;
}

/** Decodes base64 text to bytes. */
export function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// pictures

/** Cache of decoded pictures by URL: `ready` waits for them, `draw` is then immediate. */
export class Pictures {
  #images = new Map();

  async ready(addresses) {
    const missing = addresses.filter((url) => !this.#images.has(url));
    for (const url of missing) this.#images.set(url, Object.assign(new Image(), { src: url }));
    await Promise.allSettled(addresses.map((url) => this.#images.get(url)?.decode()));
  }

  /** Drops all pictures but these. */
  keep(addresses) {
    const kept = new Set(addresses);
    for (const url of this.#images.keys()) if (!kept.has(url)) this.#images.delete(url);
  }

  /** Draws the picture over the whole canvas; a damaged one leaves it empty. */
  draw(canvas, url) {
    const pen = canvas.getContext("2d");
    const image = this.#images.get(url);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = false;
    if (image?.naturalWidth) pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  }
}

/** Creates a canvas for pictures of this size; small ones are enlarged without smoothing. */
export function canvasOf(width, height = width) {
  return h("canvas", { width, height, role: "img", class: Math.max(width, height) <= 160 ? "dp-hard" : null });
}

// grids

/** Returns the outlines of cells as an SVG path, in cell units; `inset` keeps them off the cell edges. */
export function cellsPath(positions, grid, inset = 0) {
  const side = 1 - 2 * inset;
  const cell = (p) => `M${(p % grid) + inset} ${Math.floor(p / grid) + inset}h${side}v${side}h${-side}z`;
  return positions.map(cell).join("");
}

/** Creates an SVG overlay for a picture, in cell units. */
export function overlay(grid, ...children) {
  const box = { viewBox: `0 0 ${grid} ${grid}`, preserveAspectRatio: "none", class: "dp-over", "aria-hidden": "true" };
  return svg("svg", box, ...children);
}

/** Creates a path for an overlay; `kind` names its CSS class. */
export function cellPath(kind) {
  return svg("path", { class: `dp-${kind}`, "vector-effect": "non-scaling-stroke" });
}

let hatches = 0;

/** Creates a path for hidden cells, filled with a hatch that is seen on white and on black; kept as `path`. */
export function hatch(kind) {
  const id = `dp-hatch-${++hatches}`;
  const size = 0.25; // of a cell
  const tile = { id, width: size, height: size, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  const pattern = svg(
    "pattern", tile, svg("rect", { class: "dp-hatch-ground", width: size, height: size }),
    svg("rect", { class: "dp-hatch-line", width: 0.06, height: size }),
  );
  const path = cellPath(kind);
  path.setAttribute("fill", `url(#${id})`);
  return { element: svg("g", {}, pattern, path), path };
}

/** Creates cell outlines with a white rim, visible on any picture; `draw(positions)` moves them. */
export function outline(kind, grid, inset) {
  const paths = [cellPath(`${kind}-rim`), cellPath(kind)];
  const draw = (positions) => {
    const d = cellsPath(positions, grid, inset);
    for (const path of paths) path.setAttribute("d", d);
  };
  return { element: svg("g", {}, ...paths), draw };
}

export const outlineStep = (grid) => outline("mark", grid, 0.035);
export const outlineToken = (grid) => outline("pick", grid, 0.13);

/** Returns the cell under the pointer. */
export function cellAt(event, element, grid) {
  const box = element.getBoundingClientRect();
  const cell = (at, from, length) => Math.min(grid - 1, Math.max(0, Math.floor(((at - from) / length) * grid)));
  return cell(event.clientY, box.top, box.height) * grid + cell(event.clientX, box.left, box.width);
}

/** Returns the cell that an arrow key leads to, within the grid; null for any other key. */
export function neighbour(position, key, grid) {
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
  if (!move) return null;
  const inside = (at) => Math.min(grid - 1, Math.max(0, at));
  return inside(Math.floor(position / grid) + move[0]) * grid + inside((position % grid) + move[1]);
}

/** Creates a row of labelled values; `say(texts)` sets them. */
export function readouts(names) {
  const values = names.map(() => h("output"));
  const pairs = names.map((name, i) => h("div", {}, h("dt", {}, name), h("dd", {}, values[i])));
  const sayAll = (texts) => texts.forEach((text, i) => say(values[i], text));
  return { element: h("dl", { class: "dp-readouts" }, ...pairs), say: sayAll };
}

/** Creates a titled picture with overlays and a line below. */
export function panel(title, layers, below = null, name = "") {
  const caption = h("figcaption", {}, label(title), below);
  return h("figure", { class: `dp-panel ${name}` }, h("div", { class: "dp-picture" }, ...layers), caption);
}

// colour

// cividis: lightness alone distinguishes early (dark) from late (light), also for colour-blind readers
const RAMP = ["#00224e", "#213b6e", "#4c556c", "#6c6e72", "#8e8978", "#b3a772", "#dac45c", "#fee838"];

/** Returns the colour of a share from 0 (early) to 1 (late). */
export function ramp(share) {
  const at = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(at));
  const channel = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mix = (i) => Math.round(channel(RAMP[low], i) * (low + 1 - at) + channel(RAMP[low + 1], i) * (at - low));
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
}

export const rampGradient = `linear-gradient(to right, ${RAMP.join(", ")})`;
