"""A record: the result of one trial, with its key and provenance."""

import enum
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Tag, model_validator

from loptbench.results.schema.base import Number, OptionalNumber, Result, field, optional
from loptbench.results.schema.conformance import ConformanceResult
from loptbench.results.schema.evaluation import AdaptedResult, BaselinesResult, LearnedResult
from loptbench.results.schema.keys import Role, TrialKey, TrialKind
from loptbench.results.schema.mechanisms import MechanismsResult


class TrialStatus(enum.StrEnum):
    """How a trial ended."""

    OK = "ok"
    FAILED = "failed"
    DIVERGED = "diverged"


class Provenance(Result):
    """Where a result comes from: what explains it without determining it."""

    loptbench: str = field("version of loptbench")
    code: str = field("SHA-256 of the sources that decide a result")
    commit: str | None = field("git commit of the sources; null outside a checkout")
    dirty: bool | None = field("whether the checkout had changes; null outside a checkout")
    python: str = field("version of Python")
    platform: str = field("operating system and architecture")
    processor: str = field("model of the processor")
    cores: int | None = field("number of processor cores")
    seconds: Number = field("duration of the trial", "s", ge=0)
    compile_seconds: OptionalNumber = optional("of it, compiling; absent if not measured", "s")


TrialResult = ConformanceResult | BaselinesResult | AdaptedResult | LearnedResult | MechanismsResult

_FIRST_FIELD: dict[str, type[TrialResult]] = {
    "checks": ConformanceResult,
    "baselines": BaselinesResult,
    "adapted": AdaptedResult,
    "learned": LearnedResult,
    "convergence_point": MechanismsResult,
}


def _kind(value: Any) -> str | None:
    for name, kind in _FIRST_FIELD.items():
        if isinstance(value, kind) or (isinstance(value, Mapping) and name in value):
            return f"<{name}>"
    return None


def result_type(key: TrialKey) -> type[TrialResult]:
    """The type of the result of a trial."""
    if key.trial is TrialKind.CONFORMANCE:
        return ConformanceResult
    if key.trial is TrialKind.MECHANISMS:
        return MechanismsResult
    of_role: dict[Role, type[TrialResult]] = {
        Role.BASELINES: BaselinesResult,
        Role.ADAPTED: AdaptedResult,
    }
    return of_role.get(key.optimizer.role, LearnedResult)


_AnyResult = Annotated[
    Annotated[ConformanceResult, Tag("<checks>")]
    | Annotated[BaselinesResult, Tag("<baselines>")]
    | Annotated[AdaptedResult, Tag("<adapted>")]
    | Annotated[LearnedResult, Tag("<learned>")]
    | Annotated[MechanismsResult, Tag("<convergence_point>")],
    Discriminator(
        _kind,
        custom_error_type="result",
        custom_error_message="Input should be the result of a trial, with one of the fields "
        + ", ".join(_FIRST_FIELD),
    ),
]


class Record(Result):
    """The result of one trial."""

    key: TrialKey = field("what determines the result")
    status: TrialStatus = field("how the trial ended")
    message: str = field("why it failed or diverged; empty otherwise")
    result: _AnyResult | None = field("the measurement; null if an exception prevented it")
    provenance: Provenance = field("where the result comes from")

    @model_validator(mode="after")
    def _result_is_of_key(self) -> Self:
        expected_type = result_type(self.key)
        if self.result is not None and not isinstance(self.result, expected_type):
            raise ValueError(
                f"the result of {self.key} should be a {expected_type.__name__}, but is a "
                f"{type(self.result).__name__}"
            )
        return self

    @property
    def name(self) -> str:
        """The record's file name without its ending."""
        return self.key.name
