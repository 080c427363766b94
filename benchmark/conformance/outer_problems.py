"""The short meta-trainings of the checks of level 5."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from loptbench.agreement.trajectories import oracle_meta_gradient
from loptbench.conformance.cases import main_architecture, random_case
from loptbench.conformance.purity import SHORT_RUN, other_spec
from loptbench.conformance.subject import Subject
from loptbench.discovery import oracle
from loptbench.optimizers import ARCHITECTURES, OptimizerSpec
from loptbench.tasks import ProblemBatch
from loptbench.training.settings import MetaTraining

CANCELLED = 1e-6
"""A meta-gradient below this fraction of a typical one is what rounding leaves of a sum of zero."""

N_OUTER_STEPS = 8

N_UNITS = 3
"""Units of a small learned optimizer."""

OTHER_SIZES = {"n_steps": SHORT_RUN - 1, "batch_size": 2, "bptt_segment": 4}
"""Settings on which the sizes of arrays depend."""

OF_THE_LOOP = {
    "n_units": N_UNITS + 4,
    "input_scale": 0.3,
    "output_scale": 0.3,
    "n_outer_steps": 1,
    "batch_size": 1,
    "late_batch_size": 5,
    "seed": 11,
    "validation_size": 3,
    "validate_every": 1,
    "rollback_ratio": 1.5,
    "averaging": 0.5,
    "plateau": 0.5,
    "min_outer_steps": 1,
    "checkpoint_every": 1,
}
"""Other values of the settings that an outer step must not read: they are the outer loop's.

How many problems there are, for one, the batch says: late in meta-training there may be more.
"""


class OuterProblem(NamedTuple):
    """A short meta-training.

    Attributes:
        spec: the optimizer before the first outer step.
        config: the settings.
        batches: the problems of each outer step.
    """

    spec: OptimizerSpec
    config: MetaTraining
    batches: list[ProblemBatch]


def small_subject(subject: Subject) -> Subject:
    """The subject with a learned optimizer of few units, or as it is where there is none."""
    architecture = main_architecture(subject.implementation.optimizers)
    if architecture is None:
        return subject
    task, seed = subject.case.task.name, subject.case.batch.seed
    spec = random_case(architecture, N_UNITS, task, seed)
    return dataclasses.replace(subject, case=dataclasses.replace(subject.case, spec=spec))


def outer_problem(subject: Subject, **changes: Any) -> OuterProblem:
    """An outer problem on which clipping, penalty, decay and epsilon all have a visible effect.

    Args:
        subject: the implementation under test, on its case.
        changes: settings to replace.
    """
    task = subject.case.task
    spec = subject.spec
    config = MetaTraining(
        task=task.name,
        n_units=max(1, spec.n_state),
        n_steps=SHORT_RUN,
        batch_size=subject.case.batch.n_problems,
        learning_rate=1e-3,
        decay=0.5,
        decay_steps=2,
        dtype=subject.dtype,  # type: ignore[arg-type]  # declarations are validated: one of the two
        device=subject.device,
    ).model_copy(update=changes)
    batches = [
        task.sample(
            "meta_train",
            subject.case.batch.seed,
            range(i * config.batch_size, (i + 1) * config.batch_size),
        )
        for i in range(N_OUTER_STEPS)
    ]
    first = oracle_meta_gradient(oracle(), spec, batches[0], config.n_steps)
    absolute = np.concatenate([np.abs(np.ravel(leaf)) for leaf in first.gradient.values()])
    typical = float(np.median(absolute))
    scale = {"clip": 2 * typical, "epsilon": typical, "penalty": typical}
    return OuterProblem(spec, config.model_copy(update=scale | changes), batches)


def outer_problems(subject: Subject) -> dict[str, OuterProblem]:
    """The problem, then with every setting changed, all parameters zero, and other parameters."""
    first = outer_problem(subject)
    sizes = OTHER_SIZES if subject.varies_sizes else {}
    changed = {
        **sizes,
        "learning_rate": 3e-3,
        "decay": 0.7,
        "decay_steps": 3,
        "beta1": 0.5,
        "beta2": 0.9,
        "epsilon": 0.3 * first.config.epsilon,
        "clipping": "global-norm",
        "clip": first.config.clip,
        "penalty": 2 * first.config.penalty,
    }
    second = outer_problem(subject, **changed)
    zeros = {name: 0 * array for name, array in first.spec.parameters.items()}
    at_zero = {"beta1": 0.0, "beta2": 0.0, "penalty": 0.0, "decay": 1.0}
    in_another_loop = first.config.model_copy(update=OF_THE_LOOP)
    without = first._replace(config=first.config.model_copy(update=at_zero))
    problems = {
        "from the case's parameters": first,
        "with every setting changed": second,
        **_from_zero(first, first.spec.with_parameters(zeros)),
        "from half of every parameter": first._replace(spec=other_spec(first.spec)),
        "without moments, penalty and decay": without._replace(batches=first.batches[:2]),
        "with the loop's settings changed": first._replace(
            config=in_another_loop, batches=first.batches[:2]
        ),
    }
    if learned := ARCHITECTURES.get(first.spec.kind):  # where every meta-training begins
        start = {name: zeros[name] for name in learned.starts}
        from_zero = first.spec.with_parameters({**first.spec.parameters, **start})
        problems["from an initial state of zero"] = OuterProblem(
            from_zero, first.config, first.batches[:2]
        )
    return problems


def _from_zero(problem: OuterProblem, zero: OptimizerSpec) -> dict[str, OuterProblem]:
    """The problem from parameters of zero, by its name.

    Left out where the gradients of a problem sum to zero, as those of a softmax do: of its
    meta-gradient nothing but rounding is left. Also left out where there is no gradient at zero, as
    of an exponential schedule.
    """
    found = oracle_meta_gradient(oracle(), zero, problem.batches[0], problem.config.n_steps)
    largest = np.max([np.abs(leaf).max(initial=0.0) for leaf in found.gradient.values()])
    if not CANCELLED * problem.config.epsilon <= largest < np.inf:
        return {}
    return {"from parameters of zero": problem._replace(spec=zero)}
