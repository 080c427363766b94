"""The settings of meta-training that a search draws, and their ranges."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.results.schema.base import first_problem
from loptbench.training.settings import MetaTraining


class Uniform(BaseModel):
    """A setting that is drawn uniformly, in its logarithm or in that of 1 − itself.

    >>> Uniform(low=0.01, high=1.0).at(0.5)
    0.1
    >>> Uniform(low=0.01, high=1.0, of_complement=True).at(0.5)
    0.9
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(gt=0)
    high: float = Field(gt=0)
    of_complement: bool = False

    def at(self, place: float) -> float:
        """The setting at a place in the range, 0 to 1; what is uniform has four digits."""
        value = float(f"{self.low ** (1 - place) * self.high**place:.4g}")
        return round(1 - value, 12) if self.of_complement else value


Space = Mapping[str, Uniform | tuple[str, ...]]
"""Settings by name, each with its range or its choices."""

SPACE: dict[str, Uniform | tuple[str, ...]] = {
    "input_scale": Uniform(low=1e-3, high=1e2),
    "output_scale": Uniform(low=3e-2, high=3.0),
    "learning_rate": Uniform(low=1e-4, high=1e-2),
    "decay": Uniform(low=0.03, high=1.0),
    "beta1": Uniform(low=0.03, high=0.5, of_complement=True),
    "beta2": Uniform(low=1e-3, high=0.5, of_complement=True),
    "clipping": ("elementwise", "global-norm"),
    "clip": Uniform(low=1e-2, high=1.0),
    "penalty": Uniform(low=1e-8, high=1e-4),
    "rollback_ratio": Uniform(low=1.1, high=2.0),
    "averaging": Uniform(low=1e-3, high=0.1, of_complement=True),
}
"""The settings that are searched, and where; the same for every task. `decay` is what the learning
rate has fallen to after all outer steps."""


def narrowed(ranges: Mapping[str, Uniform]) -> Space:
    """The space with other ranges of some settings.

    >>> narrowed({"decay": Uniform(low=0.1, high=0.5)})["decay"]
    Uniform(low=0.1, high=0.5, of_complement=False)

    Args:
        ranges: the ranges by the name of the setting. Of a decay that is drawn as 1 − itself, so
            must the range be.

    Raises:
        LoptbenchError: a setting is not searched, or not by a range, or its range is of the other
            form or not of valid settings.
    """
    known = {name: values for name, values in SPACE.items() if isinstance(values, Uniform)}
    for name, given in ranges.items():
        if name not in known:
            raise UnknownNameError("setting with a range", name, [*known])
        if given.of_complement != known[name].of_complement:
            form = f"1-{name}" if known[name].of_complement else name
            raise LoptbenchError(f"the range of {name} must be given as {form}=low:high")
        _require_valid(name, given)
    return {**SPACE, **ranges}


def _require_valid(name: str, given: Uniform) -> None:
    """Refuse a range of which an end is not a setting that meta-training takes."""
    if given.low >= given.high:
        raise LoptbenchError(
            f"the range of {name} is empty or upside down: {given.low} to {given.high}"
        )
    for place in (0.0, 1.0):
        try:
            MetaTraining.model_validate({name: given.at(place)})
        except ValidationError as error:
            raise LoptbenchError(f"the range of {name}: {first_problem(error)}") from error
