"""Makes figures as wide as their box in JupyterLab.

Plotly draws a figure nested in boxes before its size is known, 700 pixels wide, and adapts only when the window is
resized.
"""

import anywidget

SCRIPT = """
function render({ el }) {
  let [frame, timers, width, height] = [0, [], 0, 0];
  const resize = () => window.dispatchEvent(new Event("resize"));
  const sizes = new ResizeObserver(([{ contentRect: box }]) => {
    if (Math.abs(box.width - width) < 2 && Math.abs(box.height - height) < 40) return; // not a new figure
    [width, height] = [box.width, box.height];
    timers.forEach(clearTimeout);
    timers = [50, 500, 2000].map((wait) => setTimeout(resize, wait)); // a figure reacts only once it is drawn
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
    """Invisible widget for a VBox: when the box is resized or gets a figure, all figures inside adapt their size."""

    _esm = SCRIPT
