"""Tensors from NumPy arrays, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loptbench.errors import require_array


@dataclasses.dataclass(frozen=True)
class Placement:
    """The precision and the device of tensors."""

    dtype: torch.dtype
    device: torch.device

    def put(self, array: NDArray[Any]) -> Tensor:
        """A tensor of this precision if the array is of floats; integers keep their type."""
        require_array(array)
        dtype = self.dtype if array.dtype.kind == "f" else None
        return torch.tensor(array, dtype=dtype, device=self.device)

    def put_all(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        """A tensor of each array."""
        return {name: self.put(array) for name, array in arrays.items()}


def placement(dtype: str, device: str) -> Placement:
    """The placement with these names, such as `float64` and `cpu`."""
    dtypes = {"float32": torch.float32, "float64": torch.float64}
    return Placement(dtypes[dtype], torch.device(device))


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """A copy as a NumPy array: callers may write into it, and expanded tensors share rows."""
    return np.array(tensor.detach().cpu().numpy())
