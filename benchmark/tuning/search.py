"""Random search for the hyperparameters of the baselines, as in the paper, then refined.

For each baseline and task, `n_draws` hyperparameters are drawn at random from a wide range, each
uniform in the logarithm of a rate, or of 1 − decay. The score of a draw is the meta-objective, the
mean over problems of (1/n_steps) Σ_k f(x_k) / f(x_0), which learned optimizers are trained on. The
paper stops there. Here, further draws follow in boxes around the best draws so far. The boxes
become smaller and fewer, and one hyperparameter in turn is drawn from its whole range, because the
score of Adam has several valleys. An independent search of the same effort finds nothing noticeably
better.

**Dropping early.** No loss of a task is negative, so the sum over the steps already taken, divided
by all steps, is a lower bound of a draw's score. A draw whose bound exceeds the complete score of
as many other draws as there will be boxes can neither win nor have a box. It is dropped, which does
not change the winner. A run that is not finite has diverged: it is dropped with an infinite score.

**Memory and determinism.** Draws run side by side in groups of a fixed size, and in blocks, after
each of which all results are yielded to be saved. The composition of groups depends only on the
blocks before: a search that is resumed gives the same results to the last bit.
"""

import contextvars
import dataclasses
import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.optimizers import EPSILON, HYPERPARAMETERS, KINDS
from loptbench.protocol import Array, Sweep, Sweeps
from loptbench.rollout.trajectory import start_sweep, sweep
from loptbench.tasks import SHIPPED, Task
from loptbench.tuning.ranges import RANGES, Float, hyperparameters

MAX_GROUP_ELEMENTS = 2**23
"""Approximate bound of the numbers that the evaluations of a group hold; it bounds the memory."""
MAX_GROUP_SIZE = 256
"""Largest number of draws in a group."""
MAX_BLOCK_SIZE = 512
"""Largest number of draws in a block."""
GROUPS_PER_BLOCK = 16
N_GROUP_THREADS = 2
"""Groups that run at a time. A framework computes a group mostly in one thread, so two groups keep
two cores busy."""
N_DROP_CHECKS = 20
"""Times during a run at which draws can be dropped."""
DROP_MARGIN = 1e-4
"""Relative margin by which the bound of a dropped draw exceeds the score to beat: more than the
rounding of a score, or of a loss of zero below zero, in float32."""
N_FINALISTS = 10
"""Best draws that run again in float64, which decides the winner."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a baseline is tuned on a task.

    Attributes:
        n_draws: draws from the whole range.
        n_refining: draws in each refining stage.
        boxes: for each refining stage, the number of best draws that have a box around them, and
            its half-width as a fraction of the range.
        n_problems: problems of the `tune` split.
        seed: seed of draws and problems.
        dtype: dtype of the search; its best draws run again in float64.
        drop_early: whether draws that cannot win are dropped; the winner is the same.
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
        """Number of all draws, those in boxes included."""
        return self.n_draws + len(self.boxes) * self.n_refining


def default_settings(task: str, dtypes: Collection[str] = ("float32", "float64")) -> Settings:
    """The settings of the shipped search. Networks cost more; their search is in float32.

    A task from outside is searched like a network, in float64 where there is no float32.

    Args:
        task: the task's name.
        dtypes: the dtypes that the implementation computes in.
    """
    if task in ("quadratic", "rosenbrock"):
        return Settings(n_problems=512)
    boxes = ((5, 0.08), (2, 0.03), (1, 0.01))
    is_float32 = "float32" in dtypes or task in SHIPPED
    dtype = "float32" if is_float32 else "float64"
    return Settings(n_refining=120, boxes=boxes, n_problems=16, dtype=dtype)


def replaced(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Settings with some of them replaced; a search of fewer draws is also refined with fewer.

    >>> replaced(Settings(), {"n_draws": 200}).n_refining
    48
    >>> replaced(Settings(), {"n_draws": 200, "n_refining": 5}).n_refining
    5
    """
    new = dataclasses.replace(settings, **changes)
    if "n_refining" in changes:
        return new
    share = settings.n_refining / settings.n_draws
    return dataclasses.replace(new, n_refining=round(share * new.n_draws))


@dataclasses.dataclass
class Draws:
    """The draws of a search so far, with their scores.

    Attributes:
        places: places of the draws in their ranges, 0 to 1, (n, n_hyperparameters).
        score: complete scores, (n,); infinite if the draw was dropped or diverged.
        bound: lower bound of the score when the draw was dropped, else its score, (n,).
        diverged: whether a run was not finite, (n,).
    """

    places: Float
    score: Float
    bound: Float
    diverged: NDArray[np.bool_]

    @classmethod
    def none(cls, n_hyperparameters: int) -> "Draws":
        """No draws: the state before the first block."""
        empty = np.zeros(0)
        return cls(np.zeros((0, n_hyperparameters)), empty, empty, np.zeros(0, bool))

    def __add__(self, later: "Draws") -> "Draws":
        return Draws(
            *(
                np.concatenate([getattr(self, f.name), getattr(later, f.name)])
                for f in dataclasses.fields(self)
            )
        )

    @property
    def best(self) -> float:
        """The best complete score; infinite if there is none yet."""
        return self.nth_best(1)

    def nth_best(self, n: int) -> float:
        """The score of the n-th best draw; infinite if there are fewer."""
        return float(np.sort(self.score)[n - 1]) if len(self.score) >= n else np.inf


def uniform(task: str, kind: str, seed: int, numbers: range) -> Float:
    """Random numbers of these draws, (n, n_hyperparameters), the same for every implementation.

    As in `loptbench.tasks.streams`, purpose and seed make the key, and the number of the draw the
    counter. An adapted optimizer has the numbers of a baseline with as many hyperparameters: two
    searches over equal ranges then make equal draws.
    """
    n_hyperparameters = len(RANGES[kind])
    alike = [name for name, names in HYPERPARAMETERS.items() if len(names) == n_hyperparameters]
    stream = kind if kind in HYPERPARAMETERS or not alike else alike[0]
    name = hashlib.sha256(f"tuning/{task}/{stream}".encode()).digest()
    key = np.array([int.from_bytes(name[:8], "little"), seed], dtype=np.uint64)
    rows = [
        np.random.Generator(
            np.random.Philox(key=key, counter=np.array([0, 0, 0, number], dtype=np.uint64))
        ).random(n_hyperparameters)
        for number in numbers
    ]
    return np.stack(rows)


def group_size(task: Task, n_problems: int) -> int:
    """The number of draws that run side by side, within the memory of a group."""
    return int(np.clip(MAX_GROUP_ELEMENTS // (n_problems * task.n_floats), 1, MAX_GROUP_SIZE))


def block_size(task: Task, settings: Settings) -> int:
    """The number of draws in a block."""
    return min(GROUPS_PER_BLOCK * group_size(task, settings.n_problems), MAX_BLOCK_SIZE)


class DrawRunner:
    """Runs the draws of one baseline on one task's problems in one implementation."""

    def __init__(
        self, implementation: Any, task: Task, kind: str, settings: Settings, dtype: str
    ) -> None:
        self.implementation, self.kind, self.dtype = implementation, kind, dtype
        self.settings, self.n_steps = settings, task.n_steps
        self.group = group_size(task, settings.n_problems)
        self.segment = -(-task.n_steps // N_DROP_CHECKS)
        self.batch = task.sample("tune", settings.seed, range(settings.n_problems))
        self.problems = implementation.problems(self.batch, dtype, "cpu")
        known = {"epsilon": EPSILON, "n_steps": float(task.n_steps)}
        self.constants = {name: known[name] for name in KINDS[kind].constants}

    def run(self, places: Float, to_beat: float) -> Draws:
        """Run draws to their end, or until their bound exceeds the score to beat."""
        values = hyperparameters(self.kind, places)
        n = len(places)
        draws = Draws(places, np.full(n, np.inf), np.zeros(n), np.zeros(n, bool))
        alive = np.arange(n)
        at = start_sweep(self.batch, self.kind, values, self.dtype)
        first: Float | None = None
        for start in range(0, self.n_steps, self.segment):
            if not alive.size:
                break
            loss, at = self._side_by_side({k: v[alive] for k, v in values.items()}, at)
            if first is None:
                first = loss[0]  # equal for all draws, which start at the same parameters
            counted = loss[: self.n_steps - start].astype(np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                part = np.mean(np.sum(counted, axis=0) / first[0], axis=-1) / self.n_steps
            bound = draws.bound[alive] + part
            finite = np.isfinite(bound) & np.all(np.isfinite(counted), axis=(0, 2))
            beaten = finite & (bound > to_beat * (1 + DROP_MARGIN)) & self.settings.drop_early
            draws.bound[alive] = np.where(finite, bound, np.inf)
            draws.diverged[alive] = ~finite
            running = finite & ~beaten
            alive, at = alive[running], Sweep(*(array[running] for array in at))
        draws.score[alive] = draws.bound[alive]
        return draws

    def _side_by_side(self, values: Mapping[str, Array], at: Sweep) -> tuple[Array, Sweep]:
        """One segment of all draws, by group; repeats of the last draw fill the last group."""
        n = len(at.step)

        def of_group(start: int) -> tuple[Array, Sweep]:
            chosen = np.minimum(np.arange(start, start + self.group), n - 1)
            loss, end = sweep(
                self.implementation,
                self.kind,
                {name: column[chosen] for name, column in values.items()},
                self.constants,
                self.problems,
                Sweep(*(array[chosen] for array in at)),
                self.segment,
                self.dtype,
            )
            n_here = min(self.group, n - start)
            return loss[:, :n_here], Sweep(*(array[:n_here] for array in end))

        n_at_once = N_GROUP_THREADS if isinstance(self.implementation, Sweeps) else 1
        with ThreadPoolExecutor(n_at_once) as pool:
            # A new thread does not have the context of this one, such as NumPy's error handling.
            futures = [
                pool.submit(contextvars.copy_context().run, of_group, start)
                for start in range(0, n, self.group)
            ]
            losses, ends = zip(*(future.result() for future in futures), strict=True)
        columns = zip(*ends, strict=True)
        return np.concatenate(losses, axis=1), Sweep(*(np.concatenate(c) for c in columns))


def search(
    implementation: Any, task: Task, kind: str, settings: Settings, draws: Draws
) -> Iterator[Draws]:
    """Run a search, or continue one.

    Args:
        implementation: computes the runs.
        task: the task.
        kind: the baseline.
        settings: the settings of the search.
        draws: what an earlier call yielded last, or `Draws.none(...)`.

    Yields: all draws so far, after each block.
    """
    runner = DrawRunner(implementation, task, kind, settings, settings.dtype)
    size = block_size(task, settings)
    # The first block is one group, whose scores later draws have to beat.
    ends = [min(runner.group, settings.n_draws), *range(size, settings.n_draws, size)]
    stages = [settings.n_draws + i * settings.n_refining for i in range(len(settings.boxes) + 1)]
    for stage_start, stop in itertools.pairwise(stages):
        ends += range(stage_start, stop, size)
    for end in sorted({*ends, settings.n_total}):
        start = len(draws.score)
        if end > start:
            places = uniform(task.name, kind, settings.seed, range(start, end))
            stage = 0
            if start >= settings.n_draws:
                stage = 1 + (start - settings.n_draws) // settings.n_refining
                box = settings.boxes[stage - 1]
                places = _refined(places, np.arange(start, end), draws, *box)
            # A draw that could still have a box in a later stage is not dropped.
            n_boxes = max((n for n, _ in settings.boxes[stage:]), default=1)
            draws = draws + runner.run(places, draws.nth_best(n_boxes))
            yield draws


def _refined(
    places: Float, numbers: NDArray[np.int64], draws: Draws, n: int, width: float
) -> Float:
    """Map places in the whole range to places in boxes around the `n` best draws, in turn.

    While there are several boxes, one hyperparameter in turn, or none, keeps its place in the whole
    range.
    """
    best = draws.places[np.argsort(draws.score, kind="stable")[:n]]
    boxed = np.clip(best[numbers % len(best)] + width * (2 * places - 1), 0, 1)
    if n == 1:
        return boxed
    n_places = places.shape[1]
    anywhere = numbers[:, None] % (n_places + 1) == np.arange(n_places)
    return np.where(anywhere, places, boxed)


def winner(
    implementation: Any, task: Task, kind: str, settings: Settings, draws: Draws
) -> tuple[int, float]:
    """The number of the best draw and its score, after a run of the best few in float64.

    Raises:
        LoptbenchError: every draw diverged.
    """
    order = np.argsort(draws.score, kind="stable")[:N_FINALISTS]
    order = order[np.isfinite(draws.score[order])]
    if not order.size:
        raise LoptbenchError(
            f"all {len(draws.score)} draws of {kind} on {task.name} diverged: draw more"
        )
    exact = dataclasses.replace(settings, drop_early=False)
    scores = DrawRunner(implementation, task, kind, exact, "float64").run(
        draws.places[order], np.inf
    )
    best = int(np.argmin(scores.score))
    return int(order[best]), float(scores.score[best])
