"""The workbench in the browser (`make app`)."""
