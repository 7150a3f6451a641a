// Mode `race`: candidates of one prompt side by side, their alignment as lines, and the choice.

import { canvasOf, decimals, h, note, percent, readouts, say, stepText } from "./parts.js";
import { lineChart } from "./chart.js";

const NARROWEST = 115; // minimum width of a candidate with its gap, in pixels

/** Returns the panels of a race: {element, urls, texts, help, show(index), resize()}; `context` as in `decodeView`. */
export function raceView(data, context) {
  const { steps, candidates, select, chosen } = data;
  const { pictures, state } = context;
  const final = select.length ? Math.max(...select) : steps.length - 1;
  const racers = candidates.map((candidate) => racer(candidate, data, () => pick(candidate.number)));
  const readout = readouts(["Step", "Decoded", "Leading", "Choice"]);
  const row = h("div", { class: "dp-racers" }, ...racers.map((one) => one.element));
  const chartBox = h("div", { class: "dp-chart-box" });
  const element = h(
    "div", { class: "dp-race" },
    h("div", { class: "dp-head" }, readout.element),
    row, chartBox,
  );
  let chart = null;

  function show(index) {
    const there = candidates.filter((candidate) => index < candidate.alive);
    racers.forEach((one, i) => one.show(index, pictures, state.candidate === candidates[i].number));
    const scored = there.filter((candidate) => candidate.alignment[index] !== null);
    const ahead = scored.toSorted((one, other) => other.alignment[index] - one.alignment[index])[0];
    readout.say([
      `${steps[index].step} / ${steps[index].of}`, percent(steps[index].decoded),
      ahead ? `candidate ${ahead.number} · ${decimals(ahead.alignment[index])}` : "–", choiceText(index),
    ]);
    chart?.at(index);
  }

  function choiceText(index) {
    if (chosen < 0) return select.length ? `after ${stepText(steps[final])}` : "none yet";
    const { step, decoded } = steps[final];
    const when = select.length ? `after step ${step} (${percent(decoded)} decoded)` : "at the end";
    return index < final ? `due ${when}` : `candidate ${chosen}, ${when}`;
  }

  /** Highlights a candidate in the chart, or removes the highlight. */
  function pick(number) {
    state.candidate = state.candidate === number ? null : number;
    if (state.candidate !== null) context.send({ kind: "candidate", number });
    resize();
    show(context.at());
  }

  function resize() {
    const width = chartBox.clientWidth;
    if (!width) return;
    const rows = Math.ceil(candidates.length / Math.max(1, Math.floor(width / NARROWEST)));
    row.style.setProperty("--columns", Math.ceil(candidates.length / rows));
    const chosenLabel = (i) => (i === final ? (chosen < 0 ? "choice" : `choice: candidate ${chosen}`) : "comparison");
    chart = lineChart({
      width, height: 250, xs: steps.map((step) => step.decoded), xRange: [0, 1], xText: percent,
      label: `Alignment of ${candidates.length} candidates by decoded share; ${choiceText(steps.length - 1)}`,
      xTitle: "Decoded (share of tokens)", yTitle: "Alignment (cosine)",
      above: { title: "Steps done", labels: steps.map((step) => `${step.step}`) },
      marks: select.map((index) => ({ index, label: chosenLabel(index) })),
      lines: candidates.map((one) => ({
        values: one.alignment, colour: one.colour, label: `${one.number}`,
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

/** Creates one candidate: its picture, outlined if chosen, pale once dropped. */
function racer(candidate, { size, steps, select, chosen }, click) {
  const { number, alive, frames, alignment, right } = candidate;
  const canvas = canvasOf(size);
  const [score, fateNote] = [h("span", { class: "dp-score" }), note()];
  const caption = h("span", { class: "dp-racer-caption" }, h("b", {}, `${number}`), score, fateNote);
  const looks = { class: "dp-racer", style: `--mark: ${candidate.colour}` };
  const element = h("button", { type: "button", ...looks, click }, canvas, caption);
  const wins = number === chosen;
  const final = select.length ? Math.max(...select) : steps.length - 1;
  const out = chosen < 0 || wins ? alive - 1 : Math.min(alive - 1, final);

  function show(index, pictures, picked) {
    const at = Math.min(index, alive - 1);
    const lost = index > out || (chosen >= 0 && !wins && !select.length && index === final);
    pictures.draw(canvas, frames[at]);
    element.classList.toggle("dp-lost", lost);
    element.classList.toggle("dp-won", wins && index >= final);
    element.setAttribute("aria-pressed", picked);
    say(score, decimals(alignment[at]));
    const verdict = right === null || index < steps.length - 1 || at < index ? "" : right ? "✓ right" : "✗ wrong";
    const loss = at < index ? `dropped after step ${steps[at].step}` : "not chosen";
    const fate = wins && index >= final ? "chosen" : lost ? loss : "";
    say(fateNote, [fate, verdict].filter(Boolean).join(" · "));
    const description = [`Candidate ${number}`, stepText(steps[at]), `alignment ${decimals(alignment[at])}`, fate];
    canvas.setAttribute("aria-label", description.filter(Boolean).join(", "));
  }
  return { element, show };
}
