// The player of the DREAM workbench: one module for the app, notebooks and offline HTML, without dependencies.
//
// `mount` puts it into an element. check.py has validated the data, whose format is described in __init__.py. Each
// mode has a view that builds its elements once per data and updates them in `show(index)`. The reader's state (step,
// pinned token, selected cells) is stored apart from the data, so it survives new data and another mount of the same
// decode.

import { Pictures, h, say } from "./parts.js";
import { Transport } from "./transport.js";
import { decodeView } from "./decode.js";
import { raceView } from "./race.js";
import { cellsView } from "./cells.js";
import { compareView } from "./compare.js";

const VIEWS = { player: decodeView, race: raceView, cells: cellsView, compare: compareView };

/** State of the reader by identity of the data; the oldest entry is dropped first. */
const remembered = new Map();
const REMEMBERED = 50;

let lastId = 0;

/** Returns a number above all earlier ones, also those of an earlier page load. */
function nextId() {
  lastId = Math.max(lastId + 1, Date.now());
  return lastId;
}

/**
 * Shows `data` in `root`: {update(data), go(index), pin(position), rested(), destroy()}.
 *
 * `emit(event)` receives events of the given `kinds` (null: all kinds). Without it, controls that need an answer are
 * left out.
 */
export function mount(root, data, emit = null, kinds = null) {
  const title = h("div", { class: "dp-title", dir: "auto" });
  const stage = h("div", { class: "dp-stage" });
  const help = h("div", { class: "dp-help" });
  const frame = h("div", { class: "dream-player", role: "group", tabindex: 0, keydown, keyup, pointerdown });
  const transport = new Transport((index) => view.show(index), rest);
  const pictures = new Pictures();
  const wants = (kind) => emit !== null && (kinds === null || kinds.includes(kind));
  const send = (event) => wants(event.kind) && emit({ ...event, id: nextId() });
  const resizing = new ResizeObserver(() => view?.resize?.());
  let [asked, shown, view, state] = [null, null, null, null];
  const early = {}; // requests made before the first view is shown

  transport.element.hidden = true;
  frame.append(title, transport.element, stage, help);
  root.append(frame);
  resizing.observe(frame);
  update(data);

  /** Shows new data as soon as its pictures are decoded. */
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
    title.title = next.title; // the whole of it, where the line is cut
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

  /** Returns the reader's state for this data; data that continues the current decode keeps the current state. */
  function stateFor(next) {
    if (shown !== null) note();
    let known = remembered.get(identity(next));
    if (!known && shown !== null && continues(next, shown)) known = state;
    known ??= { index: next.at ?? Infinity, position: null, candidate: null };
    if (next.mode === "cells") adopt(known, next.cells);
    remember(identity(next), known);
    return known;
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
    if (at === "SELECT" || (at === "INPUT" && !view.texts)) return; // these handle keys themselves
    if (at === "BUTTON" && [" ", "Enter"].includes(event.key)) return;
    const taken = view.key?.(event) || (view.texts && !event.shiftKey && transport.key(event.key));
    if (taken) event.preventDefault();
  }

  function keyup(event) {
    if (view?.texts && !event.shiftKey && event.target.tagName !== "SELECT") transport.keyUp(event.key);
  }

  /** A click anywhere inside moves the keyboard focus to the player. */
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

  /** Number of the step at which the reader rests; null at the last one, undefined while there is none. */
  function rested() {
    if (!view?.texts || transport.playing) return undefined;
    return transport.index === transport.last ? null : shown.steps[transport.index].step;
  }

  return { update, destroy, go, pin, rested };
}

/** Returns a key that is equal for the same decode, picture or pair. */
function identity(data) {
  const { mode, title, steps = [], picture = null, grid = 0 } = data;
  const path = steps.map(({ step, of, decoded, revealed }) => [step, of, decoded, revealed]);
  return JSON.stringify([mode, title, picture, grid, path]);
}

/** Returns whether this is the same decode some steps later, as during painting. */
function continues(next, before) {
  if (!next.steps || !before.steps) return false;
  return identity({ ...next, steps: next.steps.slice(0, before.steps.length) }) === identity(before);
}

function remember(key, state) {
  remembered.delete(key);
  remembered.set(key, state);
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value);
}

/** Takes the given cells unless they only echo an earlier selection of the reader. */
function adopt(state, cells) {
  const given = JSON.stringify([...cells].sort((one, other) => one - other));
  const echo = state.sent?.indexOf(given) ?? -1;
  if (echo >= 0) state.sent.splice(0, echo + 1);
  else if (given !== state.given) [state.cells, state.sent] = [new Set(cells), []];
  state.given = given;
}
