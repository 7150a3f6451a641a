"""What the widgets of `workbench.widgets` are made of, a file each. It knows nothing of Streamlit.

Every one of them is an `Instrument`: a box with controls and figures that also gives its result as data.
"""
