"""Notebooks run from top to bottom and written as offline HTML pages: `python -m workbench.notebook_pages`."""
