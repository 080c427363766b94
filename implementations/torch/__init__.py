"""The optimizers and tasks in PyTorch, eager."""
