// The choice on a finished race: a slider that moves its moment, and what choosing there would have given.

import { h, percent, say } from "./parts.js";

/**
 * Returns the slider and its result: {element, choice()}; `changed` runs when the reader has moved it.
 *
 * `data.choose` is {at, now, picks, times}: the indices of the choice that was made and of the slider at first, and for
 * each step the candidate chosen there and the time relative to one plain picture. At `at`, the choice is the data's.
 */
export function chooser(data, context, changed) {
  const { steps, candidates, choose } = data;
  const { state } = context;
  const of = JSON.stringify([choose.at, choose.picks]);
  if (state.choiceOf !== of) [state.choiceOf, state.choose] = [of, choose.now]; // another race has another choice
  const slider = h("input", {
    type: "range", min: 0, max: steps.length - 1, step: 1, "aria-label": "Choose after step", "data-focus": "choose",
    input: () => move(+slider.value), change: () => context.send({ kind: "choose", index: state.choose }),
    keydown: (event) => event.stopPropagation(), // its own keys, not those of the step
    keyup: (event) => event.stopPropagation(),
  });
  const where = h("output", { class: "dp-choose-where" });
  const result = h("output", { class: "dp-choose-result" });
  const cost = h("output", {});
  const judged = candidates.some((one) => one.right !== null);
  const element = h(
    "div", { class: "dp-choose" },
    h("label", { class: "dp-choose-line" }, h("b", {}, "Choose after"), slider, where),
    result, cost,
  );
  put();

  function move(index) {
    state.choose = index;
    put();
    changed();
  }

  function choice() {
    if (state.choose === choose.at && data.chosen >= 0) return data;
    return { chosen: choose.picks[state.choose], select: [state.choose] };
  }

  function put() {
    const { step, of, decoded } = steps[state.choose];
    const { chosen } = choice();
    const winner = candidates.find((one) => one.number === chosen);
    const right = candidates.filter((one) => one.right).length;
    slider.value = state.choose;
    slider.style.setProperty("--share", steps.length > 1 ? state.choose / (steps.length - 1) : 1);
    slider.setAttribute("aria-valuetext", `step ${step} of ${of}, ${percent(decoded)} decoded`);
    say(where, `step ${step} of ${of} · ${percent(decoded)} of the tokens`);
    const fate = winner.right === null ? "" : winner.right ? ": right" : ": wrong";
    say(result, `Candidate ${chosen + 1} is chosen${fate}. ${others(right)}`);
    result.classList.toggle("dp-right", winner.right === true);
    result.classList.toggle("dp-wrong", winner.right === false);
    const [time, all] = [choose.times[state.choose], choose.times.at(-1)];
    const times = (value) => `${value.toFixed(1)} times`;
    const known = time !== null && all !== null;
    say(cost, known ? `Measured here: ${times(time)} the time of one picture; finishing all ${times(all)}.` : "");
  }

  function others(right) {
    if (!judged) return "The judge does not know this prompt: look for yourself.";
    if (right === candidates.length) return `All ${right} are right: there is nothing to gain.`;
    if (!right) return `None of the ${candidates.length} is right: no choice could help.`;
    const often = Math.round((100 * right) / candidates.length);
    const are = right === 1 ? "is" : "are";
    return `${right} of ${candidates.length} ${are} right: without choosing, ${often} of 100 tries would be.`;
  }
  return { element, choice };
}
