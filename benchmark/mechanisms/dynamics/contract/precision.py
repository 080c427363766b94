"""Whether a step computes in float64 all the way."""

import sys

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.global_state import other_value
from loptbench.mechanisms.dynamics.contract.samples import N_RUNS, Samples
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

TINY = 1e-9
"""Relative displacement far below the spacing of float32, 6e-8, and far above that of float64."""

SMALL = 3e-5
"""Relative displacement that shows in float32 too, with few digits."""

COARSE = 1e-3
"""Relative displacement that shows in float16 too."""

MAX_SLOPE_CHANGE = 1e-3
"""Largest relative difference of the slopes over tiny and small displacements. Where a step is
smooth on the scale of its arguments, it is 1e-9."""

RELATIVE_ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Rounding of a step in float64, relative to the largest number in it or to 1. Gates and averages
add numbers near 1, such as 1 − z, and their rounding is that of 1."""

NOISE_FACTOR = 16
"""A steep step enlarges the rounding of its arguments; this factor, and what is seen, are added."""

SMALLEST_JUMP = 1e-11
"""Smallest jump within a tiny displacement, on the same scale, that counts as rounding."""

MAX_SHARE = 1 / 8
"""Share of the samples at which a result may be uneven. A sample may lie on a step by chance."""

JITTER = 0.01
"""Relative displacement of the states before anything else. Step counters are whole numbers, and
an optimizer may round them down; beside whole numbers that makes no jump."""

FRAMEWORK_DTYPES = (
    ("torch's default dtype", "torch", "float64"),
    ("jax's option jax_enable_x64", "", True),
)


def require_float64(optimizer: Optimizer, samples: Samples) -> None:
    """Check that a step resolves tiny changes of its arguments.

    In float64 a displacement by 1e-9 changes the results in proportion to what a larger one does.
    If something is rounded to float32 on the way, results stay the same, or they jump.

    Raises:
        ContractError: a result is rounded; the message says which.
    """
    few = samples.some(N_RUNS)
    rng = np.random.default_rng(1)
    state = few.state * (1 + JITTER * rng.uniform(-1, 1, few.state.shape))
    few = few._replace(state=state)
    try:
        checked_step(optimizer, few.state.copy(), few.gradient.copy())
    except ContractError:
        raise
    except Exception:
        few = samples.some(N_RUNS)  # such states may be invalid
    if (name := _rounded_result(optimizer, few)) is not None:
        raise ContractError(
            f"step must compute in float64, but a change of its arguments by {TINY:.0e} does not "
            f"change {name} evenly, as if something were rounded to float32{_cause(optimizer, few)}"
        )


def _rounded_result(optimizer: Optimizer, samples: Samples) -> str | None:
    """The name of a result that is rounded, or None."""
    # A state variable of zero stays zero: an optimizer of signs jumps there.
    state_direction, gradient_direction = samples.state, samples.gradient
    for directions in (
        (0 * state_direction, gradient_direction),
        (state_direction, 0 * gradient_direction),
    ):
        share = _uneven(optimizer, samples, *directions).mean(axis=0)
        if np.any(share > MAX_SHARE):
            j = int(np.argmax(share > MAX_SHARE))
            return "the update" if j == samples.state.shape[1] else f"state variable {j}"
    return None


def _uneven(
    optimizer: Optimizer, samples: Samples, state_direction: Float, gradient_direction: Float
) -> Bool:
    """Whether a tiny displacement changes each result out of proportion, (n, n_state + 1)."""

    def displaced(t: float) -> Float:
        new_state, update = checked_step(
            optimizer,
            samples.state + t * state_direction,
            samples.gradient + t * gradient_direction,
        )
        return np.concatenate([new_state, update[:, None]], axis=1)

    with np.errstate(all="ignore"):
        middle, left, right = displaced(0.0), displaced(-TINY), displaced(TINY)
        numbers = np.concatenate([samples.state, samples.gradient[:, None], middle], axis=1)
        largest = np.maximum(1.0, np.abs(numbers).max(axis=1, keepdims=True))
        change = right - left
        expected = (displaced(SMALL) - displaced(-SMALL)) * TINY / SMALL
        curvature = np.abs(right - 2 * middle + left)  # in float64 nothing but rounding
        rounding = NOISE_FACTOR * (RELATIVE_ROUNDING * largest + curvature)
        differs = np.abs(change - expected) > MAX_SLOPE_CHANGE * np.abs(expected) + rounding
        coarse_change = np.abs(displaced(COARSE) - displaced(-COARSE)) * TINY / COARSE
        stays = (change == 0) & (coarse_change > RELATIVE_ROUNDING * largest)
        jumps = curvature > SMALLEST_JUMP * largest
        return np.asarray((differs | stays | jumps) & np.isfinite(coarse_change))


def _cause(optimizer: Optimizer, samples: Samples) -> str:
    """What the rounding follows, if it is a setting of a framework."""
    for name, module, value in FRAMEWORK_DTYPES:
        wanted = getattr(sys.modules.get(module), str(value), None) if module else value
        with other_value(name, wanted) as is_other:
            try:
                if is_other and _rounded_result(optimizer, samples) is None:
                    return f"; it follows {name}"
            except Exception:  # a step that fails under another setting tells nothing
                continue
    return ""
