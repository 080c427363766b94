"""The conformance trials: the checks of every optimizer in one implementation."""

from collections.abc import Iterator, Mapping

from loptbench.conformance import CHECKS, Outcome, Subject, run_check, subjects
from loptbench.discovery import DiscoveredImplementation
from loptbench.results.schema.conformance import CheckResult, CheckStatus, ConformanceResult
from loptbench.results.schema.keys import TrialKind
from loptbench.results.schema.records import TrialStatus
from loptbench.storage.weights import Checkpoint
from loptbench.study.trials import Trial, TrialOutcome, bind, comparison_result, trial_key

CHECKS_BY_STEP = ("teacher-forced", "free-running")
"""The checks whose whole runs are stored step by step."""


def conformance_trials(
    entry: DiscoveredImplementation, checkpoints: Mapping[str, Checkpoint], seed: int
) -> Iterator[Trial]:
    """The conformance trials of one implementation.

    Args:
        entry: the implementation.
        checkpoints: the learned optimizers, by name.
        seed: the seed of the problems and of random optimizers.
    """
    for subject in subjects(entry.implementation, seed, checkpoints=checkpoints):
        case = subject.case
        key = trial_key(
            entry,
            TrialKind.CONFORMANCE,
            case.optimizer,
            case.spec,
            case.batch.task,
            seed,
            subject.dtype,
        )
        yield Trial(key, bind(_run_checks, subject), entry.implementation)


def check_result(outcome: Outcome) -> CheckResult:
    """A check's outcome as a store holds it; errors at each step for whole runs only."""
    n_steps = outcome.subject.case.n_steps
    by_step = outcome.check.name in CHECKS_BY_STEP
    return CheckResult(
        check=outcome.check.name,
        level=int(outcome.check.level),
        status=outcome.status,
        message=outcome.message,
        ratio=outcome.ratio,
        comparisons=tuple(
            comparison_result(comparison, by_step and len(comparison.error) >= n_steps)
            for comparison in outcome.comparisons
        ),
    )


def _run_checks(subject: Subject) -> TrialOutcome:
    outcomes = [run_check(check, subject) for check in CHECKS if check.scope in subject.scopes]
    failed = [outcome for outcome in outcomes if outcome.status is CheckStatus.FAILED]
    message = f"{failed[0].check.name}: {failed[0].message}" if failed else ""
    result = ConformanceResult(checks=tuple(check_result(outcome) for outcome in outcomes))
    return TrialStatus.FAILED if failed else TrialStatus.OK, message, result
