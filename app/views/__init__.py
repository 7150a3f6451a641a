"""The pages, one file each with one `render()`."""
