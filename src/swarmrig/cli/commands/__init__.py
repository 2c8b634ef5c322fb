"""One module per command, each with a click command of the name `command`; see `cli.main.COMMANDS`."""
