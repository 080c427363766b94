"""An analysis to read in a terminal."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from loptbench.mechanisms.adaptation import Adaptation
from loptbench.mechanisms.analysis import Analysis
from loptbench.mechanisms.clipping import Clipping
from loptbench.mechanisms.convergence import ConvergencePoint
from loptbench.mechanisms.momentum import Momentum
from loptbench.mechanisms.schedule import Schedule
from loptbench.mechanisms.values import Float, NotApplicable

MOST_MODES = 8
MOST_STATES = 4
ROUNDING = 1e-12


def as_text(what: str, analysis: Analysis, on: str) -> str:
    """The analysis, probe by probe.

    Args:
        what: how the optimizer is called.
        analysis: what was found.
        on: what it ran on.
    """
    lines = [what, on, ""]
    probes: tuple[tuple[str, Any, Callable[[Any], Iterator[str]]], ...] = (
        ("convergence point", analysis.convergence_point, lambda a: _point(a, analysis.drift)),
        ("momentum", analysis.momentum, _momentum),
        ("clipping", analysis.clipping, _clipping),
        ("schedule", analysis.schedule, _schedule),
        ("adaptation", analysis.adaptation, _adaptation),
    )
    for title, found, told in probes:
        lines.append(title)
        if isinstance(found, NotApplicable):
            lines.append(f"  not applicable: {found.reason}")
        else:
            lines += [f"  {line}" for line in told(found)]
    return "\n".join(lines)


def _point(point: ConvergencePoint, drift: float | None) -> Iterator[str]:
    stable = "stable" if point.stable else "not stable"
    yield f"residual            {point.residual:.1e}"
    yield f"spectral radius     {point.spectral_radius:.6f}, {stable}"
    there = f"{point.update + 0.0:.3e}" if np.isfinite(point.update) else "not finite"
    yield f"update there        {there}"
    if drift is not None:
        yield f"drift               {drift:.3e} of a typical update"
    if point.n_starts:
        yield f"other starts        {point.n_same} of {point.n_starts} reach it"
    for one in point.held:
        kind = "counts steps" if one.counts else "never changes"
        yield f"state variable {one.index}    {kind}: held at {one.value:g}"
    if point.linear_error:
        yield f"by differences      error of A, B, C, D about {point.linear_error:.1e}"


def _momentum(found: Momentum) -> Iterator[str]:
    yield f"momentum index      {found.index:.6f}"
    yield f"effective rate      {found.effective_rate:.6g}"
    yield f"asymptotic rate     {found.asymptotic_rate:.6g}"
    for name, one in (("near convergence", found.near), ("whole run", found.whole)):
        yield f"R² of linear, {name:17} {'not defined' if one is None else f'{one.r2:.4f}'}"
    if found.modes:
        yield "modes: eigenvalue              timescale  contribution"
    for mode in found.modes[:MOST_MODES]:
        value = f"{mode.eigenvalue.real:+.6f} {mode.eigenvalue.imag:+.6f}i"
        share = "n/a" if np.isnan(mode.contribution) else f"{mode.contribution:.4g}"
        yield f"       {value:24} {mode.timescale:9.2f}  {share}"
    if len(found.modes) > MOST_MODES:
        yield f"       and {len(found.modes) - MOST_MODES} more (--json has all)"


def _clipping(found: Clipping) -> Iterator[str]:
    yield f"gradients met       {found.met.typical:.3g} (median), {found.met.largest:.3g} (largest)"
    yield "half-saturation:           g < 0        g > 0"
    for one in found.states[:MOST_STATES]:
        yield f"  {one.where:22} {_arms(one.half_saturation)}"
    if len(found.states) > MOST_STATES:
        yield f"  and at {len(found.states) - MOST_STATES} more states (--json has all)"
    for where, reason in found.others[:MOST_STATES]:
        yield f"  {where}: not applicable: {reason}"
    if any(np.isnan(one.half_saturation).any() for one in found.states):
        yield "  n/a: before it has fallen to half, the update is not a number any more"
    resting = found.at("h*")
    if resting is not None and found.met.gradients.size:
        engaged = float(np.mean(found.engagement(resting)))
        share = "n/a" if np.isnan(engaged) else f"{engaged:.2%}"
        yield f"beyond it at h*     {share} of the gradients met"


def _schedule(found: Schedule) -> Iterator[str]:
    rate = found.rate
    yield f"rate, first         {rate[0]:.6g}"
    yield f"rate, highest       {rate.max():.6g}, at step {found.peak_step}"
    yield f"rate, last          {rate[-1]:.6g}, at step {len(rate) - 1}"


def _adaptation(found: Adaptation) -> Iterator[str]:
    settled = np.all(np.isfinite(found.state), axis=1)
    yield (
        f"gradients           ±{found.gradients[found.gradients > 0].min():.3g} to "
        f"±{found.gradients.max():.3g}; the state settles at {settled.sum()} of {settled.size}"
    )
    yield "                              g < 0        g > 0"
    yield f"elasticity               {_arms(found.elasticity)}"
    yield f"rank correlation         {_arms(found.rank_correlation)}"
    if found.several[settled].any():
        yield f"several fixed points at {found.several.sum()} of them"
    if not found.stable[settled].all():
        yield f"not stable at {(~found.stable[settled]).sum()} of them"
    for arm, end in zip(("negative", "positive"), found.branch_ends, strict=True):
        if np.isfinite(end):
            yield f"the branch from h* ends at g = {end:.4g} on the {arm} arm"


def _arms(values: Float) -> str:
    zero = np.where(np.abs(values) < ROUNDING, 0.0, values)
    said = ["none" if np.isinf(v) else "n/a" if np.isnan(v) else f"{v:.6g}" for v in zero]
    return " ".join(f"{one:>12}" for one in said)
