"""Every number of the report, in one long table for each kind."""

from loptbench.reports.page.elements import Data, Part
from loptbench.reports.sections.performance import against_best
from loptbench.reports.sections.report import Report, about

EVALUATIONS = ["task", "optimizer", "implementation", "role", "preset", "dtype", "n_problems"]
EVALUATIONS += ["n_diverged", "objective_mean", "objective_standard_error", "objective_median"]
EVALUATIONS += ["final_loss_mean", "final_loss_median"]
AGAINST = ["best", "ratio", "low", "high", "last_ratio"]
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
    evaluations = report.frame("evaluations")
    columns = [*EVALUATIONS]
    for family, suffix in (("tuned", ""), ("scheduled", "_scheduled")):
        best = against_best(report, ("checkpoint", "adapted"), family)[[*keys, *AGAINST]]
        if best.empty and family == "scheduled":
            continue  # none was tuned
        best = best.rename(columns={name: f"{name}{suffix}" for name in AGAINST})
        evaluations = evaluations.merge(best, how="left", on=keys)
        evaluations = evaluations.fillna({f"best{suffix}": ""})
        columns += [f"{name}{suffix}" for name in AGAINST]
    parts = [
        Data(
            "evaluations-table",
            "Evaluations",
            "Every optimizer on held-out problems; of learned and adapted ones the ratio of the "
            "mean meta-objective to that of the best tuned baseline, with its 95 % interval, and "
            "the ratio of their mean losses at the last step; the same to the best baseline with a "
            "learning-rate schedule, where some were tuned. On `quadratic` in float32, rounding "
            "alone makes a last loss of up to 1e-3.",
            evaluations[columns],
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
