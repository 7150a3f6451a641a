// Mode `cells`: selects cells of a picture to keep or clear, by click, drag or keyboard.

import { canvasOf, cellAt, h, neighbour, note, outlineToken, overlay, panel, place, say } from "./parts.js";

let boards = 0;

/** Returns {element, urls, help, show(), key(event)}; `context` as in `decodeView`, with `state.cells` a Set. */
export function cellsView(data, context) {
  const { grid, verb } = data;
  const { state } = context;
  const tokens = grid * grid;
  const all = [...Array(tokens).keys()];
  const name = `dp-board-${++boards}`;
  state.cursor = Math.min(state.cursor ?? 0, tokens - 1);

  const canvas = canvasOf(data.size);
  canvas.setAttribute("aria-hidden", "true");
  const cursor = outlineToken(grid);
  const cells = all.map((p) => h("div", { role: "gridcell", id: `${name}-${p}`, "aria-label": place(p, grid) }));
  const rows = all.slice(0, grid).map((row) => h("div", { role: "row" }, ...cells.slice(row * grid, (row + 1) * grid)));
  const board = h(
    "div", { class: "dp-board", role: "grid", tabindex: 0, "data-focus": "board", "aria-multiselectable": "true",
      "aria-label": `${data.title}: ${grid} rows of ${grid} tokens to ${verb}`,
      pointerdown: press, pointermove: drag, pointerup: release, pointercancel: release },
    canvas, h("div", { class: "dp-grid-rows" }, ...rows), overlay(grid, cursor.element),
  );
  const counted = h("output", { class: "dp-count" });
  const button = (text, title, next) => {
    const click = () => choose(all.filter(next));
    return h("button", { type: "button", title, "data-focus": text, click }, text);
  };
  const element = h(
    "div", { class: "dp-cells" },
    panel(verb === "keep" ? "Tokens to keep" : "Tokens to clear", [board], null, "dp-big"),
    h(
      "div", { class: "dp-cells-side" }, counted,
      h("div", { class: "dp-buttons", role: "group", "aria-label": "Selection" },
        button("All", "Select every token", () => true), button("None", "Select no token", () => false),
        button("Invert", "Select all other tokens", (p) => !state.cells.has(p))),
      h("p", { class: "dp-legend" }, h("span", { class: "dp-repaint" }), note("hatched tokens will be repainted")),
    ),
  );

  function show() {
    const kept = (p) => state.cells.has(p) === (verb === "keep");
    context.pictures.draw(canvas, data.picture);
    cursor.draw([state.cursor]);
    board.setAttribute("aria-activedescendant", `${name}-${state.cursor}`);
    cells.forEach((cell, p) => {
      cell.setAttribute("aria-selected", state.cells.has(p));
      cell.classList.toggle("dp-repaint", !kept(p));
    });
    const repainted = all.filter((p) => !kept(p)).length;
    say(counted, `${tokens - repainted} of ${tokens} tokens kept, ${repainted} to repaint`);
  }

  function choose(positions) {
    state.cells = new Set(positions);
    show();
    const cells = [...state.cells].sort((one, other) => one - other);
    state.sent.push(JSON.stringify(cells));
    context.send({ kind: "cells", cells });
  }

  let brush = null; // value for the cells under the pointer: true, false, or null between strokes

  function press(event) {
    if (event.button) return;
    const position = cellAt(event, board, grid);
    board.setPointerCapture(event.pointerId);
    brush = !state.cells.has(position);
    paint(position);
  }

  function drag(event) {
    if (brush !== null) paint(cellAt(event, board, grid));
  }

  function release() {
    if (brush !== null) choose(state.cells);
    brush = null;
  }

  function paint(position) {
    state.cursor = position;
    if (brush) state.cells.add(position);
    else state.cells.delete(position);
    show();
  }

  function key(event) {
    if (event.key === " " || event.key === "Enter") {
      const others = all.filter((p) => state.cells.has(p) !== (p === state.cursor));
      choose(others);
      return true;
    }
    const to = neighbour(state.cursor, event.key, grid);
    if (to === null) return false;
    state.cursor = to;
    show();
    return true;
  }

  return { element, urls: [data.picture], show, key, help: "click or drag · arrows and space" };
}
