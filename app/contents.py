"""The pages, as the router and the screenshots list them."""

PAGES = {
    "": [("home", "Home")],
    "Understand": [("masking", "Masking"), ("decode", "Decode"), ("trajectories", "Trajectories")],
    "Train": [("train", "Train"), ("runs", "Runs"), ("checkpoints", "Checkpoints")],
    "Look": [("search", "Search"), ("data", "Data"), ("evaluate", "Evaluate")],
}
"""The folder and address of each page, and its title, by section."""
