"""The pages Data and Search under test: waiting until their work is done."""

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
)


def settled(app: AppTest) -> AppTest:
    """The page once nothing runs any more."""
    for _ in range(40):
        started = [app.session_state[f"work.{key}"] for key in WORKS if f"work.{key}" in app.session_state]
        alive = [work for work in started if work.running]
        if not alive:
            break
        for work in alive:
            work.wait(60)
        app.run()
    return app
