"""What the tasks in JAX have in common."""

from collections.abc import Mapping

from jax import Array

Arrays = Mapping[str, Array]
"""The arrays that define the problems, and those that they share."""

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""The layout of the parameters as something that can be hashed."""
