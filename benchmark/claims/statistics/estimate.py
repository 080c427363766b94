"""The value of a statistic for one checkpoint, and what a statistic is."""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from loptbench.claims.evidence import Evidence
from loptbench.results.schema.mechanisms import NotApplicable
from loptbench.statistics.bootstrap import Interval, OfProblems, over_problems

FEWEST_PROBLEMS = 2
"""With fewer problems there is no standard error."""


@dataclasses.dataclass(frozen=True)
class Later:
    """The value of a statistic at its second horizon.

    Attributes:
        value: the number; NaN if there is none.
        words: the horizon in words.
    """

    value: float
    words: str = "2 T steps"


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The value of a statistic for one checkpoint.

    Attributes:
        value: the number; infinite if a run diverged.
        sample: its parts, by problem; None if it does not depend on the problems.
        later: its value at the second horizon; None if it has only one.
    """

    value: float
    sample: OfProblems | None = None
    later: Later | None = None

    @classmethod
    def of(cls, sample: OfProblems, later: Later | None = None) -> "Estimate":
        """The value of a summary over problems."""
        return cls(sample.value, sample, later)

    @property
    def interval(self) -> Interval:
        """Its 95 % interval over problems; the number itself if it does not depend on them.

        The ends are NaN with fewer than two problems.
        """
        if self.sample is None or not np.isfinite(self.value):
            return Interval(self.value, self.value, self.value)
        if self.sample.n_problems < FEWEST_PROBLEMS:
            return Interval(self.value, math.nan, math.nan)
        return over_problems(self.sample)


Answer = Estimate | NotApplicable


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number that claims can be about.

    Attributes:
        words: what it is called in tables and figures.
        estimate: its value for a checkpoint, or why there is none.
        least: its smallest possible value; a bootstrap interval does not know of it.
        most: its largest possible value.
    """

    words: str
    estimate: Callable[[Evidence], Answer]
    least: float = -math.inf
    most: float = math.inf


@dataclasses.dataclass(frozen=True)
class Family:
    """Statistics that share a name and differ by their parameters.

    Attributes:
        make: makes the statistic of some values of the parameters. It raises `ValueError` where
            they do not go together.
        parameters: the values of each parameter, the one that is meant without any first.
    """

    make: Callable[..., Statistic]
    parameters: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def statistic(self, parameters: Mapping[str, str]) -> Statistic:
        """The statistic with these values of the parameters.

        Raises:
            ValueError: a parameter or its value is unknown, or values do not go together.
        """
        for name, value in parameters.items():
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise ValueError(f"it takes no {name!r}; its parameters are: {known}")
            if value not in self.parameters[name]:
                known = ", ".join(self.parameters[name])
                raise ValueError(f"{name} is {value!r}, but should be one of: {known}")
        usual = {name: values[0] for name, values in self.parameters.items()}
        return self.make(**usual | dict(parameters))

    @classmethod
    def of(cls, statistic: Statistic) -> "Family":
        """A statistic without parameters."""
        return cls(lambda: statistic)


def not_applicable(reason: str, default: str = "it was not measured") -> NotApplicable:
    """No value, for this reason; `default` if it is empty."""
    return NotApplicable(not_applicable=reason or default)
