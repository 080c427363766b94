"""The readings of each claim: those of the verdicts that the report shows first, as tables."""

from typing import TYPE_CHECKING

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Table
from loptbench.reports.sections.report import Report, about
from loptbench.reports.sections.verdicts import standing

if TYPE_CHECKING:
    import pandas as pd

VERDICT = ["edition", "kind", "claim", "task", "scope", "preset", "implementations"]
"""The columns that say which verdict a reading belongs to."""


def standing_readings(report: Report) -> "pd.DataFrame":
    """The readings of one verdict over all seeds for each kind, claim and task.

    Returns: rows of the frame `specifications` with the verdict's `robustness`, in the order of the
        claims.
    """
    readings = report.frame("specifications")
    order = {claim.name: i for i, claim in enumerate(report.claims)}
    own = readings.merge(standing(report.verdicts)[[*VERDICT, "robustness"]], on=VERDICT)
    return own.sort_values("claim", key=lambda names: names.map(order), kind="stable")


def readings_table(claim: Claim, readings: "pd.DataFrame") -> Table:
    """What every reading of one claim says, on each task.

    Args:
        claim: the claim.
        readings: its rows of `standing_readings`.
    """
    columns = ["task", "kind", "reading", "threshold", "outcome", "value", "low", "high", "agrees"]
    primary = readings.is_primary.astype(bool)
    agrees = readings.agrees.map({True: "yes", False: "no"}).mask(primary, "the primary")
    return Table(
        f"readings-of-{claim.name}",
        f"{claim.title}: what every reading says, over seeds. The primary reading, which the "
        "verdict rests on, comes first on each task.",
        readings.assign(agrees=agrees)[columns],
        3,
        headings={
            "outcome": "it would say",
            "value": "mean",
            "low": "95 % from",
            "high": "95 % to",
            "agrees": "agrees with the verdict",
        },
        about=about("specifications"),
        status={"outcome": readings.outcome},
        note={"outcome": readings.reason},
    )
