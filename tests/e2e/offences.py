"""What a page made of hostile text, noted in the browser while it happens: also what shows for a moment only."""

from dataclasses import dataclass

from playwright.sync_api import Page

WATCH = """
(() => {
  const host = "HOST", seen = new Set(), found = (window.offences = []);
  const drawn = ["strong", "b", "em", "span", "tspan", "code"];
  const words = { b: "bold", h: "HTML", r: "coloured" };
  const asks = (element) =>
    ["src", "href", "xlink:href"].some((name) => (element.getAttribute(name) || "").includes(host));
  const up = (element) => element.parentElement || element.getRootNode().host || null;
  function kind(element) {
    if (["A", "a", "IMG", "image", "IFRAME"].includes(element.tagName) && asks(element)) return "asks the host";
    if (element.classList.contains("katex")) return "formula";
    if (!drawn.includes(element.localName) || element.children.length) return "";
    const word = words[element.textContent];
    if (!word || element.closest("[data-testid=stCode]")) return "";
    const plain = element.localName === "span" || element.localName === "tspan";
    return plain && !/color|weight|bold/.test(element.getAttribute("style") || "") ? "" : word;
  }
  function place(element) {
    const ids = [], keys = [];
    for (let at = element; at; at = up(at)) {
      if (at.dataset && at.dataset.testid && !/Markdown/.test(at.dataset.testid)) ids.push(at.dataset.testid);
      for (const name of at.classList || []) if (name.startsWith("st-key-")) keys.push(name.slice(7));
    }
    return [keys[0] || "", ids.filter((id) => !/ElementContainer|VerticalBlock|^stMain|^stApp/.test(id))[0] || ""];
  }
  function words_around(element) {
    let at = element;
    while (up(at) && at.textContent.length < 90) at = up(at);
    return at.textContent.replace(/\\s+/g, " ").slice(0, 110);
  }
  function look(root) {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) follow(element.shadowRoot);
      const what = kind(element);
      if (!what) continue;
      const [key, id] = place(element);
      const name = [what, key, id, words_around(element).slice(0, 30)].join("|");
      if (seen.has(name)) continue;
      seen.add(name);
      found.push([what, key, id, words_around(element)]);
    }
  }
  const followed = new WeakSet();
  function follow(root) {
    if (followed.has(root)) return;
    followed.add(root);
    let due = false;
    const soon = () => {
      if (due) return;
      due = true;
      setTimeout(() => { due = false; look(root); }, 60);
    };
    new MutationObserver(soon).observe(root, { childList: true, subtree: true, characterData: true });
    soon();
  }
  follow(document);
})();
"""


@dataclass(frozen=True)
class Offence:
    """One place that shows hostile text as anything but text."""

    page: str
    what: str
    key: str
    """Key of the nearest widget or container; empty if none has one."""
    element: str
    text: str


def listed(found: set[Offence]) -> list[str]:
    """One line per place: page, element, key, text, and what is drawn there."""
    places: dict[tuple[str, ...], set[str]] = {}
    for one in found:
        places.setdefault((one.page, one.element, one.key, one.text), set()).add(one.what)
    return [
        f"{page:<12} {element:<26} {key:<30} {text}  [{', '.join(sorted(what))}]"
        for (page, element, key, text), what in sorted(places.items())
    ]


def watch(page: Page, host: str) -> None:
    """Notes offences in every document that the page opens from now on."""
    page.add_init_script(WATCH.replace("HOST", host))


def offences(page: Page, name: str) -> set[Offence]:
    """What was noted in the current document."""
    page.wait_for_timeout(150)
    return {Offence(name, *found) for found in page.evaluate("window.offences || []")}
