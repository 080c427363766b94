"""The check that a new process computes the same: nothing is remembered in modules or classes.

Copies of an implementation within one process share its modules. A meta-training that is resumed
tomorrow does not: it has what is in the outer state, and nothing else.
"""

import dataclasses
import inspect
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from loptbench.agreement.comparison import Comparison
from loptbench.conformance.outer_problems import outer_problem, small_subject
from loptbench.conformance.purity import SHORT_RUN, flatten
from loptbench.conformance.step_checks import random_inputs
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import load_object
from loptbench.global_state import other_value, settings
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Level, OuterState
from loptbench.tasks import TASKS, ProblemBatch
from loptbench.training.settings import MetaTraining

TORCH_THREADS = "torch's number of threads"
"""The setting of `loptbench.global_state`."""

OTHER_HASH_SEED = "12"
"""The seed of Python's hashes in the other process, which is drawn here."""

TIME_LIMIT = 600
"""Seconds that the other process may take; a framework may compile in it."""


class Resumed(NamedTuple):
    """The second half of a meta-training.

    Attributes:
        outer: the state after the first half.
        spec: the optimizer.
        config: the settings.
        batches: the problems of the steps that are left.
    """

    outer: OuterState
    spec: OptimizerSpec
    config: MetaTraining
    batches: list[ProblemBatch]


class Work(NamedTuple):
    """What both processes compute.

    Attributes:
        subject: the case; its implementation is left out, for each process makes its own.
        state: states, (n_components, n_state).
        gradient: gradients, (n_components,).
        resumed: the second half of a meta-training; None if level 5 is not offered.
        threads: torch's number of threads, which decides the order of sums; None without torch.
    """

    subject: Subject
    state: Array
    gradient: Array
    resumed: Resumed | None
    threads: int | None


def new_process(subject: Subject) -> list[Comparison]:
    """A new process takes the same steps, and resumes the same meta-training, to the bit."""
    path = importable_path(subject.implementation)
    if not path:
        raise CheckSkippedError(
            "a new process cannot make this implementation: it is neither in a module nor a class "
            "without arguments"
        )
    state, gradient = random_inputs(subject, 12)
    work = Work(
        dataclasses.replace(subject, implementation=None), state, gradient, None, _torch_threads()
    )
    if subject.offers(Level.META_TRAINING):
        small = small_subject(subject)
        spec, config, batches = outer_problem(small, clipping="global-norm")
        outer = subject.outer_init(spec, config)
        for batch in batches[:2]:
            outer, _ = subject.outer_step(outer, spec, batch, config)
        work = work._replace(resumed=Resumed(outer, spec, config, batches[2:4]))
    here = results(subject.implementation, work)
    there = _in_a_new_process(path, work)
    for words, arrays in here.items():
        for mine, other in zip(arrays, there[words], strict=True):
            if not np.array_equal(mine, other, equal_nan=True):
                with np.errstate(all="ignore"):
                    apart = np.abs(np.asarray(mine, float) - np.asarray(other, float)).max()
                raise CheckFailedError(
                    f"a new process returns something else for {words}: {apart:.1e} apart; nothing "
                    "may be remembered in a module, a class or a global variable"
                )
    return []


def importable_path(implementation: Any) -> str:
    """The `package.module:Object` that another process can make; empty if there is none.

    >>> from loptbench.discovery import oracle
    >>> importable_path(oracle())
    'loptbench.implementations.reference.implementation:Implementation'
    """
    kind = type(implementation)
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__ == "__main__":
        return ""
    for name, value in vars(module).items():
        if value is implementation:
            return f"{kind.__module__}:{name}"
    is_there = getattr(module, kind.__name__, None) is kind
    try:
        takes_arguments = bool(inspect.signature(kind).parameters)
    except ValueError:  # of a class that is written in C
        takes_arguments = True
    return f"{kind.__module__}:{kind.__name__}" if is_there and not takes_arguments else ""


def results(implementation: Any, work: Work) -> dict[str, tuple[Array, ...]]:
    """What an implementation returns, by what it was asked for."""
    subject = dataclasses.replace(work.subject, implementation=implementation)
    found = {"a step": flatten(subject.optimizer().step(work.state, work.gradient))}
    if work.subject.case.batch.task in implementation.tasks:
        found["a run"] = flatten(subject.unroll(SHORT_RUN, *subject.handles()))
    if work.resumed is not None:
        outer, spec, config, batches = work.resumed
        for batch in batches:
            outer, _ = subject.outer_step(outer, spec, batch, config)
        named = (*sorted(outer.parameters.items()), *sorted(outer.memory.items()))
        found["the second half of a resumed meta-training"] = tuple(array for _, array in named)
    return found


def _in_a_new_process(path: str, work: Work) -> dict[str, tuple[Array, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "work", Path(folder) / "results"
        asked.write_bytes(pickle.dumps((path, work)))
        # Modules are found where this process finds them, such as beside a test.
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        process = subprocess.run(
            [sys.executable, "-c", code, str(asked), str(answered)],
            capture_output=True,
            # Sets and hashes have another order there, as they may have tomorrow.
            env={**os.environ, "PYTHONHASHSEED": OTHER_HASH_SEED},
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )
        if process.returncode or not answered.exists():
            last = (process.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
            raise CheckFailedError(
                f"a new process fails where this one does not: {last}; nothing may be remembered "
                "in a module, a class or a global variable"
            )
        there: dict[str, tuple[Array, ...]] = pickle.loads(answered.read_bytes())
        return there


def _torch_threads() -> int | None:
    named = {setting.name: setting for setting in settings()}
    threads = named.get(TORCH_THREADS)
    return threads.read() if threads else None


def serve() -> None:
    """Read the work from the first file of the command line, write the results to the second."""
    asked, answered = map(Path, sys.argv[1:3])
    path, work = pickle.loads(asked.read_bytes())
    task = work.subject.case.task
    TASKS[task.name] = task  # it may be one from outside, which is not known here
    implementation = load_object(path)
    threads = other_value(TORCH_THREADS, work.threads) if work.threads else nullcontext()
    with np.errstate(all="ignore"), threads:
        found = results(implementation, work)
    answered.write_bytes(pickle.dumps(found))
