"""The command `loptbench`, one module per subcommand."""
