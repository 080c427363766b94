"""Initial weights of the network tasks."""

import math

import numpy as np
from numpy.typing import NDArray

from loptbench.tasks.base import Layout


def initial_weights(layout: Layout, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights N(0, 1/fan_in), biases zero, as one flat vector.

    An array with several axes is a weight. Its first axis is the output unit, and fan_in is the
    product of the other axes. An array with one axis is a bias.

    >>> initial_weights({"W": (2, 3), "b": (2,)}, np.random.default_rng(0)).shape
    (8,)
    """
    parts = [
        rng.standard_normal(math.prod(shape)) / np.sqrt(math.prod(shape[1:]))
        if len(shape) > 1
        else np.zeros(shape)
        for shape in layout.values()
    ]
    return np.concatenate(parts)
