// Mode `race`: candidates of one prompt side by side, their alignment as lines, and the choice.

import { canvasOf, decimals, h, note, percent, readouts, say, stepText } from "./parts.js";
import { lineChart } from "./chart.js";
import { chooser } from "./choice.js";

const NARROWEST = 115; // minimum width of a candidate with its gap, in pixels
const LABEL = 13; // height of a line's name in the chart, in pixels

/** Returns the panels of a race: {element, urls, texts, help, show(index), resize()}; `context` as in `decodeView`. */
export function raceView(data, context) {
  const { steps, candidates } = data;
  const { pictures, state } = context;
  const racers = candidates.map((candidate) => racer(candidate, data, () => pick(candidate.number)));
  const readout = readouts(["Step", "Decoded", "Leading", "Chosen"]);
  const row = h("div", { class: "dp-racers" }, ...racers.map((one) => one.element));
  const chartBox = h("div", { class: "dp-chart-box" });
  const picker = data.choose ? chooser(data, context, again) : null;
  const element = h(
    "div", { class: "dp-race" },
    h("div", { class: "dp-head" }, readout.element),
    row, ...(picker ? [picker.element] : []), chartBox,
  );
  let chart = null;

  function show(index) {
    const there = candidates.filter((candidate) => index < candidate.alive);
    const choice = choiceOf();
    racers.forEach((one, i) => one.show(index, choice, pictures, state.candidate === candidates[i].number));
    const scored = there.filter((candidate) => candidate.alignment[index] !== null);
    const ahead = scored.toSorted((one, other) => other.alignment[index] - one.alignment[index])[0];
    readout.say([
      `${steps[index].step} / ${steps[index].of}`, percent(steps[index].decoded),
      ahead ? `${nameOf(ahead.number)} · ${decimals(ahead.alignment[index])}` : "–", choiceText(index, choice),
    ]);
    chart?.at(index);
  }

  /** Returns the choice as the reader has set it: {chosen, select, final}. */
  function choiceOf() {
    const { chosen, select } = picker ? picker.choice() : data;
    return { chosen, select, final: select.length ? Math.max(...select) : steps.length - 1 };
  }

  function choiceText(index, { chosen, select, final }) {
    if (chosen < 0) return select.length ? `after ${stepText(steps[final])}` : "none yet";
    const { step, decoded } = steps[final];
    const when = select.length ? `after step ${step} (${percent(decoded)} decoded)` : "at the end";
    return index < final ? `due ${when}` : `${nameOf(chosen)}, ${when}`;
  }

  /** Highlights a candidate in the chart, or removes the highlight. */
  function pick(number) {
    state.candidate = state.candidate === number ? null : number;
    if (state.candidate !== null) context.send({ kind: "candidate", number });
    again();
  }

  function again() {
    resize();
    show(context.at());
  }

  function resize() {
    const width = chartBox.clientWidth;
    if (!width) return;
    const rows = Math.ceil(candidates.length / Math.max(1, Math.floor(width / NARROWEST)));
    row.style.setProperty("--columns", Math.ceil(candidates.length / rows));
    const choice = choiceOf();
    const { chosen, select, final } = choice;
    const chosenLabel = (i) => (i === final ? (chosen < 0 ? "choice" : `choice: ${nameOf(chosen)}`) : "comparison");
    chart = lineChart({
      width, height: Math.max(250, 100 + LABEL * candidates.length), xs: steps.map((step) => step.decoded),
      xRange: [0, 1], xText: percent,
      label: `Alignment of ${candidates.length} candidates by decoded share; ${choiceText(steps.length - 1, choice)}`,
      xTitle: "Decoded (share of tokens)", yTitle: data.score ?? "Alignment (cosine)",
      above: { title: "Steps done", labels: steps.map((step) => `${step.step}`) },
      marks: select.map((index) => ({ index, label: chosenLabel(index) })),
      lines: candidates.map((one) => ({
        values: one.alignment, colour: one.colour, label: `${one.number + 1}`,
        pale: state.candidate === null ? chosen >= 0 && one.number !== chosen : one.number !== state.candidate,
      })),
    });
    chartBox.replaceChildren(chart.element);
    chart.at(context.at());
  }

  const texts = steps.map((step) => `${stepText(step)}, ${percent(step.decoded)} decoded`);
  const help = "← → step · space play · Home End · click a candidate to highlight its line";
  return { element, urls: candidates.flatMap((one) => one.frames), show, resize, texts, help };
}

/** Returns the name of a candidate for readers, who count from 1; data count from 0. */
export const nameOf = (number) => `candidate ${number + 1}`;

/** Creates one candidate: its picture in full colour, with labels that say whether it is chosen and whether right. */
function racer(candidate, { size, steps }, click) {
  const { number, alive, frames, alignment, right } = candidate;
  const canvas = canvasOf(size);
  const [score, fateNote] = [h("span", { class: "dp-score" }), note()];
  const [flag, verdict] = [h("span", { class: "dp-flag" }, "chosen"), h("span", { class: "dp-verdict" })];
  const head = h(
    "span", { class: "dp-racer-head" }, h("span", { class: "dp-swatch" }), h("b", {}, `${number + 1}`), flag,
  );
  const caption = h("span", { class: "dp-racer-caption" }, score, verdict, fateNote);
  const looks = { class: "dp-racer", style: `--mark: ${candidate.colour}` };
  const element = h("button", { type: "button", ...looks, click }, head, canvas, caption);

  function show(index, { chosen, final }, pictures, picked) {
    const at = Math.min(index, alive - 1);
    const [wins, over] = [number === chosen && index >= final, at < index];
    const judged = right !== null && index === steps.length - 1 && !over;
    pictures.draw(canvas, frames[at]);
    element.classList.toggle("dp-won", wins);
    element.setAttribute("aria-pressed", picked);
    flag.hidden = !wins;
    say(score, decimals(alignment[at]));
    say(verdict, judged ? (right ? "✓ right" : "✗ wrong") : "");
    verdict.classList.toggle("dp-right", judged && right);
    const fate = over ? `dropped after step\u00a0${steps[at].step}` : "";
    say(fateNote, fate);
    const parts = [nameOf(number), stepText(steps[at]), `alignment ${decimals(alignment[at])}`];
    const description = [...parts, wins ? "chosen" : fate, judged ? (right ? "right" : "wrong") : ""].filter(Boolean);
    canvas.setAttribute("aria-label", description.join(", "));
  }
  return { element, show };
}
