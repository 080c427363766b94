"""The search for the hyperparameters of the baselines, as the paper tuned them, and then some.

For each baseline and task, `n_draws` hyperparameters are drawn at random from a wide range, each
uniform in the logarithm of a rate, or of 1 − decay. The score of a draw is the meta-objective, the
mean over problems of (1/n_steps) Σ_k f(x_k) / f(x_0), which learned optimizers are trained on. The
paper stops there; here some further draws follow, in boxes around the best so far, which become
smaller and fewer, with one hyperparameter in turn from its whole range, so that an independent
search of the same effort finds nothing noticeably better: the score of Adam has several valleys.

**Dropping early.** No loss of ours is negative, so the sum over the steps already taken, divided
by all steps, is a lower bound of a draw's score. A draw whose bound exceeds the complete score of
as many others as there will be boxes can neither win nor have a box, and is dropped: the winner is
the same as without. So is a run that is not finite: it has diverged, and its score is infinite.

**Memory and determinism.** Draws run side by side in groups of a fixed size, and in blocks, after
each of which everything found is handed over to be saved. The composition of groups depends on
nothing but what stands in the blocks before: resumed, a search finds the same to the last bit.
"""

import contextvars
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES, EPSILON, KINDS
from loptbench.protocol import Array, Sweep, Sweeps
from loptbench.rollout.trajectory import start_sweep, sweep
from loptbench.tasks import Task

Float = NDArray[np.float64]

GROUP_FLOATS = 2**23
"""About how many numbers the evaluations of one group hold: what bounds the memory."""
LARGEST_GROUP = 256
GROUPS_PER_BLOCK = 16
GROUPS_AT_ONCE = 2
"""A framework computes a group mostly in one thread; two at a time leave no core idle of two."""
LARGEST_BLOCK = 512
CHECKS_PER_RUN = 20
"""How often during a run draws can be dropped."""
MARGIN = 1e-4
"""By which share a bound must exceed the score to beat: more than float32 rounds a score by, or a
loss of exactly zero below zero."""
N_FINALISTS = 10
"""How many of the best are run again in float64, to find the winner among them."""


@dataclasses.dataclass(frozen=True)
class Range:
    """What a hyperparameter is drawn from, uniform in log₁₀.

    Attributes:
        low: the smallest value of what is drawn.
        high: the largest.
        of_complement: whether what is drawn is 1 − the hyperparameter, as for decays.
    """

    low: float
    high: float
    of_complement: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < np.inf or (self.of_complement and self.high > 1):
            raise LoptbenchError(
                f"a range needs 0 < low < high (at most 1 for 1 − decay), but it is "
                f"{self.low} to {self.high}"
            )

    def at(self, place: Float) -> Float:
        """The hyperparameter at a place from 0 to 1."""
        low, high = np.log10([self.low, self.high])
        value = 10 ** (low + np.clip(place, 0, 1) * (high - low))
        return np.asarray(1 - value if self.of_complement else value)

    def place(self, hyperparameter: float) -> float:
        """Where a hyperparameter lies, 0 to 1."""
        value = 1 - hyperparameter if self.of_complement else hyperparameter
        low, high = np.log10([self.low, self.high])
        return float((np.log10(value) - low) / (high - low))


_RATE = Range(1e-5, 1e2)
_DECAY = Range(1e-4, 1.0, of_complement=True)
RANGES: dict[str, dict[str, Range]] = {
    kind: {name: _RATE if name == "alpha" else _DECAY for name in names}
    for kind, names in BASELINES.items()
}
"""The ranges, by baseline and hyperparameter: the same on all tasks. ε stays at 1e-8."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a baseline is tuned on a task.

    Attributes:
        n_draws: draws from the whole range.
        n_refining: draws in each stage of refining.
        boxes: for each of these stages, around how many of the best draws so far a box lies, and
            its half-width as a share of the range.
        n_problems: problems of the `tune` split.
        seed: the seed of draws and problems.
        dtype: what the search computes in; its best draws are run again in float64.
        drop_early: whether beaten draws are dropped; the winner is the same.
    """

    n_draws: int = 2500
    n_refining: int = 600
    boxes: tuple[tuple[int, float], ...] = ((10, 0.08), (4, 0.03), (1, 0.01))
    n_problems: int = 64
    seed: int = 0
    dtype: str = "float64"
    drop_early: bool = True

    def __post_init__(self) -> None:
        for name in ("n_draws", "n_problems"):
            if getattr(self, name) < 1:
                raise LoptbenchError(
                    f"{name} of the tuner must be at least 1, but it is {getattr(self, name)}"
                )
        if self.n_refining < 0 or not all(n > 0 and 0 < width <= 1 for n, width in self.boxes):
            raise LoptbenchError(
                f"the tuner needs n_refining ≥ 0 and boxes of half-widths between 0 and 1, but "
                f"they are {self.n_refining} and {self.boxes}"
            )

    @property
    def n_total(self) -> int:
        """All draws, those of the boxes included."""
        return self.n_draws + len(self.boxes) * self.n_refining


def default_settings(task: str) -> Settings:
    """The settings of the shipped search: networks cost more, and are searched in float32."""
    if task in ("quadratic", "rosenbrock"):
        return Settings()
    boxes = ((5, 0.08), (2, 0.03), (1, 0.01))
    return Settings(n_refining=120, boxes=boxes, n_problems=16, dtype="float32")


@dataclasses.dataclass
class Found:
    """What a search knows of its draws so far; grows by whole blocks.

    Attributes:
        places: where the draws lie in their ranges, (n, n_hyperparameters).
        score: complete scores; infinite where dropped or diverged, (n,).
        bound: the lower bound at which a draw was dropped, else its score, (n,).
        diverged: whether a run was not finite, (n,).
    """

    places: Float
    score: Float
    bound: Float
    diverged: NDArray[np.bool_]

    @classmethod
    def nothing(cls, n_hyperparameters: int) -> "Found":
        """Before the first block."""
        none = np.zeros(0)
        return cls(np.zeros((0, n_hyperparameters)), none, none, np.zeros(0, bool))

    def __add__(self, other: "Found") -> "Found":
        return Found(
            *(
                np.concatenate([getattr(self, f.name), getattr(other, f.name)])
                for f in dataclasses.fields(self)
            )
        )

    @property
    def best(self) -> float:
        """The best complete score; infinite if there is none yet."""
        return self.to_beat(1)

    def to_beat(self, n: int) -> float:
        """The score of the n-th best draw: what is worse is not among the best n."""
        return float(np.sort(self.score)[n - 1]) if len(self.score) >= n else np.inf


def uniform(task: str, kind: str, seed: int, numbers: range) -> Float:
    """The random numbers of these draws, (n, n_hyperparameters): the same for every implementation.

    As in `loptbench.tasks.streams`: the key is made of purpose and seed, the counter of the number.
    """
    name = hashlib.sha256(f"tuning/{task}/{kind}".encode()).digest()
    key = np.array([int.from_bytes(name[:8], "little"), seed], dtype=np.uint64)
    rows = [
        np.random.Generator(
            np.random.Philox(key=key, counter=np.array([0, 0, 0, number], dtype=np.uint64))
        ).random(len(BASELINES[kind]))
        for number in numbers
    ]
    return np.stack(rows)


def hyperparameters(kind: str, places: Float) -> dict[str, Float]:
    """The hyperparameters at these places, by name, (n,) each."""
    named = zip(RANGES[kind].items(), places.T, strict=True)
    return {name: one.at(column) for (name, one), column in named}


def group_size(task: Task, n_problems: int) -> int:
    """How many draws run side by side, within the memory that a group may take."""
    return int(np.clip(GROUP_FLOATS // (n_problems * task.n_floats), 1, LARGEST_GROUP))


def block_size(task: Task, settings: Settings) -> int:
    """How many draws a block has."""
    return min(GROUPS_PER_BLOCK * group_size(task, settings.n_problems), LARGEST_BLOCK)


class Runner:
    """Runs draws of one baseline on one task's problems in one implementation."""

    def __init__(
        self, implementation: Any, task: Task, kind: str, settings: Settings, dtype: str
    ) -> None:
        self.implementation, self.kind, self.dtype = implementation, kind, dtype
        self.settings, self.n_steps = settings, task.n_steps
        self.group = group_size(task, settings.n_problems)
        self.segment = -(-task.n_steps // CHECKS_PER_RUN)
        self.batch = task.sample("tune", settings.seed, range(settings.n_problems))
        self.problems = implementation.problems(self.batch, dtype, "cpu")
        self.constants = dict.fromkeys(KINDS[kind].constants, EPSILON)

    def run(self, places: Float, to_beat: float) -> Found:
        """Run these draws to their end, or until their bound exceeds the score to beat."""
        draws = hyperparameters(self.kind, places)
        n = len(places)
        found = Found(places, np.full(n, np.inf), np.zeros(n), np.zeros(n, bool))
        alive = np.arange(n)
        at = start_sweep(self.batch, self.kind, n, self.dtype)
        first: Float | None = None
        for start in range(0, self.n_steps, self.segment):
            if not alive.size:
                break
            loss, at = self._side_by_side({k: v[alive] for k, v in draws.items()}, at)
            if first is None:
                first = loss[0]  # the same for every draw: all start at the same parameters
            counted = loss[: self.n_steps - start].astype(np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                share = np.mean(np.sum(counted, axis=0) / first[0], axis=-1) / self.n_steps
            bound = found.bound[alive] + share
            finite = np.isfinite(bound) & np.all(np.isfinite(counted), axis=(0, 2))
            beaten = finite & (bound > to_beat * (1 + MARGIN)) & self.settings.drop_early
            found.bound[alive] = np.where(finite, bound, np.inf)
            found.diverged[alive] = ~finite
            kept = finite & ~beaten
            alive, at = alive[kept], Sweep(*(array[kept] for array in at))
        found.score[alive] = found.bound[alive]
        return found

    def _side_by_side(self, draws: Mapping[str, Array], at: Sweep) -> tuple[Array, Sweep]:
        """A segment of all these draws, group by group; the last group is filled with repeats."""
        n = len(at.step)

        def of_group(start: int) -> tuple[Array, Sweep]:
            chosen = np.minimum(np.arange(start, start + self.group), n - 1)
            loss, end = sweep(
                self.implementation,
                self.kind,
                {name: values[chosen] for name, values in draws.items()},
                self.constants,
                self.problems,
                Sweep(*(array[chosen] for array in at)),
                self.segment,
                self.dtype,
            )
            n_here = min(self.group, n - start)
            return loss[:, :n_here], Sweep(*(array[:n_here] for array in end))

        n_at_once = GROUPS_AT_ONCE if isinstance(self.implementation, Sweeps) else 1
        with ThreadPoolExecutor(n_at_once) as pool:
            # A thread begins without the settings of this one, such as NumPy's on overflow.
            waited = [
                pool.submit(contextvars.copy_context().run, of_group, start)
                for start in range(0, n, self.group)
            ]
            losses, ends = zip(*(one.result() for one in waited), strict=True)
        columns = zip(*ends, strict=True)
        return np.concatenate(losses, axis=1), Sweep(*(np.concatenate(c) for c in columns))


def search(
    implementation: Any, task: Task, kind: str, settings: Settings, found: Found
) -> Iterator[Found]:
    """Go on with a search: yields everything found so far after each block, until all is done.

    Args:
        implementation: what computes it.
        task: the task.
        kind: the baseline.
        settings: how it is tuned.
        found: what an earlier call has yielded, to go on from there.
    """
    runner = Runner(implementation, task, kind, settings, settings.dtype)
    size = block_size(task, settings)
    # The first block is one group: it makes the score that the draws after it have to beat.
    ends = [min(runner.group, settings.n_draws), *range(size, settings.n_draws, size)]
    stages = [settings.n_draws + i * settings.n_refining for i in range(len(settings.boxes) + 1)]
    for done, stop in itertools.pairwise(stages):
        ends += range(done, stop, size)
    for end in sorted({*ends, settings.n_total}):
        start = len(found.score)
        if end > start:
            places = uniform(task.name, kind, settings.seed, range(start, end))
            stage = 0
            if start >= settings.n_draws:
                stage = 1 + (start - settings.n_draws) // settings.n_refining
                box = settings.boxes[stage - 1]
                places = _refined(places, np.arange(start, end), found, *box)
            # What could still have a box in a later stage is not dropped.
            n_boxes = max((n for n, _ in settings.boxes[stage:]), default=1)
            found = found + runner.run(places, found.to_beat(n_boxes))
            yield found


def _refined(
    places: Float, numbers: NDArray[np.int64], found: Found, n: int, width: float
) -> Float:
    """From places anywhere to places in boxes around the `n` best draws, in turn.

    As long as there are several boxes, draws leave one hyperparameter in turn, or none, as it is:
    anywhere in its range.
    """
    best = found.places[np.argsort(found.score, kind="stable")[:n]]
    boxed = np.clip(best[numbers % len(best)] + width * (2 * places - 1), 0, 1)
    if n == 1:
        return boxed
    n_places = places.shape[1]
    anywhere = numbers[:, None] % (n_places + 1) == np.arange(n_places)
    return np.where(anywhere, places, boxed)


def winner(
    implementation: Any, task: Task, kind: str, settings: Settings, found: Found
) -> tuple[int, float]:
    """The number of the best draw and its score: the best few, run again in float64.

    Raises:
        LoptbenchError: every draw diverged.
    """
    order = np.argsort(found.score, kind="stable")[:N_FINALISTS]
    order = order[np.isfinite(found.score[order])]
    if not order.size:
        raise LoptbenchError(
            f"all {len(found.score)} draws of {kind} on {task.name} diverged: draw more"
        )
    exact = dataclasses.replace(settings, drop_early=False)
    scores = Runner(implementation, task, kind, exact, "float64").run(found.places[order], np.inf)
    best = int(np.argmin(scores.score))
    return int(order[best]), float(scores.score[best])
