"""The command line: the only place that prints, handles signals and exits.

Start-up time is a feature here (`--help` must feel instant), so a command's module is imported when the command
is called, and what is heavy (pydantic, anyio, rich) inside the function that needs it.
"""
