"""The statistics that claims are about: one number of one checkpoint each, by name.

The mechanisms are defined in `loptbench.mechanisms`. A statistic has a name and parameters, such as
`adaptation` with `summary = "ratio"` and `states = "exact"`; the modules of this package say what
they mean.

>>> STATISTICS["adaptation"].parameters["states"]
('adapted', 'exact')
"""

from loptbench.claims.statistics import (
    adaptation,
    clipping,
    convergence,
    edition1,
    momentum,
    performance,
    schedule,
)
from loptbench.claims.statistics.estimate import Answer, Estimate, Family, Later, Statistic

__all__ = ["STATISTICS", "Answer", "Estimate", "Family", "Later", "Statistic"]

STATISTICS: dict[str, Family] = {
    **performance.FAMILIES,
    **convergence.FAMILIES,
    **momentum.FAMILIES,
    **clipping.FAMILIES,
    **schedule.FAMILIES,
    **adaptation.FAMILIES,
    **edition1.FAMILIES,
}
"""Every statistic, by the name that claims use."""
