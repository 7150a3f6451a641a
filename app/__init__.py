"""The pages of the workbench, in Streamlit."""
