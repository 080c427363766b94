"""Checks of level 5: outer steps."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from loptbench.agreement.comparison import Comparison, compare_arrays
from loptbench.agreement.memory import remembered
from loptbench.agreement.tolerances import bound
from loptbench.agreement.trajectories import oracle_meta_gradient
from loptbench.conformance.hints import explain_outer_steps
from loptbench.conformance.messages import explained
from loptbench.conformance.outer_problems import (
    OTHER_SIZES,
    OuterProblem,
    outer_problem,
    outer_problems,
)
from loptbench.conformance.purity import flatten, other_spec, require_pure
from loptbench.conformance.step_checks import to_float64
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import MetaTrainsSideBySide, OuterState
from loptbench.tasks import ProblemBatch
from loptbench.training.settings import MetaTraining


@remembered
def oracle_outer_step(
    oracle: Any, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
) -> tuple[OuterState, float]:
    """One outer step of the oracle."""
    step: tuple[OuterState, float] = oracle.outer_step(outer, spec, batch, config)
    return step


def outer_steps(subject: Subject) -> Iterator[Comparison]:
    """The first outer steps are the oracle's for several settings of clipping, penalty and Adam."""
    for words, problem in outer_problems(subject).items():
        spec, config, batches = problem
        outer = subject.outer_init(spec, config)
        expected = oracle().outer_init(spec.parameters, config)
        for k, batch in enumerate(batches):
            outer, objective = subject.outer_step(outer, spec, batch, config)
            expected, expected_objective = oracle_outer_step(
                oracle(), expected, spec, batch, config
            )
            limit = bound("outer parameters", subject.dtype, subject.device)
            yield from explained(
                compare_outer_step(
                    subject, spec, (outer, objective), (expected, expected_objective)
                ),
                outer_experiment(k, words, problem),
                explain_outer_steps,
                spec,
                config,
                batches[: k + 1],
                outer,
                limit,
            )


SETTINGS_IN_MESSAGES = (
    "n_steps",
    "batch_size",
    "learning_rate",
    "decay",
    "decay_steps",
    "beta1",
    "beta2",
    "epsilon",
    "clipping",
    "clip",
    "penalty",
    "bptt_segment",
)


def outer_experiment(k: int, words: str, problem: OuterProblem) -> str:
    """Outer step `k` of a short meta-training, with its settings and problems, in words."""
    settings = problem.config.model_dump()
    shown = ", ".join(f"{name} {settings[name]}" for name in SETTINGS_IN_MESSAGES)
    return f"in outer step {k} {words}, on problems of {problem.batches[k].describe()}; {shown}"


def compare_outer_step(
    subject: Subject,
    start: OptimizerSpec,
    actual: tuple[OuterState, float],
    expected: tuple[OuterState, float],
) -> list[Comparison]:
    """Compare an outer state and the meta-objective before it with the oracle's."""
    place = subject.dtype, subject.device
    objective = "outer objective"
    comparisons = [
        compare_arrays(objective, objective, np.array(actual[1]), np.array(expected[1]), *place)
    ]
    # A parameter is stored in the dtype, so its change is known to epsilon · |θ| at best.
    stored = float(np.finfo(subject.dtype).eps) / bound("outer parameters", *place)
    for name, parameter in expected[0].parameters.items():
        # The change is compared, because the initial values are much larger.
        before = start.parameters[name]
        change = to_float64(parameter - before)
        scale = np.abs(change).max(initial=0.0) + stored * np.abs(before).max(initial=0.0)
        comparisons.append(
            compare_arrays(
                "outer parameters",
                f"the outer steps' change of {name}",
                np.asarray(actual[0].parameters[name] - before),
                change,
                *place,
                scale=scale,
            )
        )
    return comparisons


def outer_side_by_side(subject: Subject) -> Iterator[Comparison]:
    """Outer steps of several seeds at once, one ahead of the others, are the oracle's."""
    if not isinstance(subject.implementation, MetaTrainsSideBySide):
        raise CheckSkippedError("seeds side by side are not offered: no method outer_steps")
    first = _problem_to_clip(subject)
    # The norm of one seed's meta-gradient is below the bound, and that of several is above.
    clip = 1.1 * _norm(_penalized_meta_gradient(first))
    spec, config, batches = first
    by_norm = config.model_copy(update={"clipping": "global-norm", "clip": clip})
    for chosen in (config, by_norm):
        yield from _compare_side_by_side(subject, spec, chosen, batches)


def _compare_side_by_side(
    subject: Subject, spec: OptimizerSpec, config: MetaTraining, batches: list[ProblemBatch]
) -> Iterator[Comparison]:
    halves = {name: 0.5 * array for name, array in spec.parameters.items()}
    # The problems of the second seed start at NaN, which must not show in the others. The third is
    # an outer step ahead: its memory, learning rate and bias corrections are others.
    starts = [spec, spec, spec.with_parameters(halves).rounded_to(subject.dtype)]
    outers = [subject.outer_init(start, config) for start in starts]
    expected = [oracle().outer_init(start.parameters, config) for start in starts]
    outers[2], _ = subject.outer_step(outers[2], spec, batches[3], config)
    expected[2], _ = oracle_outer_step(oracle(), expected[2], spec, batches[3], config)
    own = batches[:3]
    own[1] = own[1].starting_at(np.nan * own[1].initial_parameters)
    with np.errstate(all="ignore"):
        new = subject.outer_steps(outers, spec, own, config)
    if np.isfinite(new[1][1]):
        raise CheckFailedError(
            f"outer_steps reported the objective {new[1][1]} of the second seed, whose "
            "problems start at NaN; it must be NaN"
        )
    for i in (0, 2):
        expected_step = oracle_outer_step(oracle(), expected[i], starts[i], own[i], config)
        words = (
            f"in an outer step of seed {i} of three side by side, the last an outer step ahead, "
            f"clipping {config.clipping}, on problems of {own[i].describe()}"
        )
        yield from explained(
            compare_outer_step(subject, starts[i], new[i], expected_step),
            words,
        )


def _problem_to_clip(subject: Subject) -> OuterProblem:
    """An outer problem whose penalty cannot cancel the meta-gradient of a single parameter."""
    problem = outer_problem(subject)
    smaller = {"penalty": 0.3 * problem.config.penalty}
    return problem._replace(config=problem.config.model_copy(update=smaller))


def _penalized_meta_gradient(problem: OuterProblem) -> dict[str, Any]:
    """The gradient that the first outer step clips."""
    spec, config, batches = problem
    gradient = oracle_meta_gradient(oracle(), spec, batches[0], config.n_steps).gradient
    shrinkage = config.penalty / _norm(spec.parameters)
    return {name: gradient[name] + shrinkage * array for name, array in spec.parameters.items()}


def _norm(arrays: Mapping[str, Any]) -> float:
    return float(np.sqrt(sum(np.sum(array**2) for array in arrays.values())))


CLIP_FACTORS = (0.4, 1.0, 2.5)
"""Bounds of the clipping below, at and above the size of what is clipped."""


def outer_clipping(subject: Subject) -> Iterator[Comparison]:
    """Outer steps are the oracle's where the meta-gradient is below, at and above the clip."""
    spec, usual, batches = first = _problem_to_clip(subject)
    G = _penalized_meta_gradient(first)
    largest = max(float(np.abs(array).max()) for array in G.values())
    for clipping, size in (("elementwise", largest), ("global-norm", _norm(G))):
        for factor in CLIP_FACTORS:
            config = usual.model_copy(update={"clipping": clipping, "clip": factor * size})
            outer = subject.outer_init(spec, config)
            expected = oracle().outer_init(spec.parameters, config)
            words = f"with {clipping} clipping at {factor} times the size of the meta-gradient"
            for batch in batches[:2]:
                step = subject.outer_step(outer, spec, batch, config)
                expected_step = oracle_outer_step(oracle(), expected, spec, batch, config)
                yield from explained(compare_outer_step(subject, spec, step, expected_step), words)
                outer, expected = step[0], expected_step[0]


def outer_purity(subject: Subject) -> list[Comparison]:
    """An outer step depends on its arguments only, and reports a gradient that is not finite."""
    spec, config, batches = outer_problem(subject)
    sizes = OTHER_SIZES if subject.varies_sizes else {}
    changed = outer_problem(subject, learning_rate=2e-3, **sizes)
    start = subject.outer_init(spec, config)
    outer, _ = subject.outer_step(start, spec, batches[0], config)

    def call() -> tuple[Any, ...]:
        new, objective = subject.outer_step(outer, spec, batches[1], config)
        return flatten((*new, np.array(objective)))

    def disturb() -> None:
        other_outer = subject.outer_init(other_spec(spec), changed.config)
        for batch in changed.batches[:3]:
            other_outer, _ = subject.outer_step(
                other_outer, other_spec(spec), batch, changed.config
            )

    require_pure("outer_step", call, disturb)
    for which, rows in (("problems that start", slice(None)), ("one problem that starts", 1)):
        x0 = batches[1].initial_parameters.copy()
        x0[rows] = np.nan
        with np.errstate(all="ignore"):
            _, objective = subject.outer_step(outer, spec, batches[1].starting_at(x0), config)
        if np.isfinite(objective):
            raise CheckFailedError(
                f"outer_step on {which} at NaN reported the objective {objective}; a "
                "meta-gradient that is not finite must be reported as NaN"
            )
    return []


def outer_resuming(subject: Subject) -> list[Comparison]:
    """Stopping and resuming from bytes, in a new instance, equals not stopping."""
    # Copied before it is used: the copy does not know what the implementation remembers.
    restarted = dataclasses.replace(subject, implementation=_copy_of(subject.implementation))
    spec, config, batches = outer_problem(subject)
    outer = subject.outer_init(spec, config)
    outer, _ = subject.outer_step(outer, spec, batches[0], config)
    on_disk = (save(dict(outer.parameters)), save(dict(outer.memory)))
    resumed = OuterState(*(load(content) for content in on_disk)).canonical()
    uninterrupted = outer
    for batch in batches[1:3]:
        uninterrupted, _ = subject.outer_step(uninterrupted, spec, batch, config)
    # Another meta-training runs there in the meantime: the state alone must be enough.
    restarted.outer_step(restarted.outer_init(other_spec(spec), config), spec, batches[4], config)
    for batch in batches[1:3]:
        resumed, _ = restarted.outer_step(resumed, spec, batch, config)
    if uninterrupted.memory.keys() != resumed.memory.keys():
        names = sorted(uninterrupted.memory.keys() ^ resumed.memory.keys())
        raise CheckFailedError(f"after resuming, memory differs in having {', '.join(names)}")
    for part in ("parameters", "memory"):
        for name, array in getattr(uninterrupted, part).items():
            if not np.array_equal(array, getattr(resumed, part)[name], equal_nan=True):
                raise CheckFailedError(
                    f"after resuming, {part} {name!r} is not what it is without stopping: "
                    "outer_step must carry all it remembers in the outer state"
                )
    return []


def _copy_of(implementation: Any) -> Any:
    """A copy of the implementation with its configuration; itself if it cannot be copied."""
    try:
        return copy.deepcopy(implementation)
    except Exception:
        return implementation
