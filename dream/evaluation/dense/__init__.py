"""Tasks with an answer per pixel: segmentation and depth."""
