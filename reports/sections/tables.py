"""Every number of the report, in one long table for each kind."""

from loptbench.reports.page.elements import Data, Part
from loptbench.reports.sections.performance import against_best
from loptbench.reports.sections.report import Report, about

EVALUATIONS = ["task", "optimizer", "implementation", "role", "preset", "dtype", "n_problems"]
EVALUATIONS += ["n_diverged", "objective_mean", "objective_standard_error", "objective_median"]
EVALUATIONS += ["final_loss_mean", "final_loss_median", "best", "ratio", "low", "high"]
CHECKS = ["implementation", "level", "check", "task", "optimizer", "dtype", "status", "ratio"]
CHECKS += ["message"]
MECHANISMS = ["task", "optimizer", "implementation", "role", "preset", "probe", "quantity"]
MECHANISMS += ["horizon", "arm", "value", "reason"]
SEEDS = ["claim", "task", "checkpoint", "scope", "preset", "kind", "outcome", "value", "low"]
SEEDS += ["high", "at_least", "at_most", "robustness", "n_seeds", "n_reproduced", "n_against"]
SEEDS += ["reason"]


def tables(report: Report) -> list[Part]:
    """The tables of evaluations, verdicts on seeds, mechanisms and checks."""
    keys = ["implementation", "task", "optimizer"]
    best = against_best(report, ("checkpoint", "adapted"))[[*keys, "best", "ratio", "low", "high"]]
    evaluations = report.frame("evaluations").merge(best, how="left", on=keys)
    parts = [
        Data(
            "evaluations-table",
            "Evaluations",
            "Every optimizer on held-out problems; of learned and adapted ones the ratio of the "
            "mean meta-objective to that of the best tuned baseline, with its 95 % interval.",
            evaluations.fillna({"best": ""})[EVALUATIONS],
            2,
            about("evaluations"),
        ),
        Data(
            "seeds-table",
            "Seeds and verdicts",
            "The statistic of every claim on every seed, and over seeds, with the verdict.",
            report.verdicts[SEEDS],
            2,
            about("verdicts"),
        ),
        Data(
            "mechanisms-table",
            "Mechanisms",
            "Every number that the probes measure, and why one is missing.",
            report.frame("mechanisms")[MECHANISMS],
            2,
            about("mechanisms"),
        ),
        Data(
            "checks-table",
            "Checks",
            "Every check of agreement with the reference, with its largest error over its bound.",
            report.checks[CHECKS],
            3,
            about("checks"),
        ),
    ]
    return [part for part in parts if len(part.frame)]
