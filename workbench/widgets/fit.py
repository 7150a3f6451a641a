"""Makes figures as wide as their box in JupyterLab: plotly draws a figure that is nested in boxes before it
has a place, 700 pixels wide, and looks again only when the window changes. It shows nothing.
"""

import anywidget

SCRIPT = """
function render({ el }) {
  let [frame, timers, width, height] = [0, [], 0, 0];
  const look = () => window.dispatchEvent(new Event("resize"));
  const sizes = new ResizeObserver(([{ contentRect: box }]) => {
    if (Math.abs(box.width - width) < 2 && Math.abs(box.height - height) < 40) return; // not a new figure
    [width, height] = [box.width, box.height];
    timers.forEach(clearTimeout);
    timers = [50, 500, 2000].map((wait) => setTimeout(look, wait)); // a figure hears it once it is drawn
  });
  const begin = () => {
    const box = el.closest(".widget-vbox");
    if (box) sizes.observe(box);
    else frame = requestAnimationFrame(begin);
  };
  begin();
  return () => {
    cancelAnimationFrame(frame);
    timers.forEach(clearTimeout);
    sizes.disconnect();
  };
}
export default { render };
"""


class Fit(anywidget.AnyWidget):
    """Put it into a VBox: whenever that is resized or gets a figure, all inside look at their place anew."""

    _esm = SCRIPT
