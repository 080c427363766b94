"""The claims of the paper: readings with thresholds that were set in advance, in TOML files.

    [[claim]]
    name = "momentum"
    title = "Momentum"
    sentence = "Slow modes of the linearized dynamics carry past gradients on."
    tasks = ["quadratic"]
    primary = { statistic = "momentum", at_least = 0.5 }
    alternatives = [{ statistic = "momentum", measure = "lag", at_least = 0.5 }]

A file of edition 1 has the statistic and its thresholds in the claim itself, and no alternatives.
"""

import dataclasses
import functools
import math
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator

from loptbench.claims.statistics import STATISTICS, Statistic
from loptbench.errors import ClaimsError
from loptbench.reading import parse_toml, read_file
from loptbench.results.schema.base import first_problem
from loptbench.results.schema.verdicts import threshold_in_words
from loptbench.tasks import TASKS

PREMISE = "optimizes"
"""The claim that all others presuppose."""

SHIPPED = ("1", "2")
"""The editions that loptbench ships."""

LATEST = SHIPPED[-1]

Text = Annotated[StrictStr, Field(min_length=1)]
Threshold = Annotated[float | None, Field(strict=True)]

_OF_EDITION_1 = ("statistic", "at_least", "at_most")


class Reading(BaseModel):
    """One reading of a claim: a statistic, and the values with which the claim holds.

    All further fields are parameters of the statistic.

    Attributes:
        reading: what it is, in words; those of its statistic if empty.
        statistic: the name of a statistic in `loptbench.claims.statistics.STATISTICS`.
        compared: how the statistic's means on two tasks are compared, of a claim across tasks: the
            ratio of the first task's to the second's, or their difference; None for other claims.
        at_least: the smallest value with which the claim holds; None if there is no lower limit.
        at_most: the largest value with which it holds; None if there is no upper limit.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Any]

    reading: StrictStr = ""
    statistic: Text
    compared: Literal["ratio", "difference"] | None = None
    at_least: Threshold = None
    at_most: Threshold = None

    @model_validator(mode="after")
    def _can_hold_and_fail(self) -> Self:
        if self.statistic not in STATISTICS:
            known = ", ".join(STATISTICS)
            raise ValueError(f"the statistic {self.statistic!r} is unknown; known are: {known}")
        try:
            measured = self.measured
        except ValueError as error:
            raise ValueError(f"the statistic {self.statistic!r}: {error}") from error
        if self.at_least is None and self.at_most is None:
            raise ValueError("it has no threshold: it cannot fail; set at_least or at_most")
        least, most = self._range
        if least > most:
            raise ValueError(
                f"at_least is {least:g} and at_most is {most:g}, the wrong way round: no number is "
                "in that range"
            )
        if self.compared is None and (least > measured.most or most < measured.least):
            raise ValueError(
                f"no value is {self.threshold}: {self.statistic!r} lies between "
                f"{measured.least:g} and {measured.most:g}"
            )
        return self

    @functools.cached_property
    def measured(self) -> Statistic:
        """The statistic."""
        return STATISTICS[self.statistic].statistic(self.__pydantic_extra__)

    @property
    def words(self) -> str:
        """The reading in words."""
        return self.reading or self.measured.words

    @property
    def label(self) -> str:
        """The statistic's name with its parameters."""
        parameters = {**self.__pydantic_extra__}
        if self.compared:
            parameters["compared"] = self.compared
        values = ", ".join(f"{name}={value}" for name, value in parameters.items())
        return f"{self.statistic}({values})" if values else self.statistic

    @property
    def threshold(self) -> str:
        """The threshold in words."""
        return threshold_in_words(self.at_least, self.at_most)

    @property
    def _range(self) -> tuple[float, float]:
        return (
            -math.inf if self.at_least is None else self.at_least,
            math.inf if self.at_most is None else self.at_most,
        )

    def holds(self, low: float, high: float) -> bool | None:
        """Whether an interval of the statistic lies in the claimed range.

        Args:
            low: the lower end of the interval.
            high: the upper end; equal to `low` for a number that is known exactly.

        Returns: True if all of it does, False if none of it does, None if a part does, or if an end
            is NaN.
        """
        least, most = self._range
        if least <= low and high <= most:
            return True
        if high < least or most < low:
            return False
        return None


class Claim(BaseModel):
    """One claim.

    Attributes:
        name: its name in records and links.
        title: its name in tables.
        sentence: what the paper says, in our words.
        tasks: the tasks on which it is claimed; the two that are compared, of a claim across tasks.
        primary: the reading that the verdict rests on.
        alternatives: other readings of the same sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    title: Text
    sentence: Text
    tasks: tuple[StrictStr, ...] = Field(min_length=1)
    primary: Reading
    alternatives: tuple[Reading, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_edition_1(cls, fields: Any) -> Any:
        """A claim with its statistic beside its name has that one as its primary reading."""
        if not isinstance(fields, dict) or "primary" in fields or "statistic" not in fields:
            return fields
        reading = {name: fields[name] for name in _OF_EDITION_1 if name in fields}
        rest = {name: value for name, value in fields.items() if name not in _OF_EDITION_1}
        return rest | {"primary": reading}

    @model_validator(mode="after")
    def _is_on_tasks(self) -> Self:
        if unknown := sorted(set(self.tasks) - set(TASKS)):
            raise ValueError(
                f"it is on unknown tasks: {', '.join(unknown)}; known are: {', '.join(TASKS)}"
            )
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"it names a task twice: {', '.join(self.tasks)}")
        compared = [reading.compared is not None for reading in self.readings]
        if any(compared) and not all(compared):
            raise ValueError(
                "some of its readings compare two tasks, others do not: give all of them "
                "'compared', or none"
            )
        if self.is_across_tasks and len(self.tasks) != 2:
            raise ValueError(
                f"it compares two tasks, but is on {len(self.tasks)}: {', '.join(self.tasks)}"
            )
        return self

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The primary reading, then the alternatives."""
        return self.primary, *self.alternatives

    @property
    def is_across_tasks(self) -> bool:
        """Whether it compares two tasks."""
        return self.primary.compared is not None

    @property
    def places(self) -> tuple[str, ...]:
        """On what there is a verdict each: the tasks, or two of them together.

        >>> [claim.places for claim in claims() if claim.is_across_tasks]
        [('rosenbrock and quadratic',)]
        """
        return (" and ".join(self.tasks),) if self.is_across_tasks else self.tasks

    @property
    def threshold(self) -> str:
        """The threshold of the primary reading in words.

        >>> claims()[0].threshold
        'at most 1'
        """
        return self.primary.threshold


@dataclasses.dataclass(frozen=True)
class Edition:
    """The claims of one file.

    Attributes:
        name: 1 or 2, or the name of the file.
        claims: the claims, as they stand in the file.
    """

    name: str
    claims: tuple[Claim, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, Claim]:
        """The claims by name."""
        return {claim.name: claim for claim in self.claims}

    def premise(self, task: str) -> Claim:
        """The claim that all others on a task presuppose; that of edition 2 if there is none."""
        own = self.by_name.get(PREMISE)
        if own is not None and task in own.tasks and not own.is_across_tasks:
            return own
        return load_edition(LATEST).by_name[PREMISE]


def claims(edition: int | str | Path = LATEST) -> tuple[Claim, ...]:
    """All claims of an edition, in the order of its file.

    >>> claims(1)[0].name, claims(2)[0].name
    ('optimizes', 'optimizes')

    Args:
        edition: 1 or 2, or a file of claims.

    Raises:
        ClaimsError: the file does not exist, or is no file of claims.
    """
    return load_edition(edition).claims


def load_edition(edition: int | str | Path = LATEST) -> Edition:
    """The claims of a shipped edition, or of a file; arguments and errors are those of `claims`."""
    if str(edition) in SHIPPED:
        return _shipped(str(edition))
    path = Path(str(edition))
    try:
        content = read_file(path, ClaimsError)
    except ClaimsError as error:
        raise ClaimsError(
            f"{path}: the claims cannot be read: {error}; give a file, or one of the editions "
            f"{' and '.join(SHIPPED)}"
        ) from error
    return Edition(path.name, _parse(path.name, content))


@functools.cache
def _shipped(edition: str) -> Edition:
    name = f"edition{edition}.toml"
    content = (resources.files("loptbench.claims") / name).read_bytes()
    return Edition(edition, _parse(name, content))


def _parse(file: str, content: bytes) -> tuple[Claim, ...]:
    """The claims in the content of a file.

    Raises:
        ClaimsError: what is wrong with it, by file, claim and field.
    """
    try:
        table = parse_toml(content.decode("utf-8"))
    except ValueError as error:
        raise ClaimsError(f"{file} is not TOML: {error}") from error
    if unknown := sorted(set(table) - {"claim", "edition"}):
        raise ClaimsError(
            f"{file} should hold tables [[claim]], but has {', '.join(map(repr, unknown))}"
        )
    if not isinstance(table.get("edition", ""), str):
        raise ClaimsError(f"{file}: 'edition' should be text, but it is {table['edition']!r}")
    tables = table.get("claim", [])
    if not isinstance(tables, list) or not all(isinstance(fields, dict) for fields in tables):
        raise ClaimsError(f"{file}: 'claim' should be a list of tables [[claim]]")
    if not tables:
        raise ClaimsError(f"{file} holds no claim: give at least one table [[claim]]")
    parsed = tuple(_parse_claim(file, i, fields) for i, fields in enumerate(tables, 1))
    for field in ("name", "title"):
        values = [getattr(claim, field) for claim in parsed]
        if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
            raise ClaimsError(f"{file}: two claims have the {field} {twice[0]!r}; change one")
    return parsed


def _parse_claim(file: str, number: int, fields: dict[str, Any]) -> Claim:
    name = fields.get("name")
    where = f"{file}: claim {name!r}" if isinstance(name, str) else f"{file}: claim {number}"
    try:
        return Claim.model_validate(fields)
    except ValidationError as error:
        raise ClaimsError(f"{where}: {_explained(error)}") from error


def _explained(error: ValidationError) -> str:
    """The first problem of a claim, in words."""
    problem = error.errors(include_url=False)[0]
    if problem["type"] != "value_error":
        if problem["type"] == "missing" and problem["loc"] == ("primary",):
            return "it has no primary reading: the field primary is missing"
        return first_problem(error)
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem['ctx']['error']}" if where else str(problem["ctx"]["error"])
