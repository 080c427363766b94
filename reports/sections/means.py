"""The mean of every evaluation beside the other implementations', in words."""

from loptbench.reports.page.elements import Item, Part, Prose
from loptbench.reports.page.numbers import number_text
from loptbench.reports.sections.agreement import FAILED
from loptbench.reports.sections.report import Report


def deviating_means(report: Report) -> list[Item]:
    """What is wrong with the means of evaluations; one item for each pair of implementations."""
    means = report.frame("means")
    return [
        Item(
            f"mean of {row.optimizer} ({row.role}) on {row.task} in {row.implementation} beside "
            f"{row.other}, {row.dtype}: {row.deviation}",
            status=FAILED,
        )
        for row in means[means.deviation != ""].itertuples()
    ]


def means_sentence(report: Report) -> list[Part]:
    """How many means agree; no part if there are none to compare."""
    means = report.frame("means")
    if means.empty:
        return []
    compared = means[means.error.notna()]
    worst = (compared.error / compared[["mean", "other_mean"]].abs().max(axis=1)).max()
    n_agree = int((means.deviation == "").sum())
    return [
        Prose(
            f"The mean of an evaluation beside another implementation's: {n_agree} of "
            f"{len(means)} agree within what their problems earn; the largest relative difference "
            f"is {number_text(worst, 2)}."
        )
    ]
