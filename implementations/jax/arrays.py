"""JAX arrays from NumPy arrays, and back, and the precision that JAX computes in."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from loptbench.errors import require_array
from loptbench.implementations.jax.compiled import make_room

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def full_precision() -> Iterator[None]:
    """JAX computes in the precision of its arrays; the user's process keeps its own settings.

    By default JAX turns float64 into float32, and on a GPU multiplies float32 matrices in TF32,
    which has 10 of the 23 bits of a float32.
    """
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield


def in_full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function, called in full precision, with room for the programs that it compiles."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        make_room()
        with full_precision():
            return function(*args, **kwargs)

    return wrapped


def size_class(n: int, per_octave: int = 1) -> int:
    """A size of at least n. A program is compiled for every size, so there are to be few.

    >>> [size_class(n) for n in (1, 5, 200)]
    [1, 8, 256]
    >>> [size_class(n, per_octave=8) for n in (1, 5, 200)]
    [1, 5, 208]

    Args:
        n: the size that is needed.
        per_octave: how many sizes there are from one power of two to the next. With 8 at most a
            ninth of a size is unused.
    """
    power = 1 << max(n - 1, 0).bit_length()
    granule = max(1, power // (2 * per_octave))
    return -(-max(n, 1) // granule) * granule


def padded(array: NDArray[Any], *sizes: int) -> NDArray[Any]:
    """The array with zeros after it, so that its first axes have these sizes.

    >>> padded(np.ones((1, 2)), 2).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    require_array(array)
    widths = [(0, size - n) for size, n in zip(sizes, array.shape, strict=False)]
    return np.pad(array, widths + [(0, 0)] * (array.ndim - len(sizes)))


@dataclasses.dataclass(frozen=True)
class Placement:
    """The precision and the device of arrays."""

    dtype: str
    device: jax.Device

    def put(self, array: NDArray[Any]) -> jax.Array:
        """A JAX array of this precision if the array is of floats; integers keep their type."""
        return self.put_all({"": array})[""]

    def put_all(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, jax.Array]:
        """A JAX array of each array, as `put` makes it; all at once, which takes less time."""
        for array in arrays.values():
            require_array(array)
        converted = {
            name: np.asarray(array, self.dtype if array.dtype.kind == "f" else None)
            for name, array in arrays.items()
        }
        placed: dict[str, jax.Array] = jax.device_put(converted, self.device)
        return placed


def placement(dtype: str, device: str) -> Placement:
    """The placement with these names, such as `float64` and `cpu`."""
    return Placement(dtype, jax.devices(device)[0])


def to_numpy(arrays: Mapping[str, jax.Array]) -> dict[str, NDArray[Any]]:
    """A copy of each array as a NumPy array."""
    return {name: np.array(array) for name, array in arrays.items()}
