"""The base of all result models, and their types for numbers and arrays.

JSON has no NaN and no infinity: both are written as null. The field's type says which of them null
stands for: `Number` and `Array1` read null as NaN, `NumberOrInfinite` and
`Array1OrInfinite` read it as infinity.
"""

import dataclasses
import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError, core_schema

LONGEST_VALUE_SHOWN = 60
"""Characters of an invalid value that an error message repeats."""


class Model(BaseModel):
    """A frozen model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Result(Model):
    """A model that may hold arrays: equal if both are written as the same JSON."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and (
            self.model_dump(mode="json") == other.model_dump(mode="json")
        )

    __hash__ = None  # type: ignore[assignment]


def finite_or_none(value: float) -> float | None:
    """A number as JSON holds it.

    >>> finite_or_none(float("inf")) is None
    True
    """
    return float(value) if math.isfinite(value) else None


def _none_is(number: float) -> BeforeValidator:
    return BeforeValidator(lambda value: number if value is None else value)


_as_json = PlainSerializer(finite_or_none, when_used="json")

Number = Annotated[float, _none_is(math.nan), _as_json]
"""A number; null in JSON stands for NaN."""

NumberOrInfinite = Annotated[float, _none_is(math.inf), _as_json]
"""A number; null in JSON stands for infinity."""


def _null_is_nan(value: Any, info: ValidationInfo) -> Any:
    return math.nan if value is None and info.mode == "json" else value


OptionalNumber = Annotated[
    float | None,
    BeforeValidator(_null_is_nan),
    PlainSerializer(lambda v: None if v is None else finite_or_none(v), when_used="json"),
]
"""A number for `optional` fields: None where the key is absent, NaN where JSON has null."""


@dataclasses.dataclass(frozen=True)
class ArrayType:
    """Makes `Annotated[NDArray[…], ArrayType(…)]` a field of nested lists.

    Attributes:
        n_dimensions: how many axes the array has.
        null: what null stands for; nulls are refused in arrays of booleans.
        dtype: `float64` or `bool`.
        lengths: the shortest and the longest first axis; None for no limit.
    """

    n_dimensions: int
    null: float = math.nan
    dtype: str = "float64"
    lengths: tuple[int, int | None] = (0, None)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        item: core_schema.CoreSchema = core_schema.bool_schema(strict=True)
        if self.dtype == "float64":
            number = core_schema.float_schema(strict=True, allow_inf_nan=False)
            item = core_schema.nullable_schema(number)
        for _ in range(self.n_dimensions):
            item = core_schema.list_schema(item, strict=True)
        return core_schema.no_info_wrap_validator_function(
            self._validated,
            item,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._as_lists, when_used="json"
            ),
        )

    def _validated(self, value: Any, as_lists: Any) -> NDArray[Any]:
        if isinstance(value, np.ndarray):
            array = value.astype(self.dtype)
        else:
            try:
                array = np.array(as_lists(value), self.dtype)
            except ValueError as error:
                if isinstance(error, ValidationError):
                    raise
                raise PydanticCustomError(
                    "ragged", "Input should be nested lists whose rows have equal lengths"
                ) from error
            if self.dtype == "float64":
                array[np.isnan(array)] = self.null
        if array.size == 0 and array.ndim < self.n_dimensions:
            array = array.reshape(array.shape + (0,) * (self.n_dimensions - array.ndim))
        if array.ndim != self.n_dimensions:
            raise PydanticCustomError(
                "dimensions",
                "Input should be an array of {wanted} dimensions, not {came}",
                {"wanted": self.n_dimensions, "came": array.ndim},
            )
        shortest, longest = self.lengths
        if len(array) < shortest or (longest is not None and len(array) > longest):
            length = f"{shortest}" if shortest == longest else f"at least {shortest}"
            raise PydanticCustomError(
                "length",
                "Input should be an array of {wanted} entries, not {came}",
                {"wanted": length, "came": len(array)},
            )
        array.flags.writeable = False
        return array

    def _as_lists(self, array: NDArray[Any]) -> Any:
        if self.dtype == "bool" or np.all(np.isfinite(array)):
            return array.tolist()
        values = array.astype(object)
        values[~np.isfinite(array)] = None
        return values.tolist()


Array1 = Annotated[NDArray[np.float64], ArrayType(1)]
Curve = Annotated[NDArray[np.float64], ArrayType(1, lengths=(2, None))]
Pair = Annotated[NDArray[np.float64], ArrayType(1, lengths=(2, 2))]
Array2 = Annotated[NDArray[np.float64], ArrayType(2)]
Array1OrInfinite = Annotated[NDArray[np.float64], ArrayType(1, null=math.inf)]
BoolArray1 = Annotated[NDArray[np.bool_], ArrayType(1, dtype="bool")]


def is_none(value: object) -> bool:
    """For `Field(exclude_if=is_none)`: the key is left out of the JSON."""
    return value is None


def field(description: str, unit: str = "", **arguments: Any) -> Any:
    """A required field with its description and unit.

    >>> field("learning rate", "1/step").json_schema_extra
    {'unit': '1/step'}
    """
    return Field(description=description, json_schema_extra={"unit": unit}, **arguments)


def optional(description: str, unit: str = "") -> Any:
    """A field whose key is left out of the JSON where there is no value (None)."""
    return field(description, unit, default=None, exclude_if=is_none)


def first_problem(error: ValidationError) -> str:
    """The first problem of a validation: the field, what it should be, and what it is.

    Parts of the path in angle brackets are tags of unions, not fields.
    """
    problem = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("<"))
    message = problem["msg"]
    if problem["type"] == "missing":
        return f"the field {place} is missing"
    if problem["type"] == "json_invalid":
        return message
    value = repr(problem["input"])
    if len(value) > LONGEST_VALUE_SHOWN:
        value = f"{value[:LONGEST_VALUE_SHOWN]}… ({type(problem['input']).__name__})"
    where = f"{place}: " if place else ""
    return f"{where}{message[:1].lower()}{message[1:]}, but it is {value}"
