"""Types of the tasks in JAX."""

from collections.abc import Callable, Mapping

from jax import Array

Arrays = Mapping[str, Array]
"""The arrays that define the problems, and those that they share."""

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""The layout of the parameters in hashable form."""

Loss = Callable[[Shapes, Arrays, Array, Array], Array]
"""(layout, arrays, x, step) -> loss, (n_problems,). A program is compiled for each function."""
