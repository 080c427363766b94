"""Level 5: outer steps."""

import copy
import dataclasses
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load, save

from loptbench.agreement.comparison import ORACLE, Comparison, compare_arrays
from loptbench.conformance.purity import SHORT, flat, other_spec, require_pure
from loptbench.conformance.step_checks import exact
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import MetaTrainsSideBySide, OuterState
from loptbench.tasks import ProblemBatch
from loptbench.training.settings import MetaTraining

N_OUTER = 8


class OuterProblem(NamedTuple):
    """A short meta-training.

    Attributes:
        spec: the optimizer to begin with.
        config: the settings.
        batches: the problems of each outer step.
    """

    spec: OptimizerSpec
    config: MetaTraining
    batches: list[ProblemBatch]


def outer_problem(subject: Subject, **changes: Any) -> OuterProblem:
    """An outer problem in which clipping, penalty, decay and epsilon all show.

    Args:
        subject: what is tested.
        changes: settings to replace.
    """
    task = subject.case.task
    spec = subject.spec
    config = MetaTraining(
        task=task.name,
        n_units=max(1, spec.n_state),
        n_steps=SHORT,
        batch_size=subject.case.batch.n_problems,
        learning_rate=1e-3,
        decay=0.5,
        decay_steps=2,
        dtype=subject.dtype,  # type: ignore[arg-type]  # one of the two: declarations are held to it
        device=subject.device,
    ).model_copy(update=changes)
    batches = [
        task.sample(
            "meta_train",
            subject.case.batch.seed,
            range(i * config.batch_size, (i + 1) * config.batch_size),
        )
        for i in range(N_OUTER)
    ]
    first = ORACLE.meta_gradient(
        ORACLE.optimizer(spec, "float64", subject.device),
        ORACLE.problems(batches[0], "float64", subject.device),
        batches[0].initial_parameters,
        config.n_steps,
    )
    sizes = np.concatenate([np.abs(np.ravel(leaf)) for leaf in first.gradient.values()])
    typical = float(np.median(sizes))
    scale = {"clip": 2 * typical, "epsilon": typical, "penalty": typical}
    return OuterProblem(spec, config.model_copy(update=scale | changes), batches)


def _outer_problems(subject: Subject) -> list[OuterProblem]:
    """The problem, one with every setting changed, and one that starts from all zeros."""
    first = outer_problem(subject)
    changed = {
        "n_steps": SHORT - 1,
        "batch_size": 2,
        "learning_rate": 3e-3,
        "decay": 0.7,
        "decay_steps": 3,
        "beta1": 0.5,
        "beta2": 0.9,
        "epsilon": 0.3 * first.config.epsilon,
        "clipping": "global-norm",
        "clip": first.config.clip,
        "penalty": 2 * first.config.penalty,
        "bptt_segment": 4,
    }
    second = outer_problem(subject, **changed)
    zeros = {name: 0 * array for name, array in first.spec.parameters.items()}
    third = first._replace(spec=first.spec.with_parameters(zeros))
    fourth = first._replace(spec=other_spec(first.spec))
    return [first, second, third, fourth]


def outer_steps(subject: Subject) -> list[Comparison]:
    """The first outer steps are the oracle's, whatever the settings: clipping, penalty, Adam."""
    compared = []
    for spec, config, batches in _outer_problems(subject):
        found = subject.outer_init(spec, config)
        expected = ORACLE.outer_init(spec.parameters, config)
        for batch in batches:
            found, objective = subject.outer_step(found, spec, batch, config)
            expected, wanted = ORACLE.outer_step(expected, spec, batch, config)
            compared += _compare(subject, spec, (found, objective), (expected, wanted))
    return compared


def _compare(
    subject: Subject,
    start: OptimizerSpec,
    found: tuple[OuterState, float],
    expected: tuple[OuterState, float],
) -> list[Comparison]:
    """An outer state and the meta-objective before it, and what the oracle has."""
    pairs: dict[str, tuple[Any, Any]] = {"outer objective": (found[1], expected[1])}
    for name, parameter in expected[0].parameters.items():
        # What moved is compared, not what was there before, which is much larger.
        before = start.parameters[name]
        moved = (found[0].parameters[name] - before, exact(parameter - before))
        pairs[f"the outer steps' change of {name}"] = moved
    compared = []
    for label, (actual, right) in pairs.items():
        entry = label if label == "outer objective" else "outer parameters"
        arrays = np.array(actual), np.array(right)
        compared.append(compare_arrays(entry, label, *arrays, subject.dtype, subject.device))
    return compared


def outer_side_by_side(subject: Subject) -> list[Comparison]:
    """Outer steps of several seeds at once are the oracle's, seed by seed."""
    if not isinstance(subject.implementation, MetaTrainsSideBySide):
        raise CheckSkippedError("seeds side by side are not offered: no method outer_steps")
    spec, config, batches = outer_problem(subject)
    halves = {name: 0.5 * array for name, array in spec.parameters.items()}
    # The second one's problems start at NaN, which must not be seen in the others.
    starts = [spec, spec, spec.with_parameters(halves).rounded_to(subject.dtype)]
    found = [subject.outer_init(start, config) for start in starts]
    expected = [ORACLE.outer_init(start.parameters, config) for start in starts]
    compared = []
    for k in range(2):
        own = batches[3 * k : 3 * k + 3]
        own[1] = own[1].starting_at(np.nan * own[1].initial_parameters)
        with np.errstate(all="ignore"):
            new = subject.outer_steps(found, spec, own, config)
        if np.isfinite(new[1][1]):
            raise CheckFailedError(
                f"outer_steps reported the objective {new[1][1]} of the second seed, whose "
                "problems start at NaN; it must be NaN"
            )
        for i in (0, 2):
            right = ORACLE.outer_step(expected[i], starts[i], own[i], config)
            compared += _compare(subject, starts[i], new[i], right)
            found[i], expected[i] = new[i][0], right[0]
    return compared


def outer_purity(subject: Subject) -> list[Comparison]:
    """An outer step depends on nothing but what it is handed; one that failed says so."""
    spec, config, batches = outer_problem(subject)
    other = outer_problem(subject, learning_rate=2e-3, n_steps=SHORT - 1, batch_size=2)
    start = subject.outer_init(spec, config)
    outer, _ = subject.outer_step(start, spec, batches[0], config)

    def call() -> tuple[Any, ...]:
        new, objective = subject.outer_step(outer, spec, batches[1], config)
        return flat((*new, np.array(objective)))

    def disturb() -> None:
        elsewhere = subject.outer_init(other_spec(spec), other.config)
        for batch in other.batches[:3]:
            elsewhere, _ = subject.outer_step(elsewhere, other_spec(spec), batch, other.config)

    require_pure("outer_step", call, disturb)
    broken = batches[1].starting_at(np.nan * batches[1].initial_parameters)
    with np.errstate(all="ignore"):
        _, objective = subject.outer_step(outer, spec, broken, config)
    if np.isfinite(objective):
        raise CheckFailedError(
            f"outer_step on problems that start at NaN reported the objective {objective}; a "
            "meta-gradient that is not finite must be reported as NaN"
        )
    return []


def outer_resuming(subject: Subject) -> list[Comparison]:
    """Stopping and resuming, in a new instance and from bytes, equals not stopping."""
    # Copied before it is used: whatever it comes to remember is not known there.
    again = dataclasses.replace(subject, implementation=_another(subject.implementation))
    spec, config, batches = outer_problem(subject)
    outer = subject.outer_init(spec, config)
    outer, _ = subject.outer_step(outer, spec, batches[0], config)
    on_disk = (save(dict(outer.parameters)), save(dict(outer.memory)))
    resumed = OuterState(*(load(content) for content in on_disk)).canonical()
    straight = outer
    for batch in batches[1:3]:
        straight, _ = subject.outer_step(straight, spec, batch, config)
    # Another meta-training has begun there in the meantime: the state alone must be enough.
    again.outer_step(again.outer_init(other_spec(spec), config), spec, batches[4], config)
    for batch in batches[1:3]:
        resumed, _ = again.outer_step(resumed, spec, batch, config)
    if straight.memory.keys() != resumed.memory.keys():
        names = sorted(straight.memory.keys() ^ resumed.memory.keys())
        raise CheckFailedError(f"after resuming, memory differs in having {', '.join(names)}")
    for what in ("parameters", "memory"):
        for name, array in getattr(straight, what).items():
            if not np.array_equal(array, getattr(resumed, what)[name], equal_nan=True):
                raise CheckFailedError(
                    f"after resuming, {what} {name!r} is not what it is without stopping: "
                    "outer_step must carry all it remembers in the outer state"
                )
    return []


def _another(implementation: Any) -> Any:
    """A copy of the implementation, however it was configured; itself if it cannot be copied."""
    try:
        return copy.deepcopy(implementation)
    except Exception:
        return implementation
