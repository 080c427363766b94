"""The readings of each claim: those of the verdicts over all seeds."""

from typing import TYPE_CHECKING

from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import standing

if TYPE_CHECKING:
    import pandas as pd

VERDICT = ["edition", "kind", "claim", "task", "scope", "preset", "implementations"]
"""The columns that say which verdict a reading belongs to."""


def standing_readings(report: Report) -> "pd.DataFrame":
    """The readings of the verdict over all seeds on each kind, claim, task and size.

    Returns: rows of the frame `specifications` with the verdict's `robustness`, in the order of the
        claims.
    """
    readings = report.frame("specifications")
    order = {claim.name: i for i, claim in enumerate(report.claims)}
    own = readings.merge(standing(report.verdicts)[[*VERDICT, "robustness"]], on=VERDICT)
    return own.sort_values("claim", key=lambda names: names.map(order), kind="stable")
