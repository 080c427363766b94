"""What an optimizer returns, as plain NumPy arrays of float64 or of integers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError

HINTS = {
    "jax": "; jax computes in float32 unless jax_enable_x64 is set",
    "jaxlib": "; jax computes in float32 unless jax_enable_x64 is set",
    "torch": "; torch makes tensors of its default dtype unless told otherwise",
}
"""Why the arrays of a package may have come out in float32."""


def plain_array(label: str, value: Any) -> NDArray[Any]:
    """An array that an optimizer returned, as NumPy's own kind of array, float64 or integer.

    Tensors of a framework are converted, if that needs no copy from a device and cuts no graph.

    >>> plain_array("the update", np.array([1.0]))
    array([1.])
    >>> plain_array("the update", 1.0)
    Traceback (most recent call last):
    loptbench.errors.ContractError: the update must be a NumPy array, but it is a float

    Args:
        label: what the array is, in messages.
        value: the array.

    Raises:
        ContractError: it is no array, cannot be converted, or has another dtype.
    """
    if type(value) is not np.ndarray:
        value = _converted(label, value)
    kind, size = value.dtype.kind, value.dtype.itemsize
    if kind == "f" and size == 8:
        return np.asarray(value, np.float64)  # also from the other byte order
    if kind in "iu":
        return np.asarray(value)
    if kind == "f":
        raise ContractError(f"{label} is in {value.dtype}, but the probes measure in float64")
    raise ContractError(
        f"{label} must be of floating-point numbers or of integers, but it is {value.dtype}"
    )


def _converted(label: str, value: Any) -> NDArray[Any]:
    """An array of NumPy's own type from a subclass of it, or from a framework's tensor."""
    name, package = type(value).__name__, type(value).__module__.partition(".")[0]
    if not hasattr(value, "dtype") or not hasattr(value, "reshape"):
        raise ContractError(f"{label} must be a NumPy array, but it is a {name}")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ContractError(f"{label} is a masked array with entries that are masked")
    if getattr(value, "requires_grad", False):
        raise ContractError(
            f"{label} is a {name} of {package} that requires grad; return x.detach().numpy()"
        )
    try:
        array = np.asarray(value)
    except Exception as error:
        raise ContractError(
            f"{label} must be a NumPy array, but it is a {name} of {package}, and NumPy cannot "
            f"read it: {error}"
        ) from error
    if array.dtype.kind == "f" and array.dtype.itemsize != 8 and package in HINTS:
        raise ContractError(
            f"{label} is in {array.dtype}, but the probes measure in float64{HINTS[package]}"
        )
    return array
