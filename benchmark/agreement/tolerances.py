"""Every bound of every comparison with the oracle, each with its derivation.

Bounds are multiples of the machine epsilon of the dtype (2.2e-16 in float64, 1.2e-7 in float32),
because they bound rounding errors: one table serves both dtypes. Errors are relative to the *scale*
of the quantity, which the oracle computes: the size of the terms that are added up. A gradient near
the minimum is a small difference of large terms, which no arithmetic makes exact relative to
itself. With u = epsilon / 2, a sum of n products has an error of at most γ_n = n·u relative to the
sum of its absolute terms, in any order and with or without fused operations (Higham 2002, §3.1);
two implementations differ by at most 2γ_n = n · epsilon.

Every comparison records the observed error and the bound, so the report shows the headroom. To
loosen a bound is to change this file.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """A bound on the scaled error of one quantity.

    Attributes:
        multiple: the bound, in machine epsilons.
        scale: what the error is relative to.
        derivation: the reason for the multiple.
    """

    multiple: float
    scale: str
    derivation: str


_TERMS = "sum of the absolute terms"
_LARGEST = "largest entry of the array"

_CPU: dict[str, Tolerance] = {
    "initial state": Tolerance(1, _LARGEST, "a copy: rounded once, if at all"),
    "loss": Tolerance(
        64,
        _TERMS,
        "½xᵀHx + vᵀx + c is 2n + 2 additions and products deep: n ≤ 30 parameters; of the "
        "networks, the scale counts each layer's error once more",
    ),
    "gradient": Tolerance(
        32,
        _TERMS,
        "Hx + v is n + 1 products and additions deep: n ≤ 30 parameters; a matrix product over "
        "the samples of a network adds them one after the other, and the scale is multiplied by "
        "how many more than 30 there are",
    ),
    "state": Tolerance(
        450,
        "1, or the largest unit; |βh| + |g| for momentum",
        "a gate's pre-activation sums n_state + 2 terms, 66 at 64 units, of total size up to 7 in "
        "units of its slope: 462 epsilon; in float64 this is 1e-13",
    ),
    "update": Tolerance(
        450, _TERMS, "the readout passes the state's error on, once, and rounds n_state + 2 terms"
    ),
    "parameters": Tolerance(450, "|x| + the scale of the update", "x + Δ: the update's error"),
    "A": Tolerance(900, _LARGEST, "two chained products over n_state, where a step has one"),
    "B": Tolerance(900, _LARGEST, "as A"),
    "C": Tolerance(900, _LARGEST, "as A"),
    "D": Tolerance(900, _LARGEST, "as A"),
    "meta-gradient": Tolerance(
        4.5e5,
        _LARGEST,
        "n steps forwards and n back, each with the error of a step (450), independent, so "
        "√(2n) · 450, times the error amplification of the oracle; this is the ceiling, unless "
        "usual errors exceed it, and 1e-10 in float64: see meta_gradient_bound",
    ),
    "outer parameters": Tolerance(
        4.5e5,
        _LARGEST,
        "Adam divides elements of the meta-gradient by about the median size (the check's "
        "epsilon), which may be 100 times smaller than the largest: 100 times the error of a "
        "meta-gradient over 12 steps, √24 · 450 · 2; 1e-10 in float64",
    ),
    "outer objective": Tolerance(
        4.5e4, "the objective", "as the meta-gradient, which has moved the parameters"
    ),
    "convergence point": Tolerance(
        4.5e4,
        "1, or the largest unit",
        "a residual of 1e-12 / 10 at worst, times ‖(I − A)⁻¹‖ ≤ 100; 1e-11 in float64",
    ),
    "eigenvalue": Tolerance(
        4.5e4,
        "the eigenvalue's condition number",
        "Bauer-Fike for simple eigenvalues: |δλ| ≤ κ(λ)·‖δA‖, A off by the convergence point's "
        "error times the curvature of F, of order one",
    ),
    "momentum index": Tolerance(
        4.5e5,
        "1",
        "κ[0]/Σκ: the error of A through (I − A)⁻¹ once more; 1e-10 in float64",
    ),
    "half-saturation": Tolerance(
        4.5e5,
        "itself",
        "where s = ½: the error of s, that of an update (450) over D·g and with it that of the "
        "state (100 times as far off at h*), over the slope of s by log g, which is ½ for a soft "
        "clip; 1e-10 in float64",
    ),
    "rate by step": Tolerance(
        4.5e4,
        "the highest rate",
        "D (900) at a state that has gathered the errors (450) of as many steps as it remembers: "
        "up to 100",
    ),
    "adapted state": Tolerance(
        900,
        "1, or the largest unit, times ‖(I − A)⁻¹‖",
        "F off by a step's error (450) moves its fixed point by ‖(I − A)⁻¹‖ times that; twice, for "
        "Newton's residual is as large",
    ),
    "adapted rate": Tolerance(
        9000,
        "the highest rate, times ‖(I − A)⁻¹‖",
        "D at an adapted state that is off by 900, times how D changes with h relative to itself: "
        "of order ten, over some tens of units",
    ),
    "adapted rate, local": Tolerance(9000, "as the adapted rate", "as the adapted rate"),
}

GPU_ROUNDING_FACTOR = 4
"""Factor of the CPU's bounds on a GPU, whose exponentials are accurate to 2 units in the last
place, where a CPU's are to ½ to 1, and whose sums are parallel, in another order. It was set
before a GPU was available; both frameworks then passed every check on one (NVIDIA H100). TF32,
which keeps 10 of 23 bits, must be off."""

_GPU = {
    quantity: dataclasses.replace(
        on_cpu,
        multiple=GPU_ROUNDING_FACTOR * on_cpu.multiple,
        derivation=f"{GPU_ROUNDING_FACTOR} times the CPU's: coarser exponentials, parallel sums",
    )
    for quantity, on_cpu in _CPU.items()
}

TABLE: dict[str, dict[str, Tolerance]] = {"cpu": _CPU, "cuda": _GPU}
"""The tolerances, by device and quantity."""

FREE_RUNNING_CEILING = 4.5e5
"""Ceiling of the free-running bound in epsilons unless usual errors exceed it; 1e-10 in float64."""

SWEEP_MULTIPLE = 4.5e5
"""Bound of a sweep of 17 steps, in epsilons: the ceiling of free runs, as errors are amplified by
far less than a thousand in so few steps; relative to the first loss, and to 1 + |x|."""

USUAL_ROUNDING_MULTIPLE = 20
"""Usual error of a step, in epsilons, where 450 is the worst case; `loptbench run` showed at most 4
in single steps. Chosen after free runs on chaotic problems exceeded 1e-10."""

CENTRAL_DIFFERENCE_BOUND = 1e-7
"""Bound of central differences in float64 with a step of ε^⅓ = 6e-6: truncation (6e-6)² = 4e-11
times the third derivative, plus rounding 450·ε / 6e-6 = 2e-8; relative to the array's largest
entry."""

DIRECTIONAL_DIFFERENCE_BOUND = 1e-5
"""The same for a meta-gradient along a random direction, whose third derivative is that of a whole
run; relative to the sum of the absolute terms of the directional derivative."""


def tolerance(quantity: str, device: str) -> Tolerance:
    """The tolerance of a quantity on a device.

    >>> tolerance("loss", "cpu").multiple
    64

    Raises:
        LoptbenchError: no bound has been derived for that device and quantity.
    """
    try:
        return TABLE[device][quantity]
    except KeyError:
        raise LoptbenchError(
            f"no tolerance for {quantity!r} on device {device!r}; derive one in "
            f"loptbench.agreement.tolerances, which has {', '.join(TABLE)}"
        ) from None


def bound(quantity: str, dtype: str, device: str = "cpu") -> float:
    """The bound on the scaled error of a quantity computed in `dtype` on `device`."""
    return tolerance(quantity, device).multiple * float(np.finfo(dtype).eps)


def _amplified(worst: Float, usual: Float, ceiling: float) -> Float:
    # The worst case, up to the ceiling, unless amplified errors of the usual size exceed it by
    # themselves. Trained optimizers are chaotic on some problems, where two correct implementations
    # differ by more than the ceiling.
    return np.asarray(np.minimum(worst, np.maximum(ceiling, usual)))


def free_running_bound(amplification: Float, dtype: str, device: str) -> Float:
    """The bound on the scaled error of a run, given the error amplification of the oracle.

        min(450 · amplification, max(4.5e5, 20 · amplification)) · epsilon

    Args:
        amplification: factor by which the oracle magnifies small errors, of any shape.
        dtype: dtype that the implementation computed in.
        device: device that it computed on.

    Returns: an array of the shape of `amplification`.
    """
    worst = tolerance("state", device).multiple * amplification
    usual = USUAL_ROUNDING_MULTIPLE * amplification
    return _amplified(worst, usual, FREE_RUNNING_CEILING) * float(np.finfo(dtype).eps)


def meta_gradient_bound(amplification: float, n_steps: int, dtype: str, device: str) -> float:
    """The bound on the scaled error of a meta-gradient: errors enter in n forward and n back steps.

        min(√(2n) · 450 · amplification, max(4.5e5, √(2n) · 20 · amplification)) · epsilon

    Args:
        amplification: largest factor by which the oracle magnifies errors in the run.
        n_steps: n, the length of the run.
        dtype: dtype that the implementation computed in.
        device: device that it computed on.
    """
    entered = np.sqrt(2 * n_steps) * np.asarray(amplification)
    worst = tolerance("update", device).multiple * entered
    ceiling = tolerance("meta-gradient", device).multiple
    return float(
        _amplified(worst, USUAL_ROUNDING_MULTIPLE * entered, ceiling) * np.finfo(dtype).eps
    )


def summation_bound(n_terms: int, dtype: str) -> float:
    """The bound on the error of a sum of terms of random signs, relative to the sum itself.

    Added one after the other, n rounded terms have an error of about √n · u times the sum of their
    sizes, which is about √n times the sum of their values: together n · u, with u = epsilon / 2.

    >>> summation_bound(10**6, "float64") < 1.2e-10
    True

    Args:
        n_terms: n, the number of terms.
        dtype: dtype that the implementation computed in.
    """
    return n_terms * float(np.finfo(dtype).eps) / 2
