"""To be written."""

import streamlit as st


def render() -> None:
    """Show the page."""
    st.title("Data")


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
