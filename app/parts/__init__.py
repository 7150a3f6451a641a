"""Parts of pages that are more than a page's file should hold."""
