"""Shared by app and notebooks: plain data, figures and widgets. Never imports Streamlit."""
