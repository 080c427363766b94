"""Results: their types, the store that keeps them, and where they come from."""
