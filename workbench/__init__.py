"""What app and notebooks share: plain data and figures about runs and decodes. No streamlit here."""
