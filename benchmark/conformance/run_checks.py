"""Level 2: whole runs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from loptbench.agreement.comparison import Comparison, compare
from loptbench.agreement.tolerances import SWEEP
from loptbench.agreement.trajectories import compare_trajectories
from loptbench.conformance.cases import EXAMPLES, cases
from loptbench.conformance.purity import SHORT, Handles, interleaved, require_pure
from loptbench.conformance.step_checks import exact
from loptbench.conformance.subject import Subject, Unchanged, require_array
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import oracle
from loptbench.protocol import Level, Sweep, Sweeps, Trajectory, UnrollsLosses
from loptbench.rollout.trajectory import run_by_run, start_sweep, unroll_by_steps

LONGER = 260
"""Longer than any task's run: a length that is built in is found."""


def free_running(subject: Subject) -> list[Comparison]:
    """A whole run is the oracle's at every step, whatever its length and batch."""
    compared = []
    for n_steps, batch in (
        (subject.case.n_steps, subject.full),
        (1, subject.batch),
        (SHORT, subject.batch),
        (5, subject.batch.part([2])),
        (LONGER, subject.other),
    ):
        found = subject.unroll(n_steps, *subject.handles(batch))
        compared += compare_trajectories(
            oracle(), found, subject.spec, batch, subject.dtype, subject.device
        )
    return compared


def unroll_losses(subject: Subject) -> list[Comparison]:
    """A run that leaves only its losses on record has those of the oracle."""
    if not isinstance(subject.implementation, UnrollsLosses):
        raise CheckSkippedError(
            "runs for their losses alone are not offered: no method unroll_losses"
        )

    def run(n_steps: int, handles: Handles) -> Trajectory:
        loss = subject.unroll_losses(n_steps, *handles)
        return subject.unroll(n_steps, *handles)._replace(loss=loss)

    batch = subject.full
    whole = run(subject.case.n_steps, subject.handles(batch))
    compared = compare_trajectories(
        oracle(), whole, subject.spec, batch, subject.dtype, subject.device
    )
    return compared + _compare_varied(subject, "unroll_losses", partial(run, SHORT))


def sweep(subject: Subject) -> list[Comparison]:
    """Many draws side by side are the oracle's runs one by one, from wherever they stand."""
    implementation, dtype = subject.implementation, subject.dtype
    if not isinstance(implementation, Sweeps):
        raise CheckSkippedError("no sweeps are offered: no method sweep")
    offered: Any = implementation
    kind = subject.spec.kind if subject.spec.kind in EXAMPLES else "momentum"
    if kind not in offered.optimizers:
        raise CheckSkippedError(f"sweeps are of hand-designed kinds, and {kind!r} is not offered")
    batch, problems = subject.batch, subject.problems().raw
    oracle_problems = oracle().problems(batch, "float64", subject.device)
    (example,) = cases(kind, batch.task, batch.seed, {})
    spec = example.spec.rounded_to(dtype)
    # The third draw blows up, or nearly so, and must not be seen in the others.
    factors = np.array([1.0, 0.5, 1e30, 0.8])
    draws = {name: np.full(factors.size, float(v)) for name, v in spec.parameters.items()}
    draws["alpha"] = (draws["alpha"] * factors).astype(dtype).astype(np.float64)
    found = start_sweep(batch, kind, factors.size, dtype)
    found = found._replace(step=np.array([0, 3, 0, 250]))
    sane = [0, 1, 3]
    expected = Sweep(exact(found.parameters[sane]), exact(found.state[sane]), found.step[sane])
    compared = []
    for n_steps in (SHORT, 5):
        with Unchanged("sweep", found, draws):
            loss, found = implementation.sweep(
                kind, draws, spec.constants, problems, found, n_steps
            )
        require_array("sweep's loss", loss, (n_steps, factors.size, batch.n_problems), dtype)
        some = {name: values[sane] for name, values in draws.items()}
        right, expected = run_by_run(
            oracle(), kind, some, spec.constants, oracle_problems, expected, n_steps, "float64"
        )
        scale = np.maximum(np.abs(right), np.abs(right[0]))
        limit = SWEEP * float(np.finfo(dtype).eps)
        names = ("step", "draw", "problem")
        compared.append(compare("sweep's loss", loss[:, sane], right, scale, limit, names))
        x = exact(found.parameters[sane])
        size = 1 + np.abs(expected.parameters)
        compared.append(
            compare("sweep's parameters", x, expected.parameters, size, limit, ("draw", "problem"))
        )
        if not np.array_equal(found.step[sane], expected.step):
            raise CheckFailedError(
                f"sweep says that {found.step[sane]} steps are done, but it is {expected.step}"
            )
    return compared


def native_unroll(subject: Subject) -> list[Comparison]:
    """The native unroll is the loop over the implementation's own level 1."""
    n_steps = subject.case.n_steps
    return compare_trajectories(
        oracle(),
        subject.unroll(n_steps, *subject.handles()),
        subject.spec,
        subject.batch,
        subject.dtype,
        subject.device,
        expected=unroll_by_steps(*subject.handles(), n_steps),
    )


def unroll_purity(subject: Subject) -> list[Comparison]:
    """A run depends on its optimizer, problems and start, and on nothing before it."""
    handles = subject.handles()
    n_steps = subject.case.n_steps
    require_pure(
        "unroll",
        lambda: subject.unroll(n_steps, *handles),
        lambda: subject.unroll(n_steps, *handles[:2], 2 * handles[2]),
    )
    return _compare_varied(subject, "unroll", lambda handles: subject.unroll(SHORT, *handles))


def _compare_varied(
    subject: Subject, what: str, run: Callable[[Handles], Trajectory]
) -> list[Comparison]:
    """Runs that differ in one thing each, and were made in turn, are the oracle's all the same."""
    compared = []
    for varied, found in interleaved(subject, what, Level.UNROLL, run):
        start = varied.batch.starting_at(varied.x0)
        compared += compare_trajectories(
            oracle(), found, varied.spec, start, subject.dtype, subject.device
        )
    return compared
