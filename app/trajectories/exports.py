"""Files of one stored choice, a click each; none is made before it is asked for."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.trajectories.controls import PAGE
from workbench.decode.export import can_write_mp4, file_name
from workbench.store import StoredDecode
from workbench.trajectories import export


def show_race_exports(stored: StoredDecode, played: Mapping[str, Any]) -> None:
    """A menu of files; `played` is what the player above shows."""
    kinds = {
        "HTML": ("html", "text/html", lambda s: export.race_html(s, played), "What is played above, offline."),
        "PNG": ("png", "image/png", export.race_png, "All candidates; Decode takes its settings."),
        "GIF": ("gif", "image/gif", export.race_gif, "All candidates step by step."),
        "MP4": ("mp4", "video/mp4", export.race_mp4, "The same as a film (H.264)."),
        "JSON": ("json", "application/json", export.race_json, "Settings, scores and choices as numbers."),
    }
    with st.popover("Export", help="This choice as a file."):
        for name, (suffix, mime, make, what) in kinds.items():
            missing = name == "MP4" and not can_write_mp4()
            st.download_button(
                name,
                data=lambda make=make: make(stored),
                file_name=file_name(stored, suffix),
                mime=mime,
                key=f"do.{PAGE}.export.{suffix}",
                on_click="ignore",
                width="stretch",
                disabled=missing,
                help="Needs imageio-ffmpeg: pip install -e '.[export]'" if missing else what,
            )
