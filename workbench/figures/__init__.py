"""Figures, one file per subject: data in, plotly Figure out."""
