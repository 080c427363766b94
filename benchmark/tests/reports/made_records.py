"""Synthetic records, verdicts and plans for the tests of reports and comparisons."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from loptbench.comparison.stores import StoreComparison
from loptbench.results.schema.conformance import (
    CheckResult,
    CheckStatus,
    ComparisonResult,
    ConformanceResult,
)
from loptbench.results.schema.evaluation import (
    BaselineEvaluation,
    BaselinesResult,
    Evaluation,
    LearnedResult,
    MetaTraining,
)
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.mechanisms import MechanismsResult, NotApplicable
from loptbench.results.schema.plan import ImplementationState, Plan
from loptbench.results.schema.records import Provenance, TrialResult
from loptbench.results.schema.verdicts import Outcome, Scope, Verdict
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.tests.reports.made_mechanisms import (
    adaptation,
    clipping,
    convergence_point,
    momentum,
    schedule,
)
from loptbench.tests.reports.pages import Page

CHECKPOINT = OptimizerId(role=Role.CHECKPOINT, name="quadratic-quick-jax-0")
PROBLEMS = {"name": "quadratic", "n_steps": 201}
IN_A = [1.0, 2.0, 3.0, 4.0]
IN_B = [1.5, 2.0, 6.0, 3.5]
PROVENANCE = Provenance(
    loptbench="0.1.0",
    code="a" * 64,
    commit="c" * 40,
    dirty=False,
    python="3.11.7",
    platform="Linux",
    processor="a processor",
    cores=2,
    seconds=0.125,
)


def record(
    trial: TrialKind,
    optimizer: OptimizerId,
    result: TrialResult | None,
    message: str = "",
    **key: Any,
) -> Record:
    """A record of a trial; fields in `key` replace or extend its usual key."""
    usual: dict[str, Any] = {
        "trial": trial,
        "implementation": "jax",
        "source": "package.module:Implementation",
        "optimizer": optimizer,
        "task": "quadratic",
        "problems": PROBLEMS,
        "seed": 0,
        "dtype": "float64",
        "device": "cpu",
        "code": "a" * 64,
        "versions": {"numpy": "2.4.6"},
        "weights": "b" * 64,
    }
    return Record(
        key=TrialKey(**usual | key),
        status=TrialStatus.OK,
        message=message,
        result=result,
        provenance=PROVENANCE,
    )


def changed(record: Record, **values: Any) -> Record:
    """The record with other values of some fields."""
    return record.model_copy(update=values)


def evaluated(objective: Iterable[float | None] = IN_A) -> Evaluation:
    """An evaluation with these meta-objectives; None where a run diverged."""
    values = np.array([np.inf if value is None else value for value in objective])
    with np.errstate(invalid="ignore"):
        return Evaluation(
            n_problems=max(1, values.size),
            n_diverged=int(np.sum(np.isinf(values))),
            objective=values,
            objective_mean=values.mean() if values.size else np.nan,
            objective_standard_error=np.nan,
            objective_median=np.median(values) if values.size else np.nan,
            final_loss_mean=0.5,
            final_loss_median=0.25,
            n_curve_problems=max(1, values.size),
            curve_mean=np.array([1.0, 0.5, 0.25]),
            curve_standard_error=np.zeros(3),
        )


def evaluation(
    objective: Iterable[float | None] = IN_A, optimizer: OptimizerId = CHECKPOINT, **key: Any
) -> Record:
    """An evaluation of a learned optimizer."""
    about = MetaTraining(
        implementation="jax", configuration={"preset": "quick", "seed": 0, "task": "quadratic"}
    )
    result = LearnedResult(learned=evaluated(objective), ratios={}, meta_training=about)
    return record(TrialKind.EVALUATION, optimizer, result, **key)


def baselines(objective: Iterable[float | None] = IN_A) -> Record:
    """An evaluation of tuned SGD and of momentum as theory has it."""
    evaluation = BaselineEvaluation(**dict(evaluated(objective)), hyperparameters={"alpha": 0.1})
    result = BaselinesResult(baselines=dict.fromkeys(["sgd", "theoretical momentum"], evaluation))
    optimizer = OptimizerId(role=Role.BASELINES, name="baselines")
    return record(TrialKind.EVALUATION, optimizer, result, weights=None)


def conformance(status: str = "passed", ratio: float | None = 0.25, **key: Any) -> Record:
    """A conformance trial of two checks; `status` and `ratio` are those of the second."""
    checks = (
        CheckResult(
            check="one-step",
            level=1,
            status=CheckStatus.PASSED,
            ratio=0.5,
            message="",
            comparisons=(),
        ),
        CheckResult(
            check="linearize",
            level=3,
            status=CheckStatus(status),
            ratio=np.inf if ratio is None else ratio,
            message="A is off",
            comparisons=(
                ComparisonResult(
                    quantity="A",
                    ratio=np.inf if ratio is None else ratio,
                    error=1.0,
                    bound=1.0,
                    deviation="",
                ),
            ),
        ),
    )
    optimizer = OptimizerId(role=Role.CASE, name="adam")
    trial = record(TrialKind.CONFORMANCE, optimizer, ConformanceResult(checks=checks), **key)
    return changed(trial, status=TrialStatus.FAILED if status == "failed" else TrialStatus.OK)


def mechanisms(index: float = 0.875, **probes: Any) -> Record:
    """A mechanisms trial; `probes` replaces results, or gives the reason why there is none."""
    measured: dict[str, Any] = {
        "convergence_point": convergence_point(),
        "momentum": momentum(index),
        "clipping": clipping(),
        "schedule": schedule(3),
        "adaptation": adaptation(),
    }
    for name, probe in probes.items():
        measured[name] = NotApplicable(not_applicable=probe) if isinstance(probe, str) else probe
    return record(TrialKind.MECHANISMS, CHECKPOINT, MechanismsResult(**measured))


def verdict(outcome: str = "reproduced", **values: Any) -> Verdict:
    """A verdict on the seeds of a preset; on one checkpoint if `values` names it."""
    usual: dict[str, Any] = {
        "claim": "momentum",
        "task": "quadratic",
        "scope": Scope.ALL_SEEDS,
        "preset": "quick",
        "implementations": ("jax",),
        "outcome": Outcome(outcome),
        "value": 0.75,
        "low": 0.625,
        "high": 0.8125,
    }
    if "checkpoint" in values:
        usual |= {"scope": Scope.CHECKPOINT, "preset": "", "implementations": ()}
    return Verdict(**usual | values)


def put_plan(store: Store, records: Iterable[Record], *absent: ImplementationState) -> None:
    """Write a store's plan of these records."""
    jax = ImplementationState(name="jax", availability="installed", reason="")
    trials = tuple(record.key for record in records)
    store.put_plan(Plan(trials=trials, implementations=(jax, *absent)))


def everything() -> list[Record]:
    """One record of each kind."""
    return [evaluation(), baselines(), conformance(), mechanisms()]


def objective(comparison: StoreComparison) -> Any:
    """The only comparison of meta-objectives: a row of the frame."""
    (row,) = comparison.objectives.itertuples()
    return row


def page_of(comparison: StoreComparison) -> Page:
    """The page of two stores."""
    from loptbench.reports.page.comparison import render  # not every test has the extra it needs

    return Page(render(comparison))


def change(
    store: Store,
    trial: TrialKind,
    changed: Callable[[Record], Record | None],
    role: Role = Role.CHECKPOINT,
) -> None:
    """Replace the record of an optimizer on `quadratic` by a changed one, or by none.

    The record is selected by its key, because the order of records depends on the code's hash.
    """
    (record,) = (
        r
        for r in store.records()[0]
        if (r.key.trial, r.key.task, r.key.optimizer.role) == (trial, "quadratic", role)
    )
    (store.records_folder / f"{record.name}.json").unlink()
    new = changed(record)
    if new is not None:
        store.put(new)
