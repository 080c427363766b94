"""The held-out problems of an evaluation: how many, and in which arithmetic."""

import dataclasses
from typing import Any

PAPER = 128
"""The number of held-out problems of the paper's figures.

Loss curves are of these, and so are cross-checks between implementations. Problem i is the same in
any batch, so they are the first ones of every evaluation.
"""

ORACLE_DTYPE = "float64"
"""The arithmetic of hand-designed optimizers, which take a second."""


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """The held-out problems of a task.

    Attributes:
        n_problems: their number, where a verdict rests on them.
        dtype: the floating-point type of the runs of learned optimizers.
    """

    n_problems: int
    dtype: str


HELD_OUT = {
    "quadratic": HeldOut(4_096, "float32"),
    "rosenbrock": HeldOut(4_096, "float64"),
    "two_moons": HeldOut(512, "float32"),
    "digits": HeldOut(512, "float32"),
}
"""The held-out problems of each task.

On `rosenbrock` the losses have heavy tails, and means over 128 problems are not stable; on the
networks a problem costs a hundred times as much and problems differ less. float32 halves the time.
It is used where it moves no mean, median, ratio or interval by more than a hundredth of the
interval's width on any shipped optimizer: `loptbench statistics float32` measures that.
Baselines are always run in float64: RMSProp, for one, moves by more.
"""

DEFAULT = HeldOut(512, ORACLE_DTYPE)
"""The held-out problems of a task that is not in the table."""


def held_out(task: str, implementation: Any) -> HeldOut:
    """The held-out problems of a task, in an arithmetic that the implementation offers.

    Args:
        task: the task's name.
        implementation: the implementation; it offers float64, or is not asked.
    """
    chosen = HELD_OUT.get(task, DEFAULT)
    if chosen.dtype in implementation.dtypes:
        return chosen
    return dataclasses.replace(chosen, dtype=ORACLE_DTYPE)
