"""Exports of one stored choice on the Trajectories page; each file is made on click."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from app.keys import TRAJECTORIES
from workbench.decode.export import can_write_mp4, file_name
from workbench.store import StoredDecode
from workbench.trajectories import export


def show_race_exports(stored: StoredDecode, played: Mapping[str, Any]) -> None:
    """Draws a menu of files; `played` is the data of the player above."""
    kinds = {
        "HTML": ("html", "text/html", lambda s: export.race_html(s, played), "The player above, offline."),
        "PNG": ("png", "image/png", export.race_png, "All candidates; Decode can recall its settings."),
        "GIF": ("gif", "image/gif", export.race_gif, "All candidates step by step."),
        "MP4": ("mp4", "video/mp4", export.race_mp4, "All candidates step by step, as a video (H.264)."),
        "JSON": ("json", "application/json", export.race_json, "Settings, scores and choices as numbers."),
    }
    with st.popover("Export", help="Saves this choice as a file."):
        for name, (suffix, mime, make, about) in kinds.items():
            missing = name == "MP4" and not can_write_mp4()
            st.download_button(
                name,
                data=partial(make, stored),
                file_name=file_name(stored, suffix),
                mime=mime,
                key=TRAJECTORIES.action("export", suffix),
                on_click="ignore",
                width="stretch",
                disabled=missing,
                help="Needs imageio-ffmpeg: pip install -e '.[export]'" if missing else about,
            )
