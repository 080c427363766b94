"""The subcommands of `loptbench`, one module each."""
