"""Files: written whole or not at all, and the format of learned weights."""
