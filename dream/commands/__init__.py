"""The commands of `dream`, one file each: `add_arguments(parser)` declares, `run(args)` does the work.

Only the chosen command's file is imported (`dream.__main__`).
"""
