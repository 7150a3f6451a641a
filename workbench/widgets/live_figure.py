"""A FigureWidget that shares plotly.js with all others of the kernel.

Each of plotly's own FigureWidgets brings a copy of five megabytes, and shows nothing if the browser needs more than two
seconds to read it. The front-end code is plotly's, unchanged; this file only delivers it to the page.
"""

from functools import cache

import anywidget
import ipywidgets
import plotly.graph_objects as go
import traitlets

LOADER = """
const MESSAGES = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps"].map((name) => "_py2js_" + name);

async function load(model) {
  const bundle = await model.widget_manager.get_model(model.get("_bundle").replace("IPY_MODEL_", ""));
  const url = URL.createObjectURL(new Blob([bundle.get("source")], { type: "text/javascript" }));
  try {
    return (await import(url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Creates plotly's model of a figure; messages from the kernel in the meantime are delivered again. */
async function begin(model) {
  const early = [];
  const listeners = MESSAGES.map((name) => [name, () => model.get(name) && early.push([name, model.get(name)])]);
  listeners.forEach(([name, listener]) => model.on("change:" + name, listener));
  globalThis.dreamPlotly ??= load(model);
  const make = await globalThis.dreamPlotly.catch((error) => {
    globalThis.dreamPlotly = undefined;
    throw error;
  });
  const figure = make();
  listeners.forEach(([name, listener]) => model.off("change:" + name, listener));
  figure.initialize({ model });
  for (const [name, message] of early) {
    model.set(name, null);
    model.set(name, message);
    model.set(name, null);
  }
  return figure;
}

export default () => {
  let figure = null; // a promise that only rendering waits for
  return {
    initialize({ model }) {
      figure = begin(model);
    },
    async render(context) {
      return (await figure).render(context);
    },
  };
};
"""


class Bundle(anywidget.AnyWidget):
    """plotly's front-end code, once per kernel."""

    _esm = "export default {};"
    source = traitlets.Unicode().tag(sync=True)


class LiveFigure(go.FigureWidget):
    """plotly's FigureWidget, except for the source of its front-end code."""

    _esm = LOADER
    _bundle = traitlets.Instance(Bundle).tag(sync=True, **ipywidgets.widget_serialization)

    @traitlets.default("_bundle")
    def _shared(self) -> Bundle:
        return _bundle()


@cache
def _bundle() -> Bundle:
    return Bundle(source=str(go.FigureWidget._esm))
