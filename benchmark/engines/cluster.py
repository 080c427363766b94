"""The engine that runs calls on the workers of a dask cluster.

The calling process gives each worker one call at a time, and the next one when it has ended. dask
carries calls and outcomes as bytes, watches the workers, and counts their resources. A worker gets
calls once it has said that it has the same code and versions as the calling process.
"""

import contextlib
import os
import pickle
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from loptbench.engines.child import WorkerLostError, call_in_child
from loptbench.engines.engine import Call, Engine, Needs, Place, Prepared
from loptbench.engines.packing import Caller, Deferred, own_folders, pack, unpack
from loptbench.engines.scheduler import local_cluster, quiet, require_address, require_dask
from loptbench.engines.worker_check import Versions, versions_here, why_unsuitable
from loptbench.errors import LoptbenchError

if TYPE_CHECKING:
    from distributed import Client

SECONDS_TO_CONNECT = 10.0
"""How long a scheduler may take to answer the first time."""

SECONDS_TO_COME_BACK = 600.0
"""How long the scheduler, or all workers, may be away before the run ends."""

SECONDS_UNTIL_REFUSED = 20.0
"""How long no worker may suit a call before the run ends, while there are workers."""

MAX_NAMED = 3
"""Workers that a sentence names."""

LOST = ("KilledWorker", "CancelledError", "FutureCancelledError", "CommClosedError", "TimeoutError")
"""The exceptions of dask after which a call is made again."""


class Cluster(Engine):
    """Makes calls on the workers of a dask cluster.

    Args:
        address: the address of the scheduler, such as `tcp://10.0.0.1:8786`; None for a cluster on
            this machine, which ends with the engine.
        jobs: the workers of the cluster on this machine.

    Attributes:
        address: the address of the scheduler; None for a cluster that has not begun.
        waiting_since: since when no worker suits the next call, in seconds of the clock.

    It connects when it is first used.

    Raises:
        LoptbenchError: dask is not installed.
    """

    def __init__(self, address: str | None = None, jobs: int = 1) -> None:
        super().__init__()
        require_dask()
        if address is not None:
            require_address(address)
        self.address, self._jobs = address, jobs
        self.waiting_since: float | None = None
        self._own: Any = None
        self._client: Client | None = None
        self._workers: dict[str, _Worker] = {}
        self._said: set[str] = set()
        self._looked = 0.0

    def places(self) -> Sequence[Place]:
        """The workers that are there and have the same code.

        Raises:
            LoptbenchError: the scheduler, or all workers, went away and did not come back.
        """
        if time.monotonic() - self._looked > 0.5:
            self._look()
            self._looked = time.monotonic()
        return [worker for worker in self._workers.values() if worker.is_usable()]

    def prepare(self, call: Call) -> Prepared:
        """The call in bytes."""
        return pack(call, Caller.here(own_folders(sys.path)))

    def none_suits(self, call: Prepared | None) -> None:
        """Wait for a worker, for a time.

        Raises:
            LoptbenchError: none came, or those that are there cannot make the call.
        """
        if not self._workers:
            starting = (
                "its workers are starting"
                if self._own is not None
                else f"'dask worker {self.address} --nthreads 1' starts one"
            )
            self._say_once(f"no workers at {self.address}: waiting for some; {starting}")
        workers = self._workers.values()
        if any(worker.is_examined() or (call and worker.suits(call)) for worker in workers):
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = time.monotonic()
        else:
            patience = SECONDS_UNTIL_REFUSED if workers else SECONDS_TO_COME_BACK
            if time.monotonic() - self.waiting_since > patience:
                self.waiting_since = None
                raise LoptbenchError(f"{self._why_none_suits(call)}; what is done stays done")

    def close(self) -> None:
        """Leave the cluster; end it if it is the engine's own.

        The work is done, or has failed for a reason of its own: that a cluster does not end in time
        is no other.
        """
        with quiet():
            for each in (self._client, self._own):
                if each is not None:
                    with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                        each.close(timeout=5)

    @property
    def client(self) -> "Client":
        """The connection to the scheduler.

        Raises:
            LoptbenchError: no scheduler answers.
        """
        if self._client is None:
            if self.address is None:
                self._own = local_cluster(self._jobs)
                self.address = self._own.scheduler_address
            self._client = self._connect()
            self.say(f"dask cluster at {self.address}; dashboard: {self._client.dashboard_link}")
        return self._client

    def _connect(self) -> "Client":
        from distributed import Client

        try:
            with quiet():
                return Client(self.address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise LoptbenchError(
                f"no dask scheduler answers at {self.address} within {SECONDS_TO_CONNECT:g} s; "
                "'dask scheduler' starts one and prints its address; without --scheduler, this "
                "machine does the work, with --engine dask as a cluster of its own"
            ) from error

    def _look(self) -> None:
        """Learn which workers there are now, and what new ones have."""
        addresses = self._present()
        if self._own is not None and len(addresses) < self._jobs:
            self._own.scale(self._jobs)  # dask does not replace a worker that dies again in 15 s
        for address in self._workers.keys() - addresses.keys():
            del self._workers[address]
        for address, resources in addresses.items():
            if address not in self._workers:
                self._workers[address] = _Worker(self, address, resources)
        news: dict[tuple[str, str], list[str]] = {}
        for worker in self._workers.values():
            for source, reason in worker.news():
                news.setdefault((source, reason), []).append(worker.address)
        for (source, reason), workers in news.items():
            more = f" and {len(workers) - MAX_NAMED} more" if len(workers) > MAX_NAMED else ""
            for_what = " for this implementation" if source else ""
            named = f"{', '.join(workers[:MAX_NAMED])}{more}"
            self._say_once(f"not used{for_what}: {named}: {reason}", reason)

    def _present(self) -> dict[str, Mapping[str, float]]:
        """The resources that each worker declares, by its address."""
        deadline = time.monotonic() + SECONDS_TO_COME_BACK
        while True:
            try:
                client = self.client
                with quiet():
                    if client.status != "running":
                        raise OSError("the connection is closed")
                    workers = client.scheduler_info(n_workers=-1)["workers"]
                return {address: worker["resources"] for address, worker in workers.items()}
            except (OSError, TimeoutError, RuntimeError, KeyError) as error:
                if self._own is not None or time.monotonic() > deadline:
                    raise LoptbenchError(
                        f"the dask scheduler at {self.address} went away and did not come back; "
                        "start it again, and call the same command: it goes on from what is there"
                    ) from error
            self._say_once(f"the dask scheduler at {self.address} is away: waiting for it")
            self._workers.clear()  # their calls are made again
            with contextlib.suppress(Exception), quiet():
                client.close(timeout=1)
            with contextlib.suppress(LoptbenchError):
                self._client = self._connect()
                self.say(f"the dask scheduler at {self.address} is back")
                self._said.clear()

    def _say_once(self, sentence: str, subject: str = "") -> None:
        if (subject or sentence) not in self._said:
            self._said.add(subject or sentence)
            self.say(sentence)

    def _why_none_suits(self, call: Prepared | None) -> str:
        if not self._workers:
            return f"no workers came to {self.address} for {SECONDS_TO_COME_BACK:.0f} s"
        reasons = {reason for worker in self._workers.values() for reason in worker.reasons(call)}
        return f"no worker at {self.address} can go on: {'; '.join(sorted(reasons))}"

    def send(
        self, packed: bytes, address: str, name: str, resources: Mapping[str, float] | None = None
    ) -> "Future[Any]":
        """Let a worker make a call, in a process of its own.

        The worker unpickles a `Deferred`. A worker, or a scheduler, without loptbench can carry it,
        and the worker says what it lacks.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a call is large: it is sent once
            future: Future[Any] = self.client.submit(
                pickle.loads,
                pickle.dumps(Deferred(call_in_child, packed)),
                key=f"{name}-{os.urandom(8).hex()}",
                workers=[address],
                resources=dict(resources or {}),
                pure=False,
            )
        return future


class _Worker:
    """A worker of the cluster.

    Attributes:
        address: its address.
        resources: what it declares to have.
    """

    def __init__(self, cluster: Cluster, address: str, resources: Mapping[str, float]) -> None:
        self.cluster, self.address, self.resources = cluster, address, resources
        self._asked: dict[str, Future[Any]] = {}
        self._problems: dict[str, str] = {}
        self._future: Future[Any] | None = None
        self._ask("")

    def is_examined(self) -> bool:
        """Whether it has not answered yet what it has."""
        return bool(self._asked)

    def is_usable(self) -> bool:
        """Whether it has the code of the calling process."""
        return self._problems.get("") == ""

    def news(self) -> list[tuple[str, str]]:
        """The implementations that it is not used for, and why, as its answers of late say."""
        reasons = []
        for source, future in [*self._asked.items()]:
            if future.done():
                del self._asked[source]
                self._problems[source] = problem = self._answer(source, future)
                reasons += [(source, problem)] if problem else []
        return reasons

    def reasons(self, call: Prepared | None) -> list[str]:
        """Why it does not suit a call, or any."""
        sources = call.sources if call is not None else ()
        problems = [self._problems.get(source, "") for source in ("", *sources)]
        needs = call.call.needs if call is not None else Needs()
        if self.resources.get("GPU", 0) < needs.gpus:
            problems.append(
                f"none declares {needs.gpus} GPU: start workers with --resources GPU={needs.gpus}"
            )
        if self.resources.get("memory", needs.memory) < needs.memory:
            problems.append(f"none declares {needs.memory / 1e9:g} GB of memory")
        return [problem for problem in problems if problem]

    def suits(self, call: Prepared) -> bool:
        """Whether it has the implementations and resources of a call."""
        for source in call.sources - self._problems.keys() - self._asked.keys():
            self._ask(source)
        known = all(self._problems.get(source) == "" for source in call.sources)
        return known and not self.reasons(call)

    def submit(self, call: Prepared) -> "Future[Any]":
        """Begin a call."""
        self.cluster.waiting_since = None
        needs = _resources(call.call.needs, self.resources)
        name = call.call.function.__name__
        self._future = self.cluster.send(call.packed, self.address, name, needs)
        return self._future

    def result(self, future: "Future[Any]") -> Any:
        """What the function returned.

        Raises:
            WorkerLostError: the worker, or the scheduler, is gone.
        """
        return unpack(_bytes(future))

    def abandon(self) -> None:
        """Take back the call that it makes; if it has begun, it ends it in vain."""
        if self._future is not None:
            with contextlib.suppress(Exception), quiet():
                self._future.cancel()

    def _ask(self, source: str) -> None:
        """Ask what it has of an implementation, or of loptbench."""
        call = self.cluster.prepare(Call(versions_here, (source,)))
        future = self.cluster.send(call.packed, self.address, "versions")
        future.add_done_callback(lambda _: self.cluster.wake())
        self._asked[source] = future

    def _answer(self, source: str, future: "Future[Any]") -> str:
        """Why it cannot be used for an implementation, or at all; empty if it can."""
        try:
            worker: Versions = unpack(_bytes(future))
        except WorkerLostError:
            return "it did not answer"
        except ImportError as error:
            return f"{error}; install loptbench there, the same as here"
        except Exception as error:
            return f"it cannot make a call: {type(error).__name__}: {error}"
        return why_unsuitable(versions_here(source), worker)


def _bytes(future: "Future[Any]") -> bytes:
    try:
        with quiet():
            outcome: bytes = future.result()
    except Exception as error:
        if type(error).__name__ in LOST:
            raise WorkerLostError from error
        raise
    return outcome


def _resources(needs: Needs, declared: Mapping[str, float]) -> dict[str, float]:
    """What a call takes of what a worker declares, as dask counts it."""
    wanted = {"memory": needs.memory, "GPU": needs.gpus}
    return {name: amount for name, amount in wanted.items() if amount and name in declared}
