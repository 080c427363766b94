"""The optimizers and tasks in JAX: pure functions, scanned and compiled."""
