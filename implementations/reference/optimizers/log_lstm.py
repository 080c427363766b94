"""The LSTM that is handed the logarithm and the sign of the gradient; see `lstm`.

s = (log(|x|) / p, sign(x)) if |x| ≥ e^(−p), else (−1, e^p x);  x = input_scale · g, p = log_range
"""

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array
from loptbench.implementations.reference.optimizers.lstm import LSTM


class LogLSTM(LSTM):
    """A component-wise LSTM of the logarithm and the sign of the gradient."""

    def inputs(self, gradient: Array) -> Array:
        """s, (n_components, 2)."""
        x, p = self.constants["input_scale"] * gradient, self.constants["log_range"]
        small = np.abs(x) < np.exp(-p)
        with np.errstate(all="ignore"):
            size = np.where(small, -1.0, np.log(np.abs(x)) / p)
            return np.stack([size, np.where(small, np.exp(p) * x, np.sign(x))], axis=1)

    def inputs_slope(self, gradient: Array) -> Array:
        """(1 / (p g), 0) where |x| ≥ e^(−p), else (0, e^p input_scale)."""
        scale, p = self.constants["input_scale"], self.constants["log_range"]
        small = np.abs(scale * gradient) < np.exp(-p)
        with np.errstate(all="ignore"):
            size = np.where(small, 0.0, 1 / (p * gradient))
        return np.stack([size, np.where(small, np.exp(p) * scale, 0.0)], axis=1)
