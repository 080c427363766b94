"""The ranges that hyperparameters of baselines are drawn from."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.optimizers import HYPERPARAMETERS

Float = NDArray[np.float64]


RATES = ("lr", "learning_rate")
"""Names of the step size in other libraries."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The range of a hyperparameter, drawn uniformly in log₁₀.

    >>> Range(1e-4, 1.0).at(np.array([0.5]))
    array([0.01])

    Attributes:
        low: smallest value that is drawn.
        high: largest value that is drawn.
        of_complement: whether 1 − the hyperparameter is drawn, as for decays.
        is_whole: whether no other values make a difference, so that an optimum at an end does not
            say that the range is too narrow.
    """

    low: float
    high: float
    of_complement: bool = False
    is_whole: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < np.inf or (self.of_complement and self.high > 1):
            raise LoptbenchError(
                f"a range needs 0 < low < high (at most 1 for 1 − decay), but it is "
                f"{self.low} to {self.high}"
            )

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value of the hyperparameter."""
        return (1 - self.high, 1 - self.low) if self.of_complement else (self.low, self.high)

    def at(self, place: Float) -> Float:
        """The hyperparameters at these places in the range, 0 to 1; any shape."""
        low, high = np.log10([self.low, self.high])
        value = 10 ** (low + np.clip(place, 0, 1) * (high - low))
        return np.asarray(1 - value if self.of_complement else value)

    def place(self, hyperparameter: float) -> float:
        """The place of a hyperparameter in the range, 0 to 1."""
        value = 1 - hyperparameter if self.of_complement else hyperparameter
        low, high = np.log10([self.low, self.high])
        return float((np.log10(value) - low) / (high - low))


FIXED = "fix a setting with --set {name}={low}"


def parse_range(text: str, if_empty: str = FIXED, example: str = "lr=1e-5:1") -> tuple[str, Range]:
    """The name of a hyperparameter and its range.

    >>> parse_range("lr=1e-5:1")
    ('lr', Range(low=1e-05, high=1.0, of_complement=False, is_whole=False))
    >>> parse_range("1-b1=1e-4:1")
    ('b1', Range(low=0.0001, high=1.0, of_complement=True, is_whole=False))

    Args:
        text: `name=low:high`, or `1-name=low:high` for a decay, of which 1 − decay is drawn.
        example: a range, for the message.
        if_empty: what to do instead of giving an empty range; `{name}` and `{low}` are filled in.

    Raises:
        LoptbenchError: the text is not of this form, or the range is empty, upside down or not of
            positive numbers.
    """
    left, equals, right = (part.strip() for part in text.partition("="))
    name = left.removeprefix("1-").removeprefix("1−").strip()
    low, colon, high = right.partition(":")
    wanted = f"{text!r} is not of the form name=low:high, such as {example}"
    if not (equals and colon and name.isidentifier()):
        raise LoptbenchError(wanted)
    try:
        ends = float(low), float(high)
    except ValueError as error:
        raise LoptbenchError(wanted) from error
    if ends[0] > ends[1]:
        raise LoptbenchError(f"the range of {name} is upside down: give {left}={high}:{low}")
    if ends[0] == ends[1]:
        instead = if_empty.format(name=name, low=low)
        raise LoptbenchError(f"the range of {name} is empty; {instead}")
    try:
        return name, Range(*ends, of_complement=left != name)
    except LoptbenchError as error:
        raise LoptbenchError(f"{name}: {error}; it is drawn in the logarithm") from error


RATE = Range(1e-5, 1e2)
_DECAY = Range(1e-4, 1.0, of_complement=True)
_FINAL = Range(1e-4, 1.0, is_whole=True)
RANGES: dict[str, dict[str, Range]] = {
    kind: {name: {"alpha": RATE, "final": _FINAL}.get(name, _DECAY) for name in names}
    for kind, names in HYPERPARAMETERS.items()
}
"""The ranges by baseline and hyperparameter, the same on all tasks. ε stays at 1e-8.

A learning rate that falls to a ten-thousandth falls to nothing, and one that falls to itself has no
schedule: `final` needs no wider range."""


def hyperparameters(kind: str, places: Float) -> dict[str, Float]:
    """The hyperparameters at places, (n, n_hyperparameters), by name, each (n,)."""
    named = zip(RANGES[kind].items(), places.T, strict=True)
    return {name: range_.at(column) for (name, range_), column in named}
