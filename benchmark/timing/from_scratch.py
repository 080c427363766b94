"""How long the meta-trainings and searches of `reproduce --from-scratch` take.

The work is known: outer steps, and draws of hyperparameters. A few of each kind are timed.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from loptbench.study.reproduce import Training, trainings_of_the_zoo
from loptbench.timing.baselines import seconds
from loptbench.timing.outer_steps import outer_steps
from loptbench.training.settings import LATE
from loptbench.tuning.ranges import RANGES
from loptbench.tuning.search import DrawRunner
from loptbench.tuning.tuned_file import Search
from loptbench.zoo.catalogue import shipped, zoo

REPEATS = 3


class Made(NamedTuple):
    """A meta-training that is estimated.

    Attributes:
        training: what was to be made.
        n_outer_steps: the outer steps that it took; fewer than its settings allow at a plateau.
    """

    training: Training
    n_outer_steps: int


def made_in_the_zoo() -> list[Made]:
    """The meta-trainings of the zoo on CPUs, the longest first, as they are given to workers."""
    taken = [shipped(member.name).meta_training["log"][-1]["step"] for member in zoo()]
    made = [Made(*each) for each in zip(trainings_of_the_zoo(device="cpu"), taken, strict=True)]
    return sorted(made, key=lambda each: each.training.work, reverse=True)


def training_seconds(made: Iterable[Made]) -> Iterator[float]:
    """The time of the outer steps of each meta-training, without validations.

    Args:
        made: the meta-trainings. Outer steps of settings that occur several times are timed once.
    """
    known: dict[tuple[Any, ...], float] = {}
    for training, n_outer_steps in made:
        config = training.config
        n_early = n_outer_steps
        if config.late_batch_size is not None:
            n_early = min(n_early, int(LATE * config.n_outer_steps))
        total = 0.0
        for size, n in (
            (config.batch_size, n_early),
            (config.late_batch_size, n_outer_steps - n_early),
        ):
            if size is None or not n:
                continue
            kind = (config.task, config.architecture, config.n_units, config.n_steps, config.dtype)
            key = (training.by, *kind, config.device, config.bptt_segment, size)
            if key not in known:
                timed = config.model_copy(update={"batch_size": size, "seed": 0})
                [step] = outer_steps([training.by], timed, REPEATS, with_references=False)
                known[key] = step.seconds
            total += n * known[key]
        yield total


def search_seconds(implementation: Any, searches: Sequence[Search]) -> Iterator[float]:
    """The time of all draws of each search, at most: draws that cannot win are dropped early.

    Args:
        implementation: computes the runs.
        searches: the searches.
    """
    for task, kind, settings in searches:
        runner = DrawRunner(implementation, task, kind, settings, settings.dtype)
        places = np.random.default_rng(0).random((runner.group, len(RANGES[kind])))
        run = functools.partial(runner.run, places, np.inf)
        run()  # compiles
        yield seconds(run) * settings.n_total / runner.group
