"""`composed`: an optimizer with every mechanism, each known in closed form.

It runs K heavy balls side by side (aggregated momentum, Lucas et al. 2019), with a hard clip and a
learning-rate schedule. Parameters `alpha`, `betas` (K,), `clip`, `start`, `decay`; n_state = K + 1,
h = (m_1, …, m_K, ρ), ρ_0 = start:

    ĝ    = min(max(g, −clip), clip)
    m_i' = betas_i · m_i + ĝ
    Δ    = −alpha · ρ · (1/K) Σ m_i'
    ρ'   = 1 + decay · (ρ − 1)
"""

from collections.abc import Sequence

import numpy as np

from loptbench.optimizers.kinds import KINDS, Kind
from loptbench.optimizers.spec import OptimizerSpec


def _shapes(n_state: int) -> dict[str, tuple[int, ...]]:
    return {"betas": (n_state - 1,)} | dict.fromkeys(("alpha", "clip", "start", "decay"), ())


KINDS["composed"] = Kind(_shapes, lambda parameters: int(parameters["betas"].size) + 1)

NO_CLIP = 1e30
"""A clip that no gradient reaches, finite in float32."""


def composed(
    alpha: float,
    betas: Sequence[float] = (0.0,),
    clip: float = NO_CLIP,
    start: float = 1.0,
    decay: float = 0.0,
) -> OptimizerSpec:
    """Aggregated momentum, a hard clip and a schedule in one; by default there is none of them.

    >>> composed(0.1, betas=(0.5, 0.9)).n_state
    3
    """
    values = {"alpha": alpha, "betas": betas, "clip": clip, "start": start, "decay": decay}
    return OptimizerSpec("composed", {k: np.asarray(v, np.float64) for k, v in values.items()})
