// The player of the DREAM workbench: one module for the app, notebooks and offline HTML, without dependencies.
//
// `mount` puts it into an element. What it is given is described in __init__.py, which refuses anything else;
// here it is taken as right. A mode is a view: it makes its elements once for its data and moves them with
// `show(index)`. What a reader did (step, pinned token, selected cells) is kept apart from the data, so that it
// outlives both new data and another mount of the same decode.

import { Pictures, h, say } from "./parts.js";
import { Transport } from "./transport.js";
import { decodeView } from "./decode.js";
import { raceView } from "./race.js";
import { cellsView } from "./cells.js";
import { compareView } from "./compare.js";

const VIEWS = { player: decodeView, race: raceView, cells: cellsView, compare: compareView };

/** What readers did, by what identifies the data; the oldest is forgotten first. */
const remembered = new Map();
const REMEMBERED = 50;

let lastId = 0;

/** A number above all before it, also above those of an earlier page. */
function nextId() {
  lastId = Math.max(lastId + 1, Date.now());
  return lastId;
}

/**
 * Shows `data` in `root`: {update(data), go(index), pin(position), destroy()}.
 *
 * `emit(event)` hears what the reader does, of the `kinds` given (null: of all). Without it the player offers
 * only what needs no answer.
 */
export function mount(root, data, emit = null, kinds = null) {
  const title = h("div", { class: "dp-title" });
  const stage = h("div", { class: "dp-stage" });
  const help = h("div", { class: "dp-help" });
  const frame = h("div", { class: "dream-player", role: "group", tabindex: 0, keydown, keyup, pointerdown });
  const transport = new Transport((index) => view.show(index), rest);
  const pictures = new Pictures();
  const wants = (kind) => emit !== null && (kinds === null || kinds.includes(kind));
  const send = (event) => wants(event.kind) && emit({ ...event, id: nextId() });
  const resizing = new ResizeObserver(() => view?.resize?.());
  let [asked, shown, view, state] = [null, null, null, null];
  const early = {}; // what was asked for before there was something to show

  transport.element.hidden = true;
  frame.append(title, transport.element, stage, help);
  root.append(frame);
  resizing.observe(frame);
  update(data);

  /** Shows other data as soon as its pictures are there. */
  async function update(next) {
    if (next === asked) return;
    asked = next;
    const nextState = stateFor(next);
    const context = { pictures, send, wants, state: nextState, at: () => transport.index };
    const nextView = VIEWS[next.mode](next, context);
    await pictures.ready(nextView.urls);
    if (next === asked) put(next, nextView, nextState);
  }

  function put(next, nextView, nextState) {
    const focus = frame.getRootNode().activeElement;
    const focused = stage.contains(focus) ? focus.dataset.focus : null;
    const [first, same] = [shown === null, nextState === state];
    if (first) Object.assign(nextState, early);
    const index = !same ? nextState.index : transport.atRestAtEnd ? Infinity : transport.index;
    if (!same) transport.stop();
    [shown, view, state] = [next, nextView, nextState];
    pictures.keep(view.urls);
    say(title, next.title);
    say(help, view.help);
    frame.setAttribute("aria-label", next.title);
    transport.element.hidden = !view.texts;
    stage.replaceChildren(view.element);
    if (view.texts) transport.setSteps(view.texts, index);
    view.resize?.();
    view.show(transport.index);
    if (focused !== null) (stage.querySelector(`[data-focus="${focused}"]`) ?? frame).focus({ preventScroll: true });
    else if (first && view.texts && document.activeElement === document.body) frame.focus({ preventScroll: true });
  }

  /** What the reader did in data like this; in data that goes on where the shown one ends, they go on with it. */
  function stateFor(next) {
    if (shown !== null) note();
    let found = remembered.get(identity(next));
    if (!found && shown !== null && continues(next, shown)) found = state;
    found ??= { index: Infinity, position: null, candidate: null };
    if (next.mode === "cells") adopt(found, next.cells);
    remember(identity(next), found);
    return found;
  }

  function note() {
    if (view.texts) state.index = transport.index;
  }

  function rest(index) {
    note();
    send({ kind: "step", index });
  }

  function keydown(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !view) return;
    const at = event.target.tagName;
    if (at === "SELECT" || (at === "INPUT" && !view.texts)) return; // these have keys of their own
    if (at === "BUTTON" && [" ", "Enter"].includes(event.key)) return;
    const taken = view.key?.(event) || (view.texts && !event.shiftKey && transport.key(event.key));
    if (taken) event.preventDefault();
  }

  function keyup(event) {
    if (view?.texts && !event.shiftKey && event.target.tagName !== "SELECT") transport.keyUp(event.key);
  }

  /** A click anywhere inside gives the keys to the player. */
  function pointerdown(event) {
    const own = event.target.closest("button, input, select, [tabindex='0']:not(.dream-player)");
    if (!own) frame.focus({ preventScroll: true });
  }

  function destroy() {
    if (shown !== null) note();
    asked = null;
    transport.destroy();
    resizing.disconnect();
    frame.remove();
  }

  function go(index) {
    if (view === null) early.index = index;
    else if (view.texts) transport.go(index);
  }

  function pin(position) {
    if (view === null) early.position = position;
    else view.pin?.(position);
  }

  return { update, destroy, go, pin };
}

/** What tells this data from other data: what a reader would call the same decode, picture or pair. */
function identity(data) {
  const { mode, title, steps = [], picture = null, grid = 0 } = data;
  const path = steps.map(({ step, of, decoded, revealed }) => [step, of, decoded, revealed]);
  return JSON.stringify([mode, title, picture, grid, path]);
}

/** True for the same decode some steps later, as while it is painted. */
function continues(next, before) {
  if (!next.steps || !before.steps) return false;
  return identity({ ...next, steps: next.steps.slice(0, before.steps.length) }) === identity(before);
}

function remember(key, state) {
  remembered.delete(key);
  remembered.set(key, state);
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value);
}

/** Takes the cells that were given, unless they only echo what the reader had selected before. */
function adopt(state, cells) {
  const given = JSON.stringify([...cells].sort((one, other) => one - other));
  const echo = state.sent?.indexOf(given) ?? -1;
  if (echo >= 0) state.sent.splice(0, echo + 1);
  else if (given !== state.given) [state.cells, state.sent] = [new Set(cells), []];
  state.given = given;
}
