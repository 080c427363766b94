"""Files: atomic writes, locks, and the format of checkpoints."""
