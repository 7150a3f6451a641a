"""The router: declares the pages and runs the one that was asked for. Start it with `make app`."""

import streamlit as st

st.set_page_config(page_title="DREAM workbench", page_icon="🌙", layout="wide")
st.navigation([st.Page("views/home.py", title="Home", default=True)]).run()
