"""The statistic of momentum, in units of the β of gradient descent with momentum.

With the impulse response κ at the convergence point, as far as it is stored (200 steps), each
measure is β for gradient descent with momentum β:

    index       1 − κ[0] / Σκ
    mode        |λ| of the mode that contributes most to Σκ
    lag         L / (1 + L) with the mean lag L = Σ t κ[t] / Σ κ[t]
    absolute    Σ |κ[t]|, t ≥ 1, over Σ |κ[t]|
"""

from collections.abc import Callable

import numpy as np

from loptbench.claims.evidence import Evidence
from loptbench.claims.statistics.estimate import Answer, Estimate, Family, Statistic, not_applicable
from loptbench.optimizers import optimal_momentum
from loptbench.tasks import Quadratic

OPTIMAL_BETA = float(optimal_momentum(*Quadratic().eigenvalues).parameters["beta"])
"""The momentum of the heavy-ball method that converges fastest on the task `quadratic`."""


def _index(evidence: Evidence) -> float | str:
    (value,), reason = evidence.of_probe("momentum", "index")
    return reason or float(value)


def _mode(evidence: Evidence) -> float | str:
    modes = evidence.frames["modes"]
    modes = modes[np.isfinite(modes["contribution"].to_numpy())]
    if modes.empty:
        return "no mode has a known contribution"
    mode = modes.loc[modes["contribution"].idxmax()]
    if mode["contribution"] == 0.0:
        return 0.0  # past gradients have no part in the update
    return float(np.hypot(mode["eigenvalue_real"], mode["eigenvalue_imag"]))


def _lag(evidence: Evidence) -> float | str:
    response = evidence.frames["impulse_responses"]["response"].to_numpy(np.float64)
    total = response.sum()
    lag = np.arange(len(response)) @ response / total if total else np.nan
    if not lag > -1.0:
        return "the impulse response has no mean lag"
    return float(lag / (1.0 + lag))


def _absolute(evidence: Evidence) -> float | str:
    response = np.abs(evidence.frames["impulse_responses"]["response"].to_numpy(np.float64))
    total = response.sum()
    return float(response[1:].sum() / total) if total > 0 else "the impulse response is zero"


MEASURES: dict[str, tuple[str, Callable[[Evidence], float | str]]] = {
    "index": ("momentum index", _index),
    "mode": ("eigenvalue of the leading mode", _mode),
    "lag": ("L / (1 + L), L the mean lag", _lag),
    "absolute": ("share of the absolute response", _absolute),
}
"""What each measure is called; its value, or why there is none."""

SUBTRACTED = {"nothing": "", "theory": " − optimal β", "tuning": " − tuned β"}


def tuned_beta(evidence: Evidence) -> float | None:
    """The β of the tuned momentum baseline; None if it has not been tuned."""
    rows = evidence.frames["tuning"]
    tuned = rows[(rows["baseline"] == "momentum") & (rows["hyperparameter"] == "beta")]["value"]
    return None if tuned.empty else float(tuned.iloc[0])


def _momentum(measure: str, minus: str) -> Statistic:
    words, measured = MEASURES[measure]

    def estimate(evidence: Evidence) -> Answer:
        _, reason = evidence.of_probe("momentum", "index")
        if reason:
            return not_applicable(reason)
        value = measured(evidence)
        if isinstance(value, str):
            return not_applicable(value)
        subtracted = {"nothing": 0.0, "theory": OPTIMAL_BETA}.get(minus, tuned_beta(evidence))
        if subtracted is None:
            return not_applicable("momentum has not been tuned")
        return Estimate(value - subtracted)

    return Statistic(words + SUBTRACTED[minus], estimate)


FAMILIES = {
    "momentum": Family(_momentum, {"measure": tuple(MEASURES), "minus": tuple(SUBTRACTED)}),
}
