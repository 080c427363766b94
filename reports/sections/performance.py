"""Learned optimizers against the tuned baselines, task by task; how both were made."""

from typing import TYPE_CHECKING

from loptbench.reports.page.elements import Folded, Part, Section, Table
from loptbench.reports.page.numbers import interval_text, number_text
from loptbench.reports.sections import figures
from loptbench.reports.sections.agreement import tasks_in_order
from loptbench.reports.sections.report import Report, about
from loptbench.results.frames import best_baselines

if TYPE_CHECKING:
    import pandas as pd

PLACE = ["implementation", "task"]
MEANS = ["objective_mean", "final_loss_mean"]


def against_best(report: Report) -> "pd.DataFrame":
    """Each learned optimizer beside the best tuned baseline of its task and implementation.

    Returns: rows of the frame `evaluations` with the columns `best`, `objective_mean_of_best`,
        `final_loss_mean_of_best`, and those of `ratios_to`.
    """
    evaluations = report.frame("evaluations")
    best = best_baselines(evaluations)[[*PLACE, "optimizer", *MEANS]]
    best = best.rename(columns={"optimizer": "best", **{name: f"{name}_of_best" for name in MEANS}})
    learned = evaluations[evaluations.role == "checkpoint"].merge(best, on=PLACE)
    ratios = ratios_to(report).rename(columns={"baseline": "best"})
    return learned.merge(ratios, on=[*PLACE, "optimizer", "best"])


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


def better_counts(report: Report) -> list[str]:
    """How many learned optimizers beat the best tuned baseline, for each task."""
    rows = against_best(report)
    better = rows[rows.high < 1].groupby("task").optimizer.nunique()
    total = rows.groupby("task").optimizer.nunique()
    return [
        f"{better.get(task, 0)} of {total[task]} on {task}" for task in tasks_in_order(rows.task)
    ]


def task_sections(report: Report) -> list[Section]:
    """A section for each task that anything was evaluated on."""
    sections = []
    for task in tasks_in_order(report.frame("evaluations").task):
        parts = [
            *_best_table(report, task),
            *figures.curves(report, task),
            *_numbers(report, task),
            *figures.meta_training(report, task),
        ]
        sections.append(Section(f"task-{task}", task, parts))
    return sections


def _best_table(report: Report, task: str) -> list[Part]:
    import numpy as np

    rows = against_best(report)
    rows = rows[rows.task == task]
    if rows.empty:
        return []
    outcome = np.select([rows.high < 1, rows.low > 1], ["better", "worse"], "open").tolist()
    styles = {"better": "passed", "open": "inconclusive", "worse": ""}
    columns = ["optimizer", "implementation", "n_problems", "best", "objective_mean"]
    columns += ["objective_mean_of_best", "ratio", "low", "high", "outcome", *OTHER_STATISTICS]
    intervals = {
        name: [
            interval_text(low, high) if low == low and high == high else ""
            for low, high in zip(rows[f"{name}_low"], rows[f"{name}_high"], strict=True)
        ]
        for name in OTHER_STATISTICS
    }
    return [
        Table(
            f"best-{task}",
            "Each learned optimizer beside the best tuned baseline: mean meta-objective (mean loss "
            "of the run over its first loss) on held-out problems, and the ratio of the two with "
            "its paired 95 % bootstrap interval over problems. Below 1 the learned optimizer is "
            "better. Beside it, without a quarter of the problems at either end of each mean, the "
            "median over problems of their ratio, and the share of problems on which the learned "
            "one is better, with their intervals in a note. It was meta-trained for this mean, not "
            "for the loss at the end of a run, which the last columns show.",
            rows.assign(outcome=outcome)[[*columns, "final_loss_mean", "final_loss_mean_of_best"]],
            headings={
                "optimizer": "learned optimizer",
                "implementation": "measured in",
                "n_problems": "problems",
                "best": "best baseline",
                "objective_mean": "meta-objective, learned",
                "objective_mean_of_best": "meta-objective, baseline",
                "low": "95 % from",
                "high": "95 % to",
                "outcome": "the learned one is",
                **OTHER_STATISTICS,
                "final_loss_mean": "final loss, learned",
                "final_loss_mean_of_best": "final loss, baseline",
            },
            about=about("evaluations"),
            status={"outcome": [styles[name] for name in outcome]},
            note=intervals,
        )
    ]


def _numbers(report: Report, task: str) -> list[Part]:
    """Every optimizer on the held-out problems, and how the first learned one compares with it."""
    evaluations = report.frame("evaluations")
    rows = evaluations[evaluations.task == task]
    learned = rows[rows.role == "checkpoint"].drop_duplicates("implementation")
    ratios = ratios_to(report)[["implementation", "optimizer", "baseline", "ratio", "low", "high"]]
    first = ratios.merge(learned[["implementation", "optimizer"]]).rename(
        columns={"optimizer": "first", "baseline": "optimizer"}
    )
    hyperparameters = hyperparameter_texts(report)
    rows = rows.merge(first, how="left", on=["implementation", "optimizer"]).merge(
        hyperparameters, how="left", on=[*PLACE, "optimizer"]
    )
    notes = [
        ""
        if row.first != row.first
        else f"{interval_text(row.low, row.high)}; of {row.first}"
        if row.low == row.low
        else f"no interval: a run diverged; of {row.first}"
        for row in rows.itertuples()
    ]
    rows = rows.assign(
        ratio=rows.ratio.where(rows.low.notna()), hyperparameters=rows.hyperparameters.fillna("")
    )
    columns = ["optimizer", "implementation", "n_problems", "n_diverged", "objective_mean"]
    columns += ["objective_standard_error", "objective_median", "final_loss_mean"]
    table = Table(
        f"numbers-{task}",
        "Every optimizer on the held-out problems. The ratio is the meta-objective of the first "
        "learned optimizer over that of this one, with its paired 95 % bootstrap interval.",
        rows[[*columns, "final_loss_median", "ratio", "hyperparameters"]],
        headings={
            "n_problems": "problems",
            "n_diverged": "diverged",
            "objective_mean": "mean meta-objective",
            "objective_standard_error": "standard error",
            "objective_median": "median",
            "final_loss_mean": "mean final loss",
            "final_loss_median": "median final loss",
            "ratio": "ratio to it",
        },
        about=about("evaluations"),
        status={"n_diverged": ["diverged" if n else "" for n in rows.n_diverged]},
        note={"ratio": notes},
    )
    return [Folded("Every optimizer in numbers", [table])]


def hyperparameter_texts(report: Report) -> "pd.DataFrame":
    """The hyperparameters of each baseline as a text."""
    tuning = report.frame("tuning")
    texts = tuning.hyperparameter + " = " + tuning.value.map(number_text)
    grouped = tuning.assign(hyperparameters=texts).groupby([*PLACE, "optimizer"], sort=False)
    return grouped.hyperparameters.agg(", ".join).reset_index()


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
        Table(
            "zoo-table",
            "Learned optimizers, with the mean meta-objective on validation problems at the outer "
            "step whose weights were kept, and at the last one. All seeds are listed, also those "
            "that did badly.",
            rows.assign(weights=rows.weights.str[:12])[
                [*columns, "setbacks", "weights", "versions"]
            ],
            headings={
                "optimizer": "name",
                "trained_by": "meta-trained in",
                "meta_seed": "seed",
                "n_units": "units",
                "n_outer_steps": "outer steps",
                "best_outer_step": "kept from step",
                "best_validation": "validation",
                "last_validation": "validation at the last step",
                "skipped_outer_steps": "steps skipped",
                "weights": "weights (SHA-256)",
            },
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
