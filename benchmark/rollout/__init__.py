"""Inner runs of an optimizer on a batch of problems."""
