"""Engines: what runs calls of functions in workers, and starts those anew that a worker lost.

Work is given as chains. A chain is a generator in the calling process. It yields a call, is sent
what the call returned, and yields the next one. What happens between two calls, such as writing a
record or saving progress, happens in the calling process: workers write no files.

    def training(state):
        while not state.ended:
            state = yield Call(advance, (state,))
            save(state)
        return state

A worker that dies costs the call that it ran: the engine makes the same call in another one.
"""

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from loptbench.engines.child import WorkerLostError
from loptbench.errors import LoptbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_LOST = 5
"""So many workers may be lost in the same call. Then it is the call that ends them."""

SECONDS_BETWEEN_LOOKS = 0.5
"""How often an engine looks which workers there are."""


def _nothing() -> None:
    """Said to nobody."""


class Needs(NamedTuple):
    """What a call needs of its worker.

    Attributes:
        memory: bytes of memory; workers that do not declare theirs are not asked.
        gpus: the number of GPUs.
    """

    memory: int = 0
    gpus: int = 0


class Call(NamedTuple):
    """A call of a function, which a worker makes.

    Attributes:
        function: a function that other processes can import.
        arguments: its arguments, which are pickled.
        implementations: implementations by their source, `package.module:Object`. Where they occur
            in the arguments, a worker puts its own in their place.
        needs: what the worker must have.
        begins: called in the calling process whenever a worker begins the call.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    implementations: Mapping[str, Any] = {}
    needs: Needs = Needs()
    begins: Callable[[], None] = _nothing


class Fork(NamedTuple):
    """Yielded by a chain: chains that run beside it from now on, before those that have not begun.

    Attributes:
        chains: the chains; what they return is dropped.
    """

    chains: Sequence["Chain[Any]"]


Chain = Generator[Call | Fork, Any, Result]
"""Calls that are made one after the other; see the module."""


class Place(Protocol):
    """A worker. It makes one call at a time."""

    def suits(self, call: "Prepared") -> bool:
        """Whether the worker can make a call."""

    def submit(self, call: "Prepared") -> "Future[Any]":
        """Begin a call that suits it."""

    def abandon(self) -> None:
        """Nobody waits any more for the call that it makes."""

    def result(self, future: "Future[Any]") -> Any:
        """What the function returned; its exception is raised.

        Raises:
            WorkerLostError: the worker is gone.
        """


class Prepared(NamedTuple):
    """A call in the form that an engine's workers take.

    Attributes:
        call: the call.
        packed: the call in bytes; empty if workers need none.
        sources: the sources of the implementations that occur in its arguments.
    """

    call: Call
    packed: bytes = b""
    sources: frozenset[str] = frozenset()


class _Running:
    """A chain, and the call that it waits for."""

    def __init__(self, chain: Chain[Any], number: int | None) -> None:
        self.chain, self.number = chain, number
        self.prepared: Prepared
        self.n_lost = 0
        self.future: Future[Any] | None = None


class Engine(ABC):
    """Runs chains. It is a context manager, which ends its workers.

    Attributes:
        say: prints a sentence for the user, such as that a worker is of no use.
    """

    def __init__(self) -> None:
        self.say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)
        self._ended: SimpleQueue[tuple[Place, Future[Any]] | None] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def places(self) -> Sequence[Place]:
        """The workers that there are now; called at least every half second.

        Raises:
            LoptbenchError: there will be none.
        """

    @abstractmethod
    def prepare(self, call: Call) -> Prepared:
        """A call in the form that places take."""

    def none_suits(self, call: Prepared | None) -> None:
        """Nothing runs, and no worker suits this call; called at least every half second.

        Args:
            call: the call that waits; None if there is no worker at all.

        Raises:
            LoptbenchError: none will.
        """
        del call

    def close(self) -> None:
        """End the workers that are the engine's own."""
        return

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """A function of each item, in their order, each as soon as those before it are there.

        Args:
            function: a function that other processes can import.
            items: its arguments.
        """

        def chain(item: Item) -> Chain[Result]:
            result: Result = yield Call(function, (item,))
            return result

        early: dict[int, Result] = {}
        next_number = 0
        for number, result in self.as_ended(chain(item) for item in items):
            early[number] = result
            while next_number in early:
                yield early.pop(next_number)
                next_number += 1

    def run(self, chains: Iterable[Chain[Result]]) -> list[Result]:
        """Run chains, and return what they returned, in their order; see `as_ended`."""
        results = dict(self.as_ended(chains))
        return [results[number] for number in range(len(results))]

    def as_ended(self, chains: Iterable[Chain[Result]]) -> Iterator[tuple[int, Result]]:
        """Run chains side by side, as many as there are workers; the first ones begin first.

        Args:
            chains: the chains. One is taken when a worker is free.

        Yields: the number of a chain that has ended, and what it returned.

        Raises:
            LoptbenchError: no worker can make a call, or a call has ended too many of them.
            Exception: what a call or a chain raised. The other chains are closed.
        """
        progress = _Progress(self, chains)
        try:
            while progress.fill() or progress.results:
                while progress.results:
                    yield progress.results.popleft()
                try:
                    ended = self._ended.get(timeout=SECONDS_BETWEEN_LOOKS)
                except Empty:
                    continue
                if ended is not None:
                    progress.take(*ended)
        finally:
            progress.stop()

    def wake(self, place: Place | None = None, future: "Future[Any] | None" = None) -> None:
        """Called from any thread: a call has ended, or the workers should be looked at."""
        self._ended.put((place, future) if place is not None and future is not None else None)


class _Progress:
    """The chains of one run: those that have not begun, that wait for a worker, that run.

    Attributes:
        results: the numbers of chains that have ended of late, and what they returned.
    """

    def __init__(self, engine: Engine, chains: Iterable[Chain[Any]]) -> None:
        self.engine = engine
        self.results: deque[tuple[int, Any]] = deque()
        # The last iterator comes first: the chains that a chain forked into.
        self.not_begun: list[Iterator[_Running]] = [
            (_Running(chain, number) for number, chain in enumerate(chains))
        ]
        self.waiting: deque[_Running] = deque()
        self.running: dict[Place, _Running] = {}

    def fill(self) -> bool:
        """Give every free worker a call; False if all chains have ended."""
        places = self.engine.places()
        for place in [place for place in self.running if place not in places]:
            self._lost(self.running.pop(place))
        free = [place for place in places if place not in self.running]
        while free and (chosen := self._next(free)):
            each, place = chosen
            free.remove(place)
            self._submit(each, place)
        if not self.running and (self.waiting or self.not_begun):
            self.engine.none_suits(self.waiting[0].prepared if self.waiting else None)
        return bool(self.waiting or self.running or self.not_begun)

    def take(self, place: Place, future: "Future[Any]") -> None:
        """Hand a chain what its call returned; its next call goes to the same worker."""
        each = self.running.get(place)
        if each is None or each.future is not future:
            return  # it was abandoned
        del self.running[place]
        value, error = None, None
        try:
            value = place.result(future)
        except WorkerLostError:
            self._lost(each)
            return
        except Exception as raised:
            error = raised
        each.n_lost = 0
        if not self._advance(each, value, error):
            return
        if place in self.engine.places() and place.suits(each.prepared):
            self._submit(each, place)
        else:
            self.waiting.appendleft(each)

    def stop(self) -> None:
        """Close all chains that have not ended."""
        for place in self.running:
            place.abandon()
        for each in [*self.running.values(), *self.waiting]:
            each.chain.close()

    def _next(self, free: Sequence[Place]) -> tuple[_Running, Place] | None:
        """The next call that a free worker can make, and that worker."""
        for each in self.waiting:
            for place in free:
                if place.suits(each.prepared):
                    self.waiting.remove(each)
                    return each, place
        while self.not_begun:
            begun = next(self.not_begun[-1], None)
            if begun is None:
                self.not_begun.pop()
            elif self._advance(begun):
                for place in free:
                    if place.suits(begun.prepared):
                        return begun, place
                self.waiting.append(begun)
        return None

    def _submit(self, each: _Running, place: Place) -> None:
        each.prepared.call.begins()
        self.running[place] = each
        each.future = future = place.submit(each.prepared)
        future.add_done_callback(lambda future: self.engine.wake(place, future))

    def _advance(self, each: _Running, value: Any = None, error: Exception | None = None) -> bool:
        """Let a chain go on to its next call; False if it has ended."""
        chain = each.chain
        try:
            step = chain.send(value) if error is None else chain.throw(error)
            while isinstance(step, Fork):
                self.not_begun.append(_Running(forked, None) for forked in step.chains)
                step = next(chain)
        except StopIteration as end:
            if each.number is not None:
                self.results.append((each.number, end.value))
            return False
        each.prepared = self.engine.prepare(step)
        return True

    def _lost(self, each: _Running) -> None:
        each.n_lost += 1
        if each.n_lost == MAX_LOST:
            raise LoptbenchError(
                f"a process that ran trials died, {MAX_LOST} times in the same one, perhaps for "
                "want of memory; call again, with fewer processes if it happens again: it goes on "
                "from what is there"
            )
        self.waiting.appendleft(each)
