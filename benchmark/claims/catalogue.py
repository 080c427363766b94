"""What the paper says, as statistics with thresholds; `claims.toml` has them, set in advance."""

import functools
import tomllib
from importlib import resources
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loptbench.tasks import TASKS

PREMISE = "optimizes"
"""The claim that all others stand on."""


class Claim(BaseModel):
    """One claim.

    Attributes:
        name: how it is called in records and links.
        title: how it is called in a table.
        statistic: a statistic of `loptbench.claims.evidence.STATISTICS`.
        at_least: the claim holds of statistics from here; None if there is no lower end.
        at_most: to here; None if there is no upper end.
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
    def _means_something(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"the claim {self.name!r} has no threshold: it cannot fail")
        if unknown := sorted(set(self.tasks) - set(TASKS)):
            raise ValueError(f"the claim {self.name!r} is on unknown tasks: {', '.join(unknown)}")
        return self

    @property
    def threshold(self) -> str:
        """The threshold in words."""
        if self.at_least is None:
            return f"at most {self.at_most:g}"
        if self.at_most is None:
            return f"at least {self.at_least:g}"
        return f"between {self.at_least:g} and {self.at_most:g}"

    def holds(self, low: float, high: float) -> bool | None:
        """Whether all, none (False) or some (None) of an interval of the statistic is as claimed.

        Args:
            low: the lower end of the interval.
            high: the upper end; equal to `low` for a number that is known.
        """
        least = -float("inf") if self.at_least is None else self.at_least
        most = float("inf") if self.at_most is None else self.at_most
        if least <= low and high <= most:
            return True
        if high < least or most < low:
            return False
        return None


@functools.cache
def claims() -> tuple[Claim, ...]:
    """All claims, the premise first."""
    text = (resources.files("loptbench.claims") / "edition1.toml").read_text(encoding="utf-8")
    return tuple(Claim.model_validate(one) for one in tomllib.loads(text)["claim"])
