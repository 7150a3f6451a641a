"""Figures, one file a subject: data in, plotly Figure out."""
