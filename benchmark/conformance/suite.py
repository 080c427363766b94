"""The checks, cheapest first, and how they run."""

import dataclasses
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.agreement.comparison import Comparison
from loptbench.conformance import (
    derivative_checks,
    drive_checks,
    full_size,
    new_process,
    outer_checks,
    regime_checks,
    run_checks,
    step_checks,
    sweep_checks,
    training_size_checks,
)
from loptbench.conformance.cases import cases, default_kinds, has_one_unit, main_architecture
from loptbench.conformance.subject import Scope, Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.conformance.watching import watched
from loptbench.errors import ContractError
from loptbench.global_state import GlobalStateError, unchanged
from loptbench.optimizers import ARCHITECTURES
from loptbench.protocol import Level
from loptbench.results.schema.conformance import CheckStatus
from loptbench.storage.weights import Checkpoint


@dataclasses.dataclass(frozen=True)
class Check:
    """One property that an implementation must have.

    Attributes:
        name: its name on the command line.
        level: the level of the protocol that it belongs to.
        run: makes the comparisons; raises if the property does not hold or does not apply.
        scope: what the check depends on.
        needs_level: whether it needs the level's own methods. Checks of level 2 that do not need
            them run the harness's loop.
    """

    name: str
    level: Level
    run: Callable[[Subject], Iterable[Comparison]]
    scope: Scope = Scope.RUN
    needs_level: bool = True

    @property
    def means(self) -> str:
        """The property in one sentence."""
        return (self.run.__doc__ or "").strip()


REQUIRED_METHODS = {
    Level.UNROLL: ("unroll",),
    Level.LINEARIZE: ("linearize on the optimizer",),
    Level.META_GRADIENT: ("meta_gradient",),
    Level.META_TRAINING: ("outer_init", "outer_step"),
}

CHECKS: tuple[Check, ...] = (
    Check("initial-state", Level.STEP, step_checks.initial_state, Scope.OPTIMIZER),
    Check("one-step", Level.STEP, step_checks.one_step, Scope.OPTIMIZER),
    Check("not-a-number", Level.STEP, step_checks.not_a_number, Scope.OPTIMIZER),
    Check("step-purity", Level.STEP, step_checks.step_purity, Scope.OPTIMIZER),
    Check("extreme-gradients", Level.STEP, regime_checks.extreme_gradients, Scope.OPTIMIZER),
    Check("equivariance", Level.STEP, step_checks.equivariance, Scope.OPTIMIZER),
    Check("loss-and-gradient", Level.STEP, step_checks.loss_and_gradient, Scope.TASK),
    Check("full-size-evaluation", Level.STEP, full_size.full_size_evaluation, Scope.TASK),
    Check("teacher-forced", Level.STEP, step_checks.teacher_forced),
    Check("free-running", Level.UNROLL, run_checks.free_running, needs_level=False),
    Check("native-unroll", Level.UNROLL, run_checks.native_unroll),
    Check("unroll-losses", Level.UNROLL, run_checks.unroll_losses, needs_level=False),
    Check("divergence", Level.UNROLL, regime_checks.divergence, needs_level=False),
    Check("sweep", Level.UNROLL, sweep_checks.sweep, needs_level=False),
    Check("drive", Level.UNROLL, drive_checks.drive, Scope.OPTIMIZER, needs_level=False),
    Check("unroll-purity", Level.UNROLL, run_checks.unroll_purity, needs_level=False),
    Check("linearize", Level.LINEARIZE, derivative_checks.linearization, Scope.OPTIMIZER),
    Check(
        "linearize-differences",
        Level.LINEARIZE,
        derivative_checks.linearization_by_differences,
        Scope.OPTIMIZER,
    ),
    Check("gain", Level.LINEARIZE, derivative_checks.gain, Scope.OPTIMIZER, needs_level=False),
    Check("meta-gradient", Level.META_GRADIENT, derivative_checks.meta_gradient),
    Check(
        "meta-gradient-differences",
        Level.META_GRADIENT,
        derivative_checks.meta_gradient_by_differences,
    ),
    Check("meta-gradient-purity", Level.META_GRADIENT, derivative_checks.meta_gradient_purity),
    Check("outer-steps", Level.META_TRAINING, outer_checks.outer_steps, Scope.TRAINING),
    Check("outer-clipping", Level.META_TRAINING, outer_checks.outer_clipping, Scope.IMPLEMENTATION),
    Check(
        "outer-side-by-side",
        Level.META_TRAINING,
        outer_checks.outer_side_by_side,
        Scope.TRAINING,
    ),
    Check("outer-purity", Level.META_TRAINING, outer_checks.outer_purity, Scope.TRAINING),
    Check("outer-resuming", Level.META_TRAINING, outer_checks.outer_resuming, Scope.TRAINING),
    Check("full-size-step", Level.STEP, full_size.full_size_step, Scope.OPTIMIZER),
    Check("every-kind", Level.UNROLL, regime_checks.every_kind, Scope.TASK),
    Check("full-size-run", Level.UNROLL, full_size.full_size_run, Scope.TASK, needs_level=False),
    Check(
        "full-size-losses", Level.UNROLL, full_size.full_size_losses, Scope.TASK, needs_level=False
    ),
    Check(
        "full-size-meta-gradient",
        Level.META_GRADIENT,
        full_size.full_size_meta_gradient,
        Scope.TASK,
    ),
    Check(
        "outer-sizes",
        Level.META_TRAINING,
        training_size_checks.outer_sizes,
        Scope.IMPLEMENTATION,
    ),
    Check(
        "outer-many-steps",
        Level.META_TRAINING,
        training_size_checks.outer_many_steps,
        Scope.IMPLEMENTATION,
    ),
    Check(
        "new-process",
        Level.UNROLL,
        new_process.new_process,
        Scope.IMPLEMENTATION,
        needs_level=False,
    ),
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a check.

    Attributes:
        check: the check.
        subject: the subject that it ran on.
        status: how it ended.
        message: why it failed or was skipped; empty if it passed.
        comparisons: every quantity compared, with errors and bounds at each step.
    """

    check: Check
    subject: Subject
    status: CheckStatus
    message: str
    comparisons: list[Comparison]

    @property
    def ratio(self) -> float:
        """The largest observed error over its bound."""
        return max((comparison.ratio for comparison in self.comparisons), default=0.0)


def run_check(check: Check, subject: Subject) -> Outcome:
    """Run a check. Whatever the implementation does or raises, this returns an outcome."""
    comparisons: list[Comparison] = []
    # Outer steps draw problems of their own.
    place = subject.describe("meta_train" if check.level is Level.META_TRAINING else "evaluate")
    try:
        if check.needs_level and not subject.offers(check.level):
            _require_all_methods(subject, check.level)
        on_task = check.scope is not Scope.OPTIMIZER
        if on_task and subject.case.batch.task not in subject.implementation.tasks:
            raise CheckSkippedError("the implementation declares no tasks of its own")
        with np.errstate(), unchanged("the implementation"):
            _collect(check, subject, comparisons)
        require_no_deviation(comparisons)
    except CheckSkippedError as skipped:
        return Outcome(check, subject, CheckStatus.SKIPPED, str(skipped), comparisons)
    except GlobalStateError as changed:
        message = f"{_changing_call(check, subject) or changed}"
        if deviation := _cause(comparisons, ""):
            message = f"{message}; {deviation}"
        return Outcome(check, subject, CheckStatus.FAILED, f"{message} [{place}]", comparisons)
    except (CheckFailedError, ContractError) as failed:
        message = f"{_cause(comparisons, str(failed))} [{place}]"
        return Outcome(check, subject, CheckStatus.FAILED, message, comparisons)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # includes a Rust panic and sys.exit
        raised = f"raised {_location(error)}"
        message = f"{_cause(comparisons, raised)} [{place}]"
        return Outcome(check, subject, CheckStatus.FAILED, message, comparisons)
    return Outcome(check, subject, CheckStatus.PASSED, "", comparisons)


def _collect(check: Check, subject: Subject, comparisons: list[Comparison]) -> None:
    """Append a check's comparisons as they come: those before an exception are kept.

    Raises:
        ContractError: the check failed. It may be a consequence of changed global state, which
            `unchanged` then names instead.
    """
    try:
        for comparison in check.run(subject):
            comparisons.append(comparison)
    except CheckFailedError as failed:
        raise ContractError(str(failed)) from failed


def require_no_deviation(comparisons: Collection[Comparison]) -> None:
    """Raise the earliest deviation, which is nearest to the cause; later ones may follow from it.

    Raises:
        CheckFailedError: a bound does not hold.
    """
    exceeded = [comparison for comparison in comparisons if not comparison.ok]
    if exceeded:
        raise CheckFailedError(min(exceeded, key=lambda c: c.first_exceeded).deviation)


def _cause(comparisons: Collection[Comparison], end: str) -> str:
    """A deviation that came before the end of a check, then that end: it may follow from it."""
    try:
        require_no_deviation(comparisons)
    except CheckFailedError as earlier:
        return str(earlier) if end in {"", str(earlier)} else f"{earlier}; then {end}"
    return end


def _changing_call(check: Check, subject: Subject) -> str:
    """Run a check again to find the call that changes global state; empty if none does now."""
    watching = dataclasses.replace(subject, implementation=watched(subject.implementation))
    try:
        with np.errstate(), unchanged("the implementation"):
            list(check.run(watching))
    except GlobalStateError as named:
        return str(named)
    except Exception:
        return ""
    return ""


def _require_all_methods(subject: Subject, level: Level) -> None:
    """Skip a level that is not offered, and fail one of which a method is missing."""
    methods = REQUIRED_METHODS[level]
    offered = [m for m in methods if callable(getattr(subject.implementation, m, None))]
    if offered and level is not Level.LINEARIZE:
        missing = [name for name in methods if name not in offered]
        raise CheckFailedError(
            f"level {level} is offered by half: {', '.join(offered)} without {', '.join(missing)}"
        )
    raise CheckSkippedError(f"level {level} is not offered: no method {' or '.join(methods)}")


def _location(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(its message cannot be printed)"
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno}, {last.name})"


def subjects(
    implementation: Any,
    seed: int,
    dtypes: Collection[str] | None = None,
    checkpoints: Mapping[str, Checkpoint] | None = None,
    devices: Collection[str] = ("cpu",),
    combinations: Collection[tuple[str, str]] | None = None,
) -> list[Subject]:
    """Every kind on the first task that the implementation declares, and one kind on every task.

    The code of an optimizer and that of a task meet only in the loop of a run. Not every pair is
    checked, therefore: on further tasks only one learned optimizer is, or the first kind where none
    is offered. Checks of an optimizer or a task alone run on its first subject in each dtype.
    Of the dtypes, the finest alone has learned ones of one unit, and meta-training of all kinds.
    Only the first architecture has outer steps, and whole runs of one unit or in a coarse dtype.

    Args:
        implementation: the implementation under test.
        seed: seed of the problems and of the random optimizers.
        dtypes: dtypes to use, of those that it declares; all if None.
        checkpoints: learned optimizers by name; one of `quadratic` if None.
        devices: devices to use, of those that it declares.
        combinations: pairs of a kind and a task; those above if None.
    """
    tasks = tuple(implementation.tasks) or ("quadratic",)
    kinds = default_kinds(implementation)
    chosen = [(kind, tasks[0]) for kind in kinds]
    main_kind = main_architecture(kinds) or next(iter(kinds), "")
    chosen += [(main_kind, task) for task in tasks[1:] if kinds]
    chosen = chosen if combinations is None else list(combinations)
    selected: list[Subject] = []
    covered: set[tuple[str, ...]] = set()
    chosen_dtypes = [d for d in ("float64", "float32") if dtypes is None or d in dtypes]
    places = [
        (dtype, device)
        for device in devices
        for dtype in chosen_dtypes
        if dtype in implementation.dtypes and device in implementation.devices
    ]
    for kind, task in chosen:
        for case in cases(kind, task, seed, checkpoints):
            # Random ones of all tasks run the same code with other scales: one is enough.
            optimizer = case.label if case.label != f"random {kind}" else kind
            for dtype, device in places:
                finest = dtype == max(implementation.dtypes)
                if has_one_unit(case.spec) and not finest:
                    continue  # its one unit shows an axis that is dropped, in any dtype
                is_further = kind in ARCHITECTURES and kind != main_kind
                scopes = set()
                if not is_further or (finest and not has_one_unit(case.spec)):
                    scopes.add(Scope.RUN)
                if kind == main_kind or (finest and not is_further):
                    scopes.add(Scope.TRAINING)
                for scope, *key in (
                    (Scope.IMPLEMENTATION, device),
                    (Scope.OPTIMIZER, optimizer, dtype, device),
                    (Scope.TASK, task, dtype, device),
                ):
                    if (scope.value, *key) not in covered:
                        covered.add((scope.value, *key))
                        scopes.add(scope)
                selected.append(Subject(implementation, case, dtype, frozenset(scopes), device))
    return selected


def pairs(
    implementation: Any,
    seed: int,
    only: Collection[str] = (),
    dtypes: Collection[str] | None = None,
    devices: Collection[str] = ("cpu",),
    candidates: Collection[Subject] | None = None,
) -> Iterator[tuple[Check, Subject]]:
    """Each check with each subject that it runs on; the arguments are those of `check_all`.

    `candidates` are the subjects, if they are not those of `subjects`.
    """
    if candidates is None:
        candidates = subjects(implementation, seed, dtypes, devices=devices)
    for check in CHECKS:
        if not only or check.name in only:
            yield from ((check, subject) for subject in candidates if check.scope in subject.scopes)


def check_all(
    implementation: Any,
    seed: int = 7,
    only: Collection[str] = (),
    dtypes: Collection[str] | None = None,
    devices: Collection[str] = ("cpu",),
) -> Iterator[Outcome]:
    """Run the checks, cheapest first, each on every subject that it is for.

    Args:
        implementation: the implementation under test.
        seed: seed of the problems and of the random optimizers.
        only: names of the checks to run; all if empty.
        dtypes: dtypes to use, of those that it declares; all if None.
        devices: devices to use, of those that it declares.

    Yields: the outcome of each check on each subject.
    """
    for check, subject in pairs(implementation, seed, only, dtypes, devices):
        yield run_check(check, subject)
