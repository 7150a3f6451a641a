"""What app and notebooks share: plain data and figures about runs, checkpoints and decodes. No streamlit here."""
