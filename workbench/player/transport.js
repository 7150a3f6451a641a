// Step slider with play, speed and keyboard control. It handles step indices only.

import { h, say } from "./parts.js";

const SPEEDS = [1, 2, 4, 8, 16, 32, 60];

/**
 * Controls for the steps 0 .. `last`. `onStep(index)` runs on every move; `onRest(index)` runs when the reader stops:
 * on pause, and on release of the slider or a key.
 */
export class Transport {
  index = 0;
  last = 0;
  playing = false;
  speed = 4;
  #frame = 0;

  constructor(onStep, onRest) {
    this.onStep = onStep;
    this.onRest = onRest;
    const button = (name, title, click) => h("button", { type: "button", "aria-label": title, title, click }, name);
    this.play = button("▶", "Play (space)", () => this.toggle());
    this.slider = h("input", {
      type: "range", min: 0, max: 0, step: 1, "aria-label": "Step",
      input: () => this.go(+this.slider.value), change: () => this.onRest(this.index),
    });
    this.pace = h(
      "select", { "aria-label": "Speed", title: "Steps per second", change: () => this.setSpeed(+this.pace.value) },
      ...SPEEDS.map((speed) => h("option", { value: speed }, `${speed} / s`)),
    );
    this.pace.value = this.speed;
    this.element = h(
      "div", { class: "dp-transport" },
      button("‹", "Previous step (left arrow)", () => this.rest(this.index - 1)), this.play,
      button("›", "Next step (right arrow)", () => this.rest(this.index + 1)), this.slider, this.pace,
    );
  }

  /** Sets the descriptions of the steps for screen readers; keeps the index within range. */
  setSteps(texts, index) {
    this.texts = texts;
    this.last = texts.length - 1;
    this.slider.max = this.last;
    this.index = Math.min(Math.max(0, index), this.last);
    this.#mark();
  }

  /** True while the reader watches a decode grow. */
  get atRestAtEnd() {
    return !this.playing && this.index === this.last;
  }

  /** Shows a step and stops playing. */
  go(index) {
    this.stop();
    this.#show(index);
  }

  /** Shows a step, stops playing and reports it. */
  rest(index) {
    this.go(index);
    this.onRest(this.index);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.pace.value = speed;
    if (this.playing) this.#start();
  }

  toggle() {
    if (this.playing) return this.rest(this.index);
    if (this.index === this.last) this.#show(0);
    this.#start();
  }

  /** Handles a key; returns whether it did. */
  key(key) {
    const to = { ArrowLeft: this.index - 1, ArrowRight: this.index + 1, Home: 0, End: this.last }[key];
    if (to !== undefined) this.go(to);
    else if (key === " ") this.toggle();
    else return false;
    return true;
  }

  keyUp(key) {
    if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(key)) this.onRest(this.index);
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
  }

  #start() {
    const [from, speed] = [this.index, this.speed];
    let began = null;
    const tick = (now) => {
      began ??= now;
      const due = from + Math.floor(((now - began) / 1000) * speed);
      if (due !== this.index) this.#show(due);
      if (due > this.last) this.rest(this.last);
      else this.#frame = requestAnimationFrame(tick);
    };
    cancelAnimationFrame(this.#frame);
    this.playing = true;
    this.#mark();
    this.#frame = requestAnimationFrame(tick);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.playing = false;
    this.#mark();
  }

  #show(index) {
    const to = Math.min(Math.max(0, index), this.last);
    this.index = to;
    this.#mark();
    this.onStep(to);
  }

  #mark() {
    this.slider.value = this.index;
    this.slider.setAttribute("aria-valuetext", this.texts?.[this.index] ?? "");
    this.slider.style.setProperty("--share", this.last ? this.index / this.last : 1);
    say(this.play, this.playing ? "❚❚" : "▶");
    const label = this.playing ? "Pause (space)" : "Play (space)";
    this.play.title = label;
    this.play.setAttribute("aria-label", label);
  }
}
