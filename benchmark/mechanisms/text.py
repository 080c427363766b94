"""An analysis as text for the terminal."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ClippingResult,
    ConvergencePointResult,
    Coverage,
    MechanismsResult,
    MomentumResult,
    NotApplicable,
    ScheduleResult,
)

MAX_MODES_SHOWN = 8
MAX_STATES_SHOWN = 4
MAX_RATES_SHOWN = 12

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
        yield (
            f"other starts        {n_same} of {point.other_starts} come here exactly, within 20 T "
            "steps"
        )
        for steps, share in point.share_at_point.items():
            label = f"states at h*, {_horizon(steps)}"
            yield f"{label:20}{share:.1%} within 1 % of the distance from h0"
        if point.other_places:
            yield f"other places        {point.other_places}, where the others end"
    for variable in point.held:
        kind = "counts steps" if variable.counts else "never changes"
        yield f"state variable {variable.index}    {kind}: frozen at {variable.value:g}"
    if point.linearization_error:
        yield f"finite differences  error of A, B, C, D about {point.linearization_error:.1e}"
    yield from _missing(point.coverage)


def _momentum(momentum: MomentumResult) -> Iterator[str]:
    yield f"momentum index      {momentum.index:.6f}"
    yield f"effective rate      {momentum.effective_rate:.6g}"
    yield f"asymptotic rate     {momentum.asymptotic_rate:.6g}"
    for part, r2 in (
        ("last T of 5 T", momentum.r2_last),
        ("second half", momentum.r2_near_convergence),
        ("whole run", momentum.r2_whole_run),
    ):
        yield f"R² of linear, {part:13} {'not defined' if np.isnan(r2) else f'{r2:.4f}'}"
    if np.isfinite(momentum.distance_last):
        yield (
            f"distance from h*    {momentum.distance_last:.2g} on the last T of 5 T steps, "
            "relative to the first T"
        )
    if momentum.modes:
        yield "modes: eigenvalue              timescale  contribution"
    for mode in momentum.modes[:MAX_MODES_SHOWN]:
        real, imaginary = mode.eigenvalue
        eigenvalue = f"{real:+.6f} {imaginary:+.6f}i"
        contribution = "n/a" if np.isnan(mode.contribution) else f"{mode.contribution:.4g}"
        yield f"       {eigenvalue:24} {mode.timescale:9.2f}  {contribution}"
    if len(momentum.modes) > MAX_MODES_SHOWN:
        yield f"       and {len(momentum.modes) - MAX_MODES_SHOWN} more (--json has all)"
    yield from _missing(momentum.coverage)


def _clipping(clipping: ClippingResult) -> Iterator[str]:
    typical, largest = clipping.typical_gradient, clipping.largest_gradient
    if not np.isnan(typical):
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
    losses = [
        f"{value:.2%} over {_horizon(steps)}" for steps, value in clipping.saturation_loss.items()
    ]
    if losses:
        yield f"saturation loss     {', '.join(losses)} steps of runs".replace("nan%", "n/a")
    yield from _missing(clipping.coverage)


def _schedule(schedule: ScheduleResult) -> Iterator[str]:
    rate = schedule.rate
    yield f"rate, first         {rate[0]:.6g}"
    yield f"rate, highest       {rate.max():.6g}, at step {schedule.peak_step}"
    yield f"rate, last          {rate[-1]:.6g}, at step {len(rate) - 1}"
    if schedule.longer is not None:
        longer = schedule.longer
        yield (
            f"over {2 * len(rate)} steps      highest at step {longer.peak_step}, last / highest "
            f"{_number(longer.last_over_peak)}"
        )
    if schedule.met is not None:
        met = schedule.met
        yield "at states of runs, median over components:"
        yield f"rate, highest       {met.rate.max():.6g}, at step {met.peak_step}"
        yield (
            f"rate, last          {met.rate[-1]:.6g}; half of the components between "
            f"{met.low[-1]:.6g} and {met.high[-1]:.6g}"
        )
    yield from _missing(schedule.coverage)


def _adaptation(adaptation: AdaptationResult) -> Iterator[str]:
    adapted, exact = adaptation.adapted, adaptation.exact
    gradients = adapted.gradients
    yield f"gradients           {gradients.size}, from {gradients[0]:.3g} to {gradients[-1]:.3g}"
    quantiles = adaptation.typical_gradient, adaptation.large_gradient
    if np.all(np.isfinite(quantiles)):
        yield f"gradients of runs   {quantiles[0]:.3g} (median), {quantiles[1]:.3g} (99 % quantile)"
    yield "adapted states:                g < 0        g > 0"
    for steps, ratio in adaptation.ratio.items():
        yield f"{f'adaptation ratio, {_horizon(steps)}':25}{_by_arm(ratio)}"
    readings = adaptation.readings
    if "T" in readings:
        yield f"peak of the rate at |g|  {_by_arm(readings['T'].peak_gradient)}"
        yield f"rank correlation, met    {_by_arm(readings['T'].rank_met)}"
        yield f"elasticity               {_by_arm(readings['T'].elasticity)}"
    yield (
        f"rate unchanged      {adapted.share_unchanged:.0%} of the gradients: at most 5 % in "
        "another T steps"
    )
    if adapted.cycling.any():
        yield (
            f"cycling             the state moves in a cycle under {adapted.cycling.sum()} of "
            f"{gradients.size} gradients, {_range(gradients[adapted.cycling])}"
        )
    yield "exact fixed points:            g < 0        g > 0"
    yield f"adaptation ratio         {_by_arm(exact.ratio)}"
    found = np.isfinite(exact.residual)
    unstable, several = found & ~exact.stable, found & exact.several
    yield f"found               under {found.sum()} of {gradients.size} gradients"
    if unstable.any():
        yield f"not stable          {unstable.sum()} of them, {_range(gradients[unstable])}"
    if several.any():
        yield f"several             under {several.sum()} of them another one is known"
    for arm, end in zip(("negative", "positive"), adaptation.branch_ends, strict=True):
        if np.isfinite(end):
            yield f"the branch from h* ends at g = {end:.4g} on the {arm} arm"
    yield from _rates(adaptation)
    yield from _missing(adaptation.coverage)


def _rates(adaptation: AdaptationResult) -> Iterator[str]:
    """The rates at some gradients: those of both kinds of states, and the change from T to 2 T."""
    adapted, exact = adaptation.adapted, adaptation.exact
    yield "rate −∂U/∂g at 0:   g        adapted, T  adapted, 2T      change   fixed point"
    n = adapted.gradients.size
    for i in np.unique(np.linspace(0, n - 1, min(n, MAX_RATES_SHOWN)).round().astype(int)):
        change = adapted.remaining_change[i]
        at_rest = np.isfinite(exact.residual[i])
        cells = (
            f"{adapted.rate_reference[i]:12.6g}",
            f"{adapted.rate_reference_later[i]:12.6g}",
            f"{change:11.2%}",
            f"{exact.rate_reference[i]:13.6g}"
            if np.isfinite(exact.residual[i])
            else " " * 9 + "none",
        )
        notes = "".join(
            note
            for note, applies in (
                (", cycling", adapted.cycling[i]),
                (", not stable", at_rest and not exact.stable[i]),
            )
            if applies
        )
        row = f"{adapted.gradients[i]:>21.4g} {' '.join(cells)}{notes}"
        yield row.replace("nan%", "n/a").replace("nan", "n/a")
    if n > MAX_RATES_SHOWN:
        yield f"  and at {n - MAX_RATES_SHOWN} more gradients (--json has all)"


def _range(gradients: NDArray[np.float64]) -> str:
    """The range of some gradients in words."""
    return f"g = {gradients.min():.3g}" + (
        f" to {gradients.max():.3g}" if gradients.size > 1 else ""
    )


def _missing(coverage: Coverage) -> Iterator[str]:
    """How much was measured, if not all; what is missing, even if the probe does not count it."""
    if coverage.share < 1:
        yield f"coverage            {coverage.share:.1%}"
    for sentence in filter(None, coverage.missing.split("; ")):
        yield f"  missing: {sentence}"


def _horizon(steps: str) -> str:
    """A number of steps as it is written.

    >>> _horizon("10T")
    '10 T'
    """
    return steps.replace("T", " T").strip()


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.4g}"


def _by_arm(values: NDArray[np.float64]) -> str:
    """The numbers of both arms; "none" for infinity, "n/a" for NaN."""
    rounded = np.where(np.abs(values) < MAX_ROUNDING, 0.0, values)
    numbers = ["none" if np.isinf(v) else "n/a" if np.isnan(v) else f"{v:.6g}" for v in rounded]
    return " ".join(f"{number:>12}" for number in numbers)
