"""The pages of the workbench, in Streamlit."""

import os

from dream.__main__ import IDLE_SPINS

os.environ.setdefault("GOMP_SPINCOUNT", IDLE_SPINS)  # read when torch is imported, which is later
