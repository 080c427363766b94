"""The tasks of the reference; `loptbench.tasks` has the formulas."""

from collections.abc import Callable

from loptbench.implementations.reference.tasks.base import ReferenceProblems
from loptbench.implementations.reference.tasks.custom import CustomProblems
from loptbench.implementations.reference.tasks.digits import DigitsProblems
from loptbench.implementations.reference.tasks.quadratic import QuadraticProblems
from loptbench.implementations.reference.tasks.rosenbrock import RosenbrockProblems
from loptbench.implementations.reference.tasks.two_moons import TwoMoonsProblems
from loptbench.tasks import ProblemBatch

PROBLEMS: dict[str, Callable[[ProblemBatch], ReferenceProblems]] = {
    "quadratic": QuadraticProblems,
    "rosenbrock": RosenbrockProblems,
    "two_moons": TwoMoonsProblems,
    "digits": DigitsProblems,
}
"""The tasks that loptbench ships."""


def problems_of(batch: ProblemBatch) -> ReferenceProblems:
    """The problems of a batch."""
    return PROBLEMS[batch.task](batch) if batch.custom is None else CustomProblems(batch)


__all__ = ["PROBLEMS", "ReferenceProblems", "problems_of"]
