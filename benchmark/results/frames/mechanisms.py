"""Frames of the mechanisms: every number that the probes measure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Column,
    Frame,
    count,
    flag,
    number,
)
from loptbench.results.frames.contents import Contents, optimizer_columns
from loptbench.results.frames.evaluation import evaluated, or_infinite
from loptbench.results.plain import PlainRecord as Record

ARMS = ("negative", "positive")
"""The signs of the gradient, in the order in which pairs of numbers are stored."""

SCALARS = {
    "convergence_point": (
        *("residual", "spectral_radius", "stable", "drift", "update", "D"),
        *("other_starts", "other_starts_at_this_point", "linearization_error"),
    ),
    "momentum": (
        *("index", "effective_rate", "asymptotic_rate", "r2_near_convergence", "r2_whole_run"),
    ),
    "clipping": ("largest_gradient", "typical_gradient", "reach", "engagement", "gain"),
    "schedule": ("peak_step", "peak_over_first", "last_over_peak", "lowest_over_highest"),
    "adaptation": ("residual", "order"),
}
"""The single numbers of each probe. The gain is that of the update function at h*."""

PAIRS = {
    "clipping": ("half_saturation", "saturation_at_largest_gradient"),
    "adaptation": ("elasticity", "rank_correlation", "branch_ends"),
}
"""The numbers of each probe that belong to one sign of the gradient. Clipping is that at h*."""

NOT_MEASURED = "not measured"
NO_NUMBER = "there is no such number, or it is not finite"


def _columns(contents: Contents, record: Record) -> dict[str, Any]:
    columns = optimizer_columns(record.key)
    role, name = columns["role"], columns["optimizer"]
    return columns | contents.training_columns(columns["task"], role, name)


def _measured(
    contents: Contents, probe: str
) -> Iterator[tuple[Record, dict[str, Any], Mapping[str, Any]]]:
    """The records in which a probe applies: the record, its columns, the probe's result."""
    for record in contents.of_kind("mechanisms"):
        result = record.result.get(probe, {})
        if result and "not_applicable" not in result:
            yield record, _columns(contents, record), result


def _at_convergence(clipping: Mapping[str, Any]) -> Mapping[str, Any]:
    """A clipping result, with the numbers of the update function at h* beside the others."""
    states = clipping.get("states", ())
    at_point = next((state for state in states if state["where"] == "h*"), {})
    return {
        **clipping,
        **{name: at_point.get(name) for name in ("gain", *PAIRS["clipping"])},
        "half_saturation": half_saturations(at_point),
    }


def half_saturations(state: Mapping[str, Any]) -> list[float]:
    """Of both signs: the gradient of half the largest update; infinite if there is none.

    NaN where it is not known.
    """
    values = state.get("half_saturation", (None, None))
    known = state.get("half_saturation_is_known", (False, False))
    return [
        (math.inf if is_known else math.nan) if value is None else value
        for value, is_known in zip(values, known, strict=True)
    ]


def _mechanisms(contents: Contents) -> Iterator[Block]:
    for record in contents.of_kind("mechanisms"):
        columns = _columns(contents, record) | {"record": record.name}
        for probe, names in SCALARS.items():
            result = record.result.get(probe)
            absent = NOT_MEASURED if result is None else result.get("not_applicable", "")
            result = {} if result is None else result
            if probe == "clipping":
                result = _at_convergence(result)
            pairs = PAIRS.get(probe, ())
            values = [result.get(name) for name in names]
            for name in pairs:
                values += result.get(name) or (None, None)
            numbers = [math.nan if value is None else float(value) for value in values]
            yield {
                **columns,
                "probe": probe,
                "quantity": [*names, *(name for name in pairs for _ in ARMS)],
                "arm": [*("" for _ in names), *(arm for _ in pairs for arm in ARMS)],
                "value": numbers,
                "reason": [
                    "" if math.isfinite(value) else absent or NO_NUMBER for value in numbers
                ],
            }


MECHANISMS = Frame(
    "one number of one probe",
    {
        **OPTIMIZER,
        **TRAINING,
        "probe": Column(f"the probe: {', '.join(SCALARS)}"),
        "quantity": Column("the quantity"),
        "arm": Column("negative or positive, for a quantity of one sign of the gradient"),
        "value": number("its value; 1 and 0 for yes and no; NaN where there is none"),
        "reason": Column("why there is no finite value; empty if there is one"),
        **RECORD,
    },
    _mechanisms,
)


def _problems(contents: Contents) -> Iterator[Block]:
    for record, columns, evaluation in evaluated(contents):
        objective = [or_infinite(value) for value in evaluation["objective"]]
        yield _of_problems(record, columns, "objective", objective)
    for record, columns, momentum in _measured(contents, "momentum"):
        near = momentum.get("near")
        if near:
            yield _of_problems(record, columns, "linear_error", near["error"])
            yield _of_problems(record, columns, "linear_variation", near["variation"])
    for record, columns, clipping in _measured(contents, "clipping"):
        engagement = clipping.get("engagement_by_problem")
        if engagement:
            yield _of_problems(record, columns, "engagement", engagement)


def _of_problems(
    record: Record, columns: dict[str, Any], quantity: str, values: Sequence[float | None]
) -> Block:
    return {
        **columns,
        "quantity": quantity,
        "problem": list(range(len(values))),
        "value": list(values),
        "record": record.name,
    }


PROBLEMS = Frame(
    "one number of one held-out problem",
    {
        **OPTIMIZER,
        **TRAINING,
        "quantity": Column(
            "objective (infinite if the run diverged); linear_error and linear_variation, the sums "
            "of squares whose ratio is 1 − R² near convergence; engagement, the share of gradients "
            "beyond half-saturation at h*"
        ),
        "problem": count("the number of the problem"),
        "value": number("the quantity"),
        **RECORD,
    },
    _problems,
)


def _modes(contents: Contents) -> Iterator[Block]:
    for record, columns, momentum in _measured(contents, "momentum"):
        modes = momentum["modes"]
        yield {
            **columns,
            "mode": list(range(len(modes))),
            "eigenvalue_real": [mode["eigenvalue"][0] for mode in modes],
            "eigenvalue_imag": [mode["eigenvalue"][1] for mode in modes],
            **{
                name: [mode[name] for mode in modes]
                for name in ("timescale", "contribution", "condition")
            },
            "record": record.name,
        }


MODES = Frame(
    "one mode of the linear system at the convergence point",
    {
        **OPTIMIZER,
        **TRAINING,
        "mode": count("its place, from 0 for the largest contribution"),
        "eigenvalue_real": number("the real part of its eigenvalue"),
        "eigenvalue_imag": number("the imaginary part of its eigenvalue"),
        "timescale": number("after so long it has decayed to 1/e", "steps"),
        "contribution": number("the size of its part of the total response", "update / gradient"),
        "condition": number("the condition number of its eigenvalue"),
        **RECORD,
    },
    _modes,
)


def _impulse_responses(contents: Contents) -> Iterator[Block]:
    for record, columns, momentum in _measured(contents, "momentum"):
        response = momentum["impulse_response"]
        lags = list(range(len(response)))
        yield {**columns, "lag": lags, "response": response, "record": record.name}


IMPULSE_RESPONSES = Frame(
    "the update some steps after a unit gradient",
    {
        **OPTIMIZER,
        **TRAINING,
        "lag": count("the time since the gradient", "steps"),
        "response": number("κ, the update", "update / gradient"),
        **RECORD,
    },
    _impulse_responses,
)


def _update_functions(contents: Contents) -> Iterator[Block]:
    for record, columns, clipping in _measured(contents, "clipping"):
        sizes = clipping["gradients"]
        for state in clipping["states"]:
            half = half_saturations(state)
            for i, (sign, arm) in enumerate(zip((-1.0, 1.0), ARMS, strict=True)):
                yield {
                    **columns,
                    "where": state["where"],
                    "arm": arm,
                    "gradient": [sign * size for size in sizes],
                    "update": state["update"][i],
                    "gain": state["gain"],
                    "half_saturation": half[i],
                    "saturation_at_largest_gradient": state["saturation_at_largest_gradient"][i],
                    "record": record.name,
                }


UPDATE_FUNCTIONS = Frame(
    "the update that one gradient causes in one state",
    {
        **OPTIMIZER,
        **TRAINING,
        "where": Column("the state: h0, h*, or one of real runs"),
        "arm": Column("negative or positive: the sign of the gradient"),
        "gradient": number("the gradient", "gradient"),
        "update": number("U(h, g) − U(h, 0), the part of the update that g causes", "update"),
        "gain": number("the slope of the update at gradient zero", "update / gradient"),
        "half_saturation": number(
            "the smallest |g| with half the linear update; infinite for none", "gradient"
        ),
        "saturation_at_largest_gradient": number("update / linear update at the largest gradient"),
        **RECORD,
    },
    _update_functions,
)


def _gradient_density(contents: Contents) -> Iterator[Block]:
    for record, columns, clipping in _measured(contents, "clipping"):
        edges = [10.0**edge for edge in clipping["density"]["edges"]]
        for arm, share in zip(ARMS, clipping["density"]["share"], strict=True):
            yield {
                **columns,
                "arm": arm,
                "gradient_low": edges[:-1],
                "gradient_high": edges[1:],
                "share": share,
                "record": record.name,
            }


GRADIENT_DENSITY = Frame(
    "the share of the gradients of real runs in one bin of |g|",
    {
        **OPTIMIZER,
        **TRAINING,
        "arm": Column("negative or positive: the sign of the gradient"),
        "gradient_low": number("the lower edge of the bin of |g|", "gradient"),
        "gradient_high": number("the upper edge of the bin of |g|", "gradient"),
        "share": number("the share of all gradients; both signs together make 1"),
        **RECORD,
    },
    _gradient_density,
)


def _components(points: Sequence[Sequence[float | None]]) -> dict[str, list[float | None]]:
    """The first three principal components, each a list over points; None where there are fewer."""
    return {
        f"pc{i + 1}": [point[i] if i < len(point) else None for point in points] for i in range(3)
    }


COMPONENTS = {f"pc{i}": number(f"the state, along the principal component {i}") for i in (1, 2, 3)}


def _schedules(contents: Contents) -> Iterator[Block]:
    for record, columns, schedule in _measured(contents, "schedule"):
        yield {
            **columns,
            "step": list(range(len(schedule["rate"]))),
            "rate": schedule["rate"],
            **_components(schedule["trajectory"]),
            "record": record.name,
        }


SCHEDULES = Frame(
    "the learning rate at one step without a gradient",
    {
        **OPTIMIZER,
        **TRAINING,
        "step": count("the inner step", "steps"),
        "rate": number("the learning rate", "update / gradient"),
        **COMPONENTS,
        **RECORD,
    },
    _schedules,
)


def _adaptation(contents: Contents) -> Iterator[Block]:
    for record, columns, adaptation in _measured(contents, "adaptation"):
        yield {
            **columns,
            "gradient": adaptation["gradients"],
            **{
                name: adaptation[name]
                for name in (
                    *("rate_reference", "rate_local"),
                    *("settled", "stable", "several_fixed_points"),
                )
            },
            **_components(adaptation["curve"]),
            "record": record.name,
        }


ADAPTATION = Frame(
    "the state to which one constant gradient leads",
    {
        **OPTIMIZER,
        **TRAINING,
        "gradient": number("the gradient that stays", "gradient"),
        "rate_reference": number(
            "the learning rate for small gradients in that state", "update / gradient"
        ),
        "rate_local": number("the learning rate at the gradient itself", "update / gradient"),
        "settled": flag("whether the state has come to rest"),
        "stable": flag("whether the fixed point is stable"),
        "several_fixed_points": flag("whether other starts lead to another fixed point"),
        **COMPONENTS,
        **RECORD,
    },
    _adaptation,
)
