"""List of the pages, for the router and the screenshots."""

PAGES = {
    "": [("home", "Home")],
    "Understand": [("masking", "Masking"), ("decode", "Decode"), ("trajectories", "Trajectories")],
    "Train": [("train", "Train"), ("runs", "Runs"), ("checkpoints", "Checkpoints")],
    "Look": [("search", "Search"), ("data", "Data"), ("evaluate", "Evaluate")],
}
"""By section: the folder of each page, which is also its address, and its title."""
