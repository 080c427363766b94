"""Whether a worker of a cluster computes what the calling process would: its code and versions."""

from typing import NamedTuple

from loptbench.engines.packing import implementation_of
from loptbench.errors import LoptbenchError
from loptbench.results.provenance import code_hash, environment, versions_of


class Versions(NamedTuple):
    """What decides the numbers that a process computes.

    Attributes:
        code: the hash of loptbench's sources.
        of: the version of each package.
        problem: why an implementation cannot be used there; empty if it can.
    """

    code: str
    of: dict[str, str]
    problem: str = ""


def versions_here(source: str) -> Versions:
    """What decides the numbers of an implementation in this process.

    Args:
        source: the implementation, `package.module:Object`; empty for loptbench's own code.
    """
    own = {"loptbench": environment()["loptbench"]}
    if not source:
        return Versions(code_hash(), own)
    try:
        return Versions(code_hash(), own | versions_of(implementation_of(source)))
    except LoptbenchError as error:
        return Versions(code_hash(), own, str(error))


def why_unsuitable(caller: Versions, worker: Versions) -> str:
    """Why a worker may compute other numbers than the caller, in words; empty if it does not.

    >>> here = Versions("c0de", {"loptbench": "1.0", "numpy": "2.4.6"})
    >>> why_unsuitable(here, Versions("c0de", {"loptbench": "1.0", "numpy": "2.3.0"}))
    'it has numpy 2.3.0, but here is 2.4.6'
    >>> why_unsuitable(here, here)
    ''
    """
    if worker.problem:
        return worker.problem
    differing = [
        f"{name} {worker.of.get(name, 'missing')}, but here is {version}"
        for name, version in caller.of.items()
        if worker.of.get(name) != version
    ]
    if differing:
        return f"it has {'; '.join(differing)}"
    if worker.code != caller.code:
        return (
            f"its loptbench has other sources ({worker.code[:8]}, but here {caller.code[:8]}); "
            "install the same there"
        )
    return ""
