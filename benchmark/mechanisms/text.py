"""An analysis as text for the terminal."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ClippingResult,
    ConvergencePointResult,
    MechanismsResult,
    MomentumResult,
    NotApplicable,
    ScheduleResult,
)

MAX_MODES_SHOWN = 8
MAX_STATES_SHOWN = 4

MAX_ROUNDING = 1e-12
"""Numbers below this magnitude are shown as zero."""


def as_text(title: str, analysis: MechanismsResult, conditions: str) -> str:
    """The results of an analysis, probe by probe.

    Args:
        title: the name of the optimizer.
        analysis: the results.
        conditions: the problems on which it was measured, in words.
    """
    lines = [title, conditions, ""]
    probes: tuple[tuple[str, Any, Callable[[Any], Iterator[str]]], ...] = (
        ("convergence point", analysis.convergence_point, _convergence_point),
        ("momentum", analysis.momentum, _momentum),
        ("clipping", analysis.clipping, _clipping),
        ("schedule", analysis.schedule, _schedule),
        ("adaptation", analysis.adaptation, _adaptation),
    )
    for heading, result, describe in probes:
        lines.append(heading)
        if isinstance(result, NotApplicable):
            lines.append(f"  not applicable: {result.reason}")
        else:
            lines += [f"  {line}" for line in describe(result)]
    return "\n".join(lines)


def _convergence_point(point: ConvergencePointResult) -> Iterator[str]:
    stability = "stable" if point.stable else "not stable"
    yield f"residual            {point.residual:.1e}"
    yield f"spectral radius     {point.spectral_radius:.6f}, {stability}"
    update = f"{point.update + 0.0:.3e}" if np.isfinite(point.update) else "not finite"
    yield f"update              {update}"
    if np.isfinite(point.drift):
        yield f"drift               {point.drift:.3e} of a typical update"
    if point.other_starts:
        n_same = point.other_starts_at_this_point
        yield f"other starts        {n_same} of {point.other_starts} settle here"
    for variable in point.held:
        kind = "counts steps" if variable.counts else "never changes"
        yield f"state variable {variable.index}    {kind}: frozen at {variable.value:g}"
    if point.linearization_error:
        yield f"finite differences  error of A, B, C, D about {point.linearization_error:.1e}"


def _momentum(momentum: MomentumResult) -> Iterator[str]:
    yield f"momentum index      {momentum.index:.6f}"
    yield f"effective rate      {momentum.effective_rate:.6g}"
    yield f"asymptotic rate     {momentum.asymptotic_rate:.6g}"
    for part, r2 in (
        ("near convergence", momentum.r2_near_convergence),
        ("whole run", momentum.r2_whole_run),
    ):
        yield f"R² of linear, {part:17} {'not defined' if np.isnan(r2) else f'{r2:.4f}'}"
    if momentum.modes:
        yield "modes: eigenvalue              timescale  contribution"
    for mode in momentum.modes[:MAX_MODES_SHOWN]:
        real, imaginary = mode.eigenvalue
        eigenvalue = f"{real:+.6f} {imaginary:+.6f}i"
        contribution = "n/a" if np.isnan(mode.contribution) else f"{mode.contribution:.4g}"
        yield f"       {eigenvalue:24} {mode.timescale:9.2f}  {contribution}"
    if len(momentum.modes) > MAX_MODES_SHOWN:
        yield f"       and {len(momentum.modes) - MAX_MODES_SHOWN} more (--json has all)"


def _clipping(clipping: ClippingResult) -> Iterator[str]:
    typical, largest = clipping.typical_gradient, clipping.largest_gradient
    yield f"gradients of runs   {typical:.3g} (median), {largest:.3g} (largest)"
    yield "half-saturation:           g < 0        g > 0"
    for function in clipping.states[:MAX_STATES_SHOWN]:
        yield f"  {function.where:22} {_by_arm(function.half_saturation)}"
    if len(clipping.states) > MAX_STATES_SHOWN:
        yield f"  and at {len(clipping.states) - MAX_STATES_SHOWN} more states (--json has all)"
    for state in clipping.not_applicable_at[:MAX_STATES_SHOWN]:
        yield f"  {state.where}: not applicable: {state.reason}"
    if not all(function.half_saturation_is_known.all() for function in clipping.states):
        yield "  n/a: the update is not a number before it has fallen to half"
    if clipping.engagement is not None:
        engagement = clipping.engagement
        share = "n/a" if np.isnan(engagement) else f"{engagement:.2%}"
        yield f"beyond it at h*     {share} of the gradients of runs"


def _schedule(schedule: ScheduleResult) -> Iterator[str]:
    rate = schedule.rate
    yield f"rate, first         {rate[0]:.6g}"
    yield f"rate, highest       {rate.max():.6g}, at step {schedule.peak_step}"
    yield f"rate, last          {rate[-1]:.6g}, at step {len(rate) - 1}"


def _adaptation(adaptation: AdaptationResult) -> Iterator[str]:
    gradients, settled = adaptation.gradients, adaptation.settled
    yield (
        f"gradients           ±{gradients[gradients > 0].min():.3g} to "
        f"±{gradients.max():.3g}; the state settles at {settled.sum()} of {settled.size}"
    )
    yield "                              g < 0        g > 0"
    yield f"elasticity               {_by_arm(adaptation.elasticity)}"
    yield f"rank correlation         {_by_arm(adaptation.rank_correlation)}"
    several = adaptation.several_fixed_points
    if several[settled].any():
        yield f"several fixed points at {several.sum()} of them"
    if not adaptation.stable[settled].all():
        yield f"not stable at {(~adaptation.stable[settled]).sum()} of them"
    for arm, end in zip(("negative", "positive"), adaptation.branch_ends, strict=True):
        if np.isfinite(end):
            yield f"the branch from h* ends at g = {end:.4g} on the {arm} arm"


def _by_arm(values: NDArray[np.float64]) -> str:
    """The numbers of both arms; "none" for infinity, "n/a" for NaN."""
    rounded = np.where(np.abs(values) < MAX_ROUNDING, 0.0, values)
    numbers = ["none" if np.isinf(v) else "n/a" if np.isnan(v) else f"{v:.6g}" for v in rounded]
    return " ".join(f"{number:>12}" for number in numbers)
