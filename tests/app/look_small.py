"""Waits until the background work of the Data and Search pages under test has ended."""

from streamlit.testing.v1 import AppTest

WORKS = (
    "data.split",
    "data.open",
    "data.eyes",
    "data.page",
    "data.back",
    "data.statistics",
    "search.split",
    "search.open",
    "search.index",
    "search.features",
    "search.upload",
    "search.walk",
    "search.words",
    "search.context",
    "search.examples",
    "train.preview",
)


def settled(app: AppTest) -> AppTest:
    """Runs the page until none of its work is running."""
    for _ in range(40):
        started = [app.session_state[f"work.{key}"] for key in WORKS if f"work.{key}" in app.session_state]
        alive = [work for work in started if work.running]
        if not alive and not (started and app.get("progress")):  # some may have ended after the page was drawn
            break
        for work in alive:
            work.wait(60)
        app.run()
    return app
