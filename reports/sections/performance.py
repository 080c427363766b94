"""Learned optimizers against the tuned baselines; how both were made."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from loptbench.reports.page.elements import Data, Part, Table
from loptbench.reports.page.numbers import number_text
from loptbench.reports.sections.agreement import tasks_in_order
from loptbench.reports.sections.report import Report, about
from loptbench.results.frames import best_baselines

if TYPE_CHECKING:
    import pandas as pd

PLACE = ["implementation", "task"]
MEANS = ["objective_mean", "final_loss_mean"]


def against_best(
    report: Report, roles: Collection[str] = ("checkpoint",), family: str = "tuned"
) -> "pd.DataFrame":
    """Each learned optimizer beside the best baseline of its task and implementation.

    Args:
        report: the report.
        roles: the roles of the optimizers that are compared with the baselines.
        family: the role of the baselines: `tuned`, or `scheduled`.

    Returns: rows of the frame `evaluations` with the columns `best`, `objective_mean_of_best`,
        `final_loss_mean_of_best`, `last_ratio`, the ratio of the mean losses at the last step, and
        those of `ratios_to`. There is no `last_ratio` where rounding made a mean negative.
    """
    evaluations = report.frame("evaluations")
    best = best_baselines(evaluations, family)[[*PLACE, "optimizer", *MEANS]]
    best = best.rename(columns={"optimizer": "best", **{name: f"{name}_of_best" for name in MEANS}})
    compared = evaluations[evaluations.role.isin(roles)].merge(best, on=PLACE)
    last, of_best = compared.final_loss_mean, compared.final_loss_mean_of_best
    compared = compared.assign(last_ratio=(last / of_best).where((last > 0) & (of_best > 0)))
    ratios = ratios_to(report).rename(columns={"baseline": "best"})
    return compared.merge(ratios, on=[*PLACE, "optimizer", "best"])


OTHER_STATISTICS = {
    "ratio_of_trimmed_means": "ratio of trimmed means",
    "median_ratio": "median ratio",
    "probability_of_improvement": "better on",
}
"""The statistics beside the ratio of means, and their headings."""


def ratios_to(report: Report) -> "pd.DataFrame":
    """Each learned optimizer against each baseline, in one row.

    Returns: the columns `PLACE`, `optimizer`, `baseline`; `ratio`, `low`, `high` of the means; and
        each of `OTHER_STATISTICS`, with its interval as `…_low` and `…_high`.
    """
    frame = report.frame("ratios")
    keys = [*PLACE, "optimizer", "baseline"]
    means = frame[frame.statistic == "ratio_of_means"].rename(columns={"value": "ratio"})
    table = means[[*keys, "ratio", "low", "high"]]
    for name in OTHER_STATISTICS:
        own = frame[frame.statistic == name].rename(
            columns={"value": name, "low": f"{name}_low", "high": f"{name}_high"}
        )
        table = table.merge(own[[*keys, name, f"{name}_low", f"{name}_high"]], on=keys)
    return table


def checkpoints_table(report: Report) -> list[Part]:
    """Every learned optimizer: how it was meta-trained, and how it validated."""
    rows = report.frame("checkpoints").sort_values("optimizer", kind="stable")
    order = tasks_in_order(rows.task)
    rows = rows.sort_values("task", key=lambda tasks: tasks.map(order.index), kind="stable")
    if rows.empty:
        return []
    columns = ["optimizer", "task", "trained_by", "preset", "meta_seed", "n_units", "n_outer_steps"]
    columns += ["best_outer_step", "best_validation", "last_validation", "skipped_outer_steps"]
    return [
        Data(
            "zoo-table",
            "Every learned optimizer",
            "Learned optimizers, with the mean meta-objective on validation problems at the outer "
            "step whose weights were kept, and at the last one. All seeds are listed, also those "
            "that did badly.",
            rows.assign(weights=rows.weights.str[:12])[
                [*columns, "setbacks", "weights", "versions"]
            ],
            about=about("checkpoints"),
        )
    ]


def tuning_table(report: Report) -> list[Part]:
    """How each baseline was tuned, once for each task: implementations share the search."""
    import pandas as pd

    tuning = report.frame("tuning").dropna(subset="score")
    if tuning.empty:
        return []
    first = tuning.drop_duplicates(["task", "optimizer", "hyperparameter"])
    first = first.assign(
        hyperparameters=first.hyperparameter + " = " + first.value.map(number_text),
        place=first.hyperparameter + " at " + first.place.map("{:.0%}".format),
        on_edge=first.hyperparameter.where(first.on_edge.fillna(False).astype(bool)),
    )
    numbers = ["score", "n_draws", "n_complete", "n_diverged"]
    rows = first.groupby(["task", "optimizer"], sort=False).agg(
        {
            **dict.fromkeys(["hyperparameters", "place"], ", ".join),
            "on_edge": lambda names: ", ".join(names.dropna()),
            **dict.fromkeys(numbers, "first"),
        }
    )
    order = tasks_in_order(first.task)
    rows = rows.reset_index().sort_values(
        "task", key=lambda tasks: tasks.map(order.index), kind="stable", ignore_index=True
    )
    is_on_edge = rows.on_edge != ""
    rows["on_edge"] = rows.on_edge.where(is_on_edge, "none")
    columns = ["task", "optimizer", "hyperparameters", "score", "place", "on_edge"]
    return [
        Table(
            "tuning-table",
            "Random search, on problems that nothing else is measured on. The place of an optimum "
            "in the range of its hyperparameter is on a logarithmic scale: near 0 % or 100 % the "
            "range would be too narrow. Draws that are neither complete nor diverged were dropped "
            "when they could no longer be the best.",
            rows[[*columns, *numbers[1:]]],
            2,
            headings={
                "optimizer": "baseline",
                "score": "meta-objective when tuned",
                "place": "place in the range",
                "on_edge": "on an edge",
                "n_draws": "draws",
                "n_complete": "complete",
                "n_diverged": "diverged",
            },
            about=about("tuning"),
            status={"on_edge": pd.Series("failed", rows.index).where(is_on_edge, "")},
        )
    ]
