"""Time an outer step of meta-training beside two references, in the same process.

(a) The textbook step in JAX: a scan over inner steps, each of them recomputed in the backward pass.
    The framework computes all derivatives.
(b) The floor: the matrix products of an outer step and its gates' sigmoids and tanhs, forward and
    backward, computed by the framework, and nothing else.

All are timed in turn, several times, and medians are compared; the first call, compilation
included, is timed apart.
"""

import dataclasses
import functools
import multiprocessing
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.discovery import get_implementation
from loptbench.importing import import_object
from loptbench.protocol import MetaTrainsSideBySide
from loptbench.timing.baselines import REPEATS, peak_memory, seconds
from loptbench.training.loop import OuterLoop, training_batch
from loptbench.training.settings import MetaTraining

TEXTBOOK = "loptbench.implementations.{}.textbook:Textbook"


@dataclasses.dataclass(frozen=True)
class OuterStep:
    """The speed of one outer step.

    Attributes:
        implementation: the implementation that computed it.
        task: the task.
        architecture: the optimizer's architecture.
        n_units: units of the optimizer.
        n_components: parameters of all problems, of all seeds.
        n_steps: inner steps.
        first_seconds: the first call, compilation included.
        seconds: an outer step with clipping, Adam and the conversion to and from NumPy, median.
        textbook_seconds: (a), the meta-gradient alone, median.
        floor_seconds: (b), median; None if the implementation has none of the architecture.
    """

    implementation: str
    task: str
    architecture: str
    n_units: int
    n_components: int
    n_steps: int
    first_seconds: float
    seconds: float
    textbook_seconds: float | None
    floor_seconds: float | None

    @property
    def work(self) -> float:
        """Components · steps · units², to which the time should be proportional."""
        return float(self.n_components * self.n_steps * self.n_units**2)


def outer_steps(
    implementations: Iterable[str],
    config: MetaTraining,
    repeats: int = REPEATS,
    with_references: bool = True,
    n_seeds: int = 1,
) -> list[OuterStep]:
    """Time an outer step of each implementation.

    Args:
        implementations: their names.
        config: the settings of meta-training.
        repeats: the number of timings of each.
        with_references: time the references as well.
        n_seeds: the number of seeds that are trained side by side. If there are several,
            implementations that do not offer this are left out.
    """
    batch = training_batch(config, 0)
    spec = config.model_copy(update={"seed": 0}).fresh()
    calls: dict[tuple[str, str], Callable[[], object]] = {}
    names = [
        name
        for name in implementations
        if n_seeds == 1 or isinstance(get_implementation(name), MetaTrainsSideBySide)
    ]
    for name in names:
        calls[name, "step"] = _outer_step(get_implementation(name), config, n_seeds)
    if with_references:
        calls["jax", "textbook"] = _textbook("jax", spec, batch, config).meta_gradient
        for name in names:
            if find_spec(TEXTBOOK.format(name).partition(":")[0]) is not None:
                textbook = _textbook(name, spec, batch, config)
                if textbook.has_floor:
                    calls[name, "floor"] = textbook.floor
    first = {key: seconds(call) for key, call in calls.items()}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for _ in range(repeats):
        for key, call in calls.items():
            times[key].append(seconds(call))
    median = {key: float(np.median(taken)) for key, taken in times.items()}
    return [
        OuterStep(
            name,
            config.task,
            config.architecture,
            config.n_units,
            n_seeds * batch.initial_parameters.size,
            config.n_steps,
            first[name, "step"],
            median[name, "step"],
            median.get(("jax", "textbook")),
            median.get((name, "floor")),
        )
        for name in names
    ]


def _textbook(name: str, spec: Any, batch: Any, config: MetaTraining) -> Any:
    return import_object(TEXTBOOK.format(name))(
        spec, batch, config.n_steps, config.dtype, config.device
    )


def _outer_step(
    implementation: Any, config: MetaTraining, n_seeds: int = 1
) -> Callable[[], object]:
    configs = [config.model_copy(update={"seed": config.seed + i}) for i in range(n_seeds)]
    batches = [training_batch(each, 0) for each in configs]
    specs = [each.fresh() for each in configs]
    outers = [implementation.outer_init(spec.parameters, config).canonical() for spec in specs]
    if n_seeds > 1:
        return lambda: implementation.outer_steps(outers, specs[0], batches, config)
    return lambda: implementation.outer_step(outers[0], specs[0], batches[0], config)


def whole_over_steps(name: str, config: MetaTraining, repeats: int = REPEATS) -> float:
    """The time of a whole meta-training over that of its outer steps alone.

    Both are timed in turn, from one validation to the next: `validate_every` outer steps, in the
    whole one with their problems, a validation, the log and a save of the progress.

    Args:
        name: the name of the implementation.
        config: the settings.
        repeats: the number of timings of each.

    Returns: the ratio of the medians.
    """
    implementation = get_implementation(name)
    step = _outer_step(implementation, config)
    n = config.validate_every
    whole, alone = [], []
    with tempfile.TemporaryDirectory() as folder:
        loop = OuterLoop(implementation, config, [config.seed], Path(folder) / "partial")
        loop.advance(n)
        for number in range(2, repeats + 2):
            whole.append(seconds(functools.partial(loop.advance, number * n)))
            alone.append(seconds(lambda: [step() for _ in range(n)]))
    return float(np.median(whole) / np.median(alone))


def whole_trainings(
    names: Collection[str], configs: Iterable[MetaTraining], repeats: int = REPEATS
) -> Iterator[dict[str, Any]]:
    """For each implementation and settings, a whole meta-training over its outer steps alone."""
    for config in configs:
        for name in names:
            yield {
                "implementation": name,
                "architecture": config.architecture,
                "task": config.task,
                "n_units": config.n_units,
                "whole_over_steps": whole_over_steps(name, config, repeats),
            }


def peak_memory_of(name: str, config: MetaTraining) -> float:
    """The peak memory of two outer steps in a process of their own, in GiB.

    The memory of the framework itself, after an outer step of one unit, is subtracted.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, config))


def _peak(name: str, config: MetaTraining) -> float:
    implementation = get_implementation(name)
    _outer_step(implementation, config.model_copy(update={"n_units": 1, "batch_size": 1}))()
    before = peak_memory()
    step = _outer_step(implementation, config)
    step()
    step()
    return peak_memory() - before


KEPT = 16
"""Inner steps that the variant with less memory keeps, when its memory is measured."""


def peak_memories(
    names: Collection[str], configs: Iterable[MetaTraining]
) -> Iterator[dict[str, Any]]:
    """The peak memory of each implementation and settings, with all inner steps kept and few."""
    for config in configs:
        for name in names:
            for keep in (None, KEPT):
                with_less = config.model_copy(update={"bptt_segment": keep})
                yield {
                    "implementation": name,
                    "task": config.task,
                    "n_units": config.n_units,
                    "bptt_segment": keep,
                    "peak_memory_gib": peak_memory_of(name, with_less),
                }


def growing(start: MetaTraining) -> list[tuple[str, list[tuple[MetaTraining, int]]]]:
    """Settings that grow in one quantity at a time: problems, units, inner steps, or seeds.

    Args:
        start: the settings to start from.

    Returns: for each quantity, its name, and pairs of settings and number of seeds.
    """

    def times(name: str, factors: Iterable[int]) -> list[tuple[MetaTraining, int]]:
        return [(start.model_copy(update={name: f * getattr(start, name)}), 1) for f in factors]

    return [
        ("components", times("batch_size", (1, 2, 4))),
        ("units", [(start.model_copy(update={"n_units": n}), 1) for n in (64, 128, 256)]),
        ("steps", times("n_steps", (1, 2, 4))),
        ("seeds", [(start, n) for n in (1, 2, 5)]),
    ]
