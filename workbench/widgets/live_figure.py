"""A FigureWidget that shares plotly.js with all others of the kernel: each of plotly's own brings a copy of
five megabytes, which a browser has to read within two seconds or shows nothing.

The front-end code is plotly's, word for word; here is only how it gets to the page. It draws nothing.
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

/** Makes plotly's model of a figure; what the kernel says meanwhile is said to it again. */
async function begin(model) {
  const early = [];
  const heard = MESSAGES.map((name) => [name, () => model.get(name) && early.push([name, model.get(name)])]);
  heard.forEach(([name, hear]) => model.on("change:" + name, hear));
  globalThis.dreamPlotly ??= load(model);
  const make = await globalThis.dreamPlotly.catch((error) => {
    globalThis.dreamPlotly = undefined;
    throw error;
  });
  const figure = make();
  heard.forEach(([name, hear]) => model.off("change:" + name, hear));
  figure.initialize({ model });
  for (const [name, message] of early) {
    model.set(name, null);
    model.set(name, message);
    model.set(name, null);
  }
  return figure;
}

export default () => {
  let figure = null; // a promise: nothing waits for it but the drawing
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
    """plotly's front-end code, once a kernel."""

    _esm = "export default {};"
    source = traitlets.Unicode().tag(sync=True)


class LiveFigure(go.FigureWidget):
    """plotly's FigureWidget in everything but where its front-end code comes from."""

    _esm = LOADER
    _bundle = traitlets.Instance(Bundle).tag(sync=True, **ipywidgets.widget_serialization)

    @traitlets.default("_bundle")
    def _shared(self) -> Bundle:
        return _bundle()


@cache
def _bundle() -> Bundle:
    return Bundle(source=str(go.FigureWidget._esm))
