"""What the validations of a meta-training say: the best one, and whether there is a plateau."""

from collections.abc import Mapping, Sequence

import numpy as np

from loptbench.training.settings import MetaTraining

PLATEAU_WINDOW = 0.2
"""The part of the outer steps, up to the last, over which a plateau is looked for."""


def at_plateau(log: Sequence[Mapping[str, float]], config: MetaTraining) -> bool:
    """Whether the best validation has not improved enough over the last fifth of the outer steps.

    >>> rows = [{"step": k, "validation": v} for k, v in ((0, 1.0), (80, 0.5), (100, 0.499))]
    >>> at_plateau(rows, MetaTraining(plateau=0.005))
    True
    >>> at_plateau(rows, MetaTraining(plateau=0.001))
    False
    """
    step = log[-1]["step"]
    if config.plateau is None or step < max(config.min_outer_steps, 1):
        return False
    before = best_validated(log, (1 - PLATEAU_WINDOW) * step)
    return best_validated(log, step) > (1 - config.plateau) * before


def best_validated(log: Sequence[Mapping[str, float]], until: float) -> float:
    """The best meta-objective that was validated up to an outer step.

    >>> rows = [{"step": 0, "validation": 1.0}, {"step": 50, "validation": 0.5, "averaged": 0.4}]
    >>> best_validated(rows, 20), best_validated(rows, 50)
    (1.0, 0.4)
    """
    rows = [row for row in log if row["step"] <= until]
    return min(min(row["validation"], row.get("averaged", np.inf)) for row in rows)
