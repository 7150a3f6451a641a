"""Runs on disk: settings, launches, curves, samples, comparisons and notes."""
