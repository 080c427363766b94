"""Check one implementation: what `loptbench check` and `loptbench.check` run."""

from collections.abc import Collection, Iterator
from typing import Any

from loptbench.conformance.selection import Selection, selected_pairs
from loptbench.conformance.suite import Outcome, run_check
from loptbench.discovery import get_implementation, require_device


def check(
    implementation: Any,
    *,
    seed: int = 7,
    only: Collection[str] = (),
    dtypes: Collection[str] | None = None,
    device: str = "cpu",
    tasks: Collection[str] = (),
    optimizers: Collection[str] = (),
    levels: Collection[int] = (),
) -> Iterator[Outcome]:
    """Compare an implementation with the oracle, the cheapest checks first.

    >>> outcomes = list(check("reference", only=["initial-state"]))
    >>> all(outcome.status == "passed" for outcome in outcomes)
    True

    Args:
        implementation: its name, `package.module:Object`, or the object.
        seed: the seed of the problems and of the random optimizers.
        only: the names of the checks to run; all if empty.
        dtypes: the dtypes to check; all that it declares if None.
        device: the device to compute on.
        tasks: the tasks to check on; all that it declares if empty.
        optimizers: the optimizer kinds, or names of cases, to check; all if empty.
        levels: the levels of the protocol to check; all if empty.

    Returns:
        The outcomes, each computed when it is asked for, so a caller can stop at a failure.

    Raises:
        LoptbenchError: the implementation is unknown or broken, or lacks the device; or there is no
            check, task or optimizer of a given name.
    """
    if isinstance(implementation, str):
        implementation = get_implementation(implementation)
    require_device(implementation, device)
    selection = Selection(only, levels, tasks, optimizers, dtypes or ())
    planned = selected_pairs(implementation, selection, seed, device)
    return (run_check(checked, subject) for checked, subject in planned)
