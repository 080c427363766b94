"""The forms that the report expects of records, plans and verdicts.

What has another form is left out and named: one bad record must not take others along, and no
number may stand in a page that is none.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from loptbench.claims.verdicts import Verdict
from loptbench.protocol import Level
from loptbench.results.plain import PlainRecord as Record
from loptbench.tasks import TASKS

LARGEST = 1e300
Number = Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Maybe = Number | None
"""A number that is None where it was not finite."""
Curve = Annotated[list[Maybe], Field(min_length=2)]

_NOT_THERE: Any = (None, None)  # not a list: pydantic would copy it for each of ten thousands


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Compared(_Form):
    quantity: str
    ratio: Maybe
    error_by_step: Curve = _NOT_THERE
    bound_by_step: Curve = _NOT_THERE


class _Check(_Form):
    check: str
    level: Annotated[int, Field(ge=min(Level), le=max(Level))]
    status: Literal["passed", "failed", "skipped"]
    message: str
    ratio: Maybe
    comparisons: list[_Compared]


class _Conformance(_Form):
    checks: list[_Check]


class _Tuning(_Form):
    score: Number
    places: dict[str, Number]
    on_edge: list[str]
    n_draws: int
    n_complete: int
    n_diverged: int


class _Evaluation(_Form):
    n_problems: int
    n_diverged: int
    objective_mean: Maybe
    objective_standard_error: Maybe
    objective_median: Maybe
    final_loss_mean: Maybe
    final_loss_median: Maybe
    curve_mean: Curve
    curve_standard_error: Curve
    hyperparameters: dict[str, Number] = {}
    tuning: _Tuning | None = None


class _Ratio(_Form):
    ratio: Maybe
    low: Maybe
    high: Maybe


class _Outer(_Form):
    step: int
    validation: Maybe


class _MetaTraining(_Form):
    implementation: str = "unknown"
    configuration: dict[str, Any] = {}
    versions: dict[str, str] = {}
    log: list[_Outer] = []
    best_outer_step: int | None = None
    best_validation: Maybe = None


class _Baselines(_Form):
    baselines: dict[str, _Evaluation]


class _Learned(_Form):
    learned: _Evaluation
    ratios: dict[str, _Ratio]
    meta_training: _MetaTraining


class _NotApplicable(_Form):
    not_applicable: str


class _Point(_Form):
    residual: Maybe
    spectral_radius: Maybe


class _Mode(_Form):
    eigenvalue: Annotated[list[Number], Field(min_length=2, max_length=2)]


class _Momentum(_Form):
    index: Maybe
    effective_rate: Maybe
    asymptotic_rate: Maybe
    r2_near_convergence: Maybe
    r2_whole_run: Maybe
    modes: list[_Mode]
    impulse_response: Curve


class _State(_Form):
    where: str
    gain: Number
    update: Annotated[list[Curve], Field(min_length=2, max_length=2)]
    half_saturation: Annotated[list[Maybe], Field(min_length=2, max_length=2)]


class _Density(_Form):
    edges: list[Number]
    share: list[list[Number]]


class _Clipping(_Form):
    gradients: Curve
    states: Annotated[list[_State], Field(min_length=1)]
    density: _Density
    largest_gradient: Maybe


class _Schedule(_Form):
    rate: Curve
    trajectory: list[list[Maybe]]
    peak_step: int | None
    peak_over_first: Maybe
    last_over_peak: Maybe
    lowest_over_highest: Maybe


class _Adaptation(_Form):
    gradients: Curve
    rate_reference: Curve
    curve: list[list[Maybe]]
    elasticity: Annotated[list[Maybe], Field(min_length=2, max_length=2)]
    rank_correlation: Annotated[list[Maybe], Field(min_length=2, max_length=2)]
    settled: list[bool]


class _Mechanisms(_Form):
    convergence_point: _NotApplicable | _Point
    momentum: _NotApplicable | _Momentum
    clipping: _NotApplicable | _Clipping
    schedule: _NotApplicable | _Schedule
    adaptation: _NotApplicable | _Adaptation
    agreement: list[_Compared] = []


class _Key(_Form):
    trial: Literal["conformance", "evaluation", "mechanisms"]
    implementation: str
    optimizer: str
    task: Literal[tuple(TASKS)]  # type: ignore[valid-type]
    dtype: str
    versions: dict[str, str] = {}


class _Provenance(_Form):
    seconds: Number = 0.0


class _Planned(_Key):
    record: str


class _Known(_Form):
    name: str
    availability: str
    reason: str


class _Plan(_Form):
    trials: list[_Planned]
    implementations: list[_Known]


_RESULTS: Mapping[str, TypeAdapter[Any]] = {
    "conformance": TypeAdapter(_Conformance),
    "evaluation": TypeAdapter(_Learned | _Baselines),
    "mechanisms": TypeAdapter(_Mechanisms),
}
_VERDICT = TypeAdapter(Verdict)


def problem_of_record(record: Record) -> str:
    """Why a record cannot be shown; empty if it can."""
    try:
        _Key.model_validate(record.key)
        _Provenance.model_validate(record.provenance)
        if record.result != {}:
            _RESULTS[record.key["trial"]].validate_python(record.result)
    except ValidationError as error:
        return _said(error)
    return "" if isinstance(record.message, str) else "its message is not a text"


def problem_of_plan(plan: Mapping[str, Any]) -> str:
    """Why a plan cannot be read; empty if it can."""
    try:
        _Plan.model_validate(plan)
    except ValidationError as error:
        return _said(error)
    return ""


def verdict_of(value: Any) -> Verdict | None:
    """A verdict of a store, or None if it is of another form."""
    try:
        found: Verdict = value
    except ValidationError:
        return None
    numbers = [one for one in (found.value, found.low, found.high) if one is not None]
    return None if any(math.isnan(one) for one in numbers) else found


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{_where(first['loc'])}: {first['msg']}"


def _where(place: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in place if not str(part).startswith("_")) or "it"
