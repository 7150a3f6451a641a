// Mode `player`: one decode, step by step, and the details of one token.

import {
  canvasOf, cellAt, cellPath, cellsPath, count, decimals, h, hatch, neighbour, note, outlineStep, outlineToken, overlay, panel,
  percent, ramp, rampGradient, readouts, say, stepText, svg,
} from "./parts.js";
import { tokenPanel } from "./token.js";

/**
 * Returns the panels of a decode: {element, urls, texts, help, show(index), key(event), pin(position), resize()}.
 *
 * `context` holds what outlives the data: `state.position` (the pinned token or null), `pictures`, `send(event)`,
 * `wants(kind)` and `at()` (index of the step shown).
 */
export function decodeView(data, context) {
  const { grid, steps, frames, rests } = data;
  const { pictures, state } = context;
  if (state.position >= grid * grid) state.position = null;
  const hidden = steps.map((_, i) => cellsPath(data.order.flatMap((at, p) => (at > i ? [p] : [])), grid));
  const left = steps.map((_, i) => data.order.filter((at) => at > i).length);

  const readout = readouts(["Step", "Decoded", "Guidance", "Alignment"]);
  const click = () => context.send({ kind: "fork", index: context.at() });
  const fork = h("button", { type: "button", title: "Continue from this step with other settings", "data-focus": "fork", click }, "Fork here");

  const [big, rest] = [canvasOf(data.size), rests && canvasOf(data.size)];
  const [marks, picks] = [outlineStep, outlineToken].map((make) => [...Array(4)].map(() => make(grid)));
  const outlines = (i) => [marks[i].element, picks[i].element];
  const [veil, mask, later] = [hatch("veil"), hatch("hidden"), cellPath("later")];
  const maskNote = note();
  const close = tokenPanel(data, context);

  const layers = {
    big: [big, overlay(grid, veil.element, ...outlines(0))],
    mask: [overlay(grid, mask.element, ...outlines(1))],
    rest: rests && [rest, overlay(grid, ...outlines(2))],
    order: [overlay(grid, ...orderCells(data), later, ...outlines(3))],
  };
  const panels = [
    panel("Mask", layers.mask, maskNote),
    rests && panel("Preview of the rest", layers.rest, note("as the model would fill it now")),
    panel("Reveal order", layers.order, orderLegend(data)),
  ].filter(Boolean);
  const bigPanel = panel("Picture so far", layers.big, note("outlined: tokens of this step"), "dp-big");
  for (const figure of [bigPanel, ...panels]) {
    const picture = figure.querySelector(".dp-picture");
    picture.classList.add("dp-pickable");
    picture.addEventListener("click", (event) => pick(cellAt(event, picture, grid)));
  }

  const element = h(
    "div", { class: "dp-decode", style: `--mark: ${data.colour}` },
    h("div", { class: "dp-head" }, readout.element, context.wants("fork") ? fork : null),
    bigPanel, h("div", { class: "dp-panels" }, ...panels), close.element,
  );

  function show(index) {
    const step = steps[index];
    pictures.draw(big, frames[index]);
    if (rests) pictures.draw(rest, rests[index]);
    for (const mark of marks) mark.draw(step.revealed);
    for (const path of [veil.path, mask.path, later]) path.setAttribute("d", hidden[index]);
    const shown = state.position ?? step.revealed[0] ?? 0;
    for (const pick of picks) pick.draw([shown]);
    const tokens = grid * grid;
    readout.say([
      `${step.step} / ${step.of}`, `${percent(step.decoded)} · ${tokens - left[index]} of ${tokens} tokens`,
      decimals(step.guidance, 2), decimals(step.alignment),
    ]);
    say(maskNote, `${left[index]} of ${tokens} hidden`);
    big.setAttribute("aria-label", `Picture so far, ${describe(step, tokens - left[index])}. ${data.title}`);
    rest?.setAttribute("aria-label", `The whole picture as the model would fill it now, ${stepText(step)}`);
    close.show(shown, index);
  }

  /** Pins the token, or unpins it if it is pinned. */
  function pick(position) {
    state.position = state.position === position ? null : position;
    show(context.at());
    context.send({ kind: "position", position: state.position });
  }

  /** Pins the token without sending an event; null unpins. */
  function pin(position) {
    if (state.position === position) return;
    state.position = position;
    show(context.at());
  }

  function key(event) {
    if (event.key === "Escape" && state.position !== null) pick(state.position);
    else if (event.shiftKey) {
      const from = state.position ?? steps[context.at()].revealed[0] ?? 0;
      const to = neighbour(from, event.key, grid);
      if (to === null) return false;
      if (to !== state.position) pick(to);
    } else return false;
    return true;
  }

  const urls = [...frames, ...(rests ?? []), ...(data.paths ?? [])];
  const help = "← → step · space play · Home End · click or shift + arrows: pin a token · Esc: unpin";
  const texts = steps.map((step, i) => describe(step, grid * grid - left[i]));
  return { element, urls, texts, help, show, key, pin, resize: close.resize };
}

function describe(step, tokens) {
  return `${stepText(step)}, ${percent(step.decoded)} decoded (${count(tokens, "token")})`;
}

function orderCells({ order, steps, grid }) {
  const last = Math.max(1, steps.length - 1);
  return order.map((at, p) => svg("rect", {
    x: p % grid, y: Math.floor(p / grid), width: 1.01, height: 1.01,
    ...(at < 0 || at >= steps.length ? { class: "dp-given" } : { fill: ramp(at / last) }),
  }));
}

function orderLegend({ order, steps }) {
  const bar = h("span", { class: "dp-ramp", style: `background: ${rampGradient}` });
  const [first, last] = [steps[0].step, steps.at(-1).step];
  const label = `Order in which tokens were revealed: dark is early (step ${first}), light is late (step ${last})`;
  const given = order.includes(-1) ? note("· grey: given") : null;
  const legend = { class: "dp-legend", role: "img", "aria-label": label };
  return h("span", legend, note(`early ${first}`), bar, note(`${last} late`), given);
}
