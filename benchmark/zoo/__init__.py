"""The learned optimizers that are shipped."""
