"""The claims of the paper: statistics with thresholds that were set in advance, in a TOML file."""

import functools
import math
import tomllib
from importlib import resources
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loptbench.tasks import TASKS

PREMISE = "optimizes"
"""The claim that all others presuppose."""


class Claim(BaseModel):
    """One claim.

    Attributes:
        name: its name in records and links.
        title: its name in tables.
        statistic: the name of a statistic in `loptbench.claims.statistics.STATISTICS`.
        at_least: the smallest value with which the claim holds; None if there is no lower limit.
        at_most: the largest value with which it holds; None if there is no upper limit.
        tasks: the tasks on which it is claimed.
        sentence: what the paper says, in our words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    title: str
    statistic: str
    at_least: float | None = None
    at_most: float | None = None
    tasks: tuple[str, ...] = Field(min_length=1)
    sentence: str

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"the claim {self.name!r} has no threshold: it cannot fail")
        if unknown := sorted(set(self.tasks) - set(TASKS)):
            raise ValueError(f"the claim {self.name!r} is on unknown tasks: {', '.join(unknown)}")
        return self

    @property
    def threshold(self) -> str:
        """The threshold in words.

        >>> claims()[0].threshold
        'at most 1'
        """
        if self.at_least is None:
            return f"at most {self.at_most:g}"
        if self.at_most is None:
            return f"at least {self.at_least:g}"
        return f"between {self.at_least:g} and {self.at_most:g}"

    def holds(self, low: float, high: float) -> bool | None:
        """Whether an interval of the statistic lies in the claimed range.

        Args:
            low: the lower end of the interval.
            high: the upper end; equal to `low` for a number that is known exactly.

        Returns: True if all of it does, False if none of it does, None if a part does.
        """
        least = -math.inf if self.at_least is None else self.at_least
        most = math.inf if self.at_most is None else self.at_most
        if least <= low and high <= most:
            return True
        if high < least or most < low:
            return False
        return None


@functools.cache
def claims() -> tuple[Claim, ...]:
    """All claims, the premise first."""
    text = (resources.files("loptbench.claims") / "edition1.toml").read_text(encoding="utf-8")
    return tuple(Claim.model_validate(claim) for claim in tomllib.loads(text)["claim"])
