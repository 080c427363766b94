"""The search of the outer settings: random draws, of which fewer and fewer are trained longer.

As the authors did, outer settings are drawn at random and the best validated draw wins. Most draws
are soon seen to be bad. Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) spends
the time on the others: in round i = 0, 1, … each draw that is left is trained up to outer step
first_steps · reductionⁱ, going on from where it was, and the best 1/reduction of them stay. In the
last round several seeds are trained with each draw.

The score of a draw is its best validated meta-objective on the problems of the split `validate`,
the mean over its seeds. A draw whose meta-gradients are not finite many times in a row scores ∞.

The seeds of the search are used for nothing else: no seed of the zoo has been searched on.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from loptbench.discovery import get_implementation, source_of
from loptbench.engines.engine import Chain, Engine
from loptbench.engines.local import ThisProcess
from loptbench.errors import LoptbenchError
from loptbench.progress import Report
from loptbench.reading import read_file
from loptbench.results.provenance import versions_of
from loptbench.storage.files import lock, require_writable, write_atomically
from loptbench.tasks import definition, get_task, is_defined_as
from loptbench.training.chain import advancing
from loptbench.training.loop import NotFiniteError, OuterLoop, require_meta_training
from loptbench.training.settings import MetaTraining
from loptbench.training.space import SPACE, Space, Uniform
from loptbench.training.validations import best_validated

FIRST_SEED = 1000
"""The search trains seeds from this one on."""


class MetaTuning(BaseModel):
    """How the outer settings are searched.

    Attributes:
        n_draws: draws of the first round.
        reduction: the part of the draws that stays after a round is 1/`reduction`, and each round
            trains up to `reduction` times the outer steps of the one before.
        n_rounds: rounds.
        first_steps: outer steps of the first round.
        n_seeds: seeds of each draw in the last round; the rounds before have one.
        seed: seed of the draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_draws: int = Field(default=27, ge=1)
    reduction: int = Field(default=3, ge=2)
    n_rounds: int = Field(default=3, ge=1)
    first_steps: int = Field(default=60, ge=1)
    n_seeds: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)

    @property
    def n_outer_steps(self) -> int:
        """Outer steps of the last round.

        >>> MetaTuning().n_outer_steps
        540
        """
        return self.steps(self.n_rounds - 1)

    def steps(self, round_number: int) -> int:
        """Outer steps that the draws of a round are trained up to."""
        return int(self.first_steps * self.reduction**round_number)

    def n_left(self, round_number: int) -> int:
        """Draws that are trained in a round, counted from 0.

        >>> [MetaTuning().n_left(number) for number in range(3)]
        [27, 9, 3]
        """
        n_left: int = math.ceil(self.n_draws / self.reduction**round_number)
        return max(1, n_left)

    @property
    def n_trainings(self) -> int:
        """How often a seed of a draw is trained up to the steps of a round.

        >>> MetaTuning().n_trainings
        45
        """
        rounds = range(self.n_rounds)
        return sum(len(self.seeds(number)) * self.n_left(number) for number in rounds)

    def require_enough_draws(self) -> None:
        """Refuse more rounds than there are draws for.

        Raises:
            LoptbenchError: fewer draws would be left for some round than its share.
        """
        needed = self.reduction ** (self.n_rounds - 1)
        if self.n_draws < needed:
            raise LoptbenchError(
                f"{self.n_draws} draws are too few for {self.n_rounds} rounds: 1 in "
                f"{self.reduction} stays after each, so at least {needed} are needed"
            )

    def seeds(self, round_number: int) -> list[int]:
        """The seeds that are trained with each draw in a round."""
        last = round_number == self.n_rounds - 1
        return [FIRST_SEED + i for i in range(self.n_seeds if last else 1)]


class Round(BaseModel):
    """What a draw scored in a round.

    Attributes:
        outer_steps: outer steps that it was trained up to.
        validations: best validated meta-objective of each seed, by seed; None if not finite.
    """

    outer_steps: int
    validations: dict[int, float | None]

    @property
    def score(self) -> float:
        """The mean over seeds; infinite if one failed."""
        values = [math.inf if value is None else value for value in self.validations.values()]
        return float(np.mean(values))


class Draw(BaseModel):
    """Outer settings that were drawn, and what they scored.

    Attributes:
        number: the number of the draw, from 0.
        settings: the settings that differ from draw to draw.
        rounds: the rounds that it was trained in.
    """

    number: int
    settings: dict[str, float | str]
    rounds: list[Round] = []


class MetaTuned(BaseModel):
    """The record of a search.

    Attributes:
        implementation: the name of the implementation that computed it.
        versions: versions of what computed it.
        search: how it was searched.
        base: the settings that all draws share.
        task_definition: settings and data of the task; None in records of earlier versions.
        space: the ranges and choices.
        draws: all draws, in order.
        best: the number of the draw that won.
    """

    format: int = 1
    implementation: str
    versions: dict[str, str]
    search: MetaTuning
    base: MetaTraining
    task_definition: dict[str, Any] | None = None
    space: dict[str, Uniform | tuple[str, ...]]
    draws: list[Draw]
    best: int

    @property
    def settings(self) -> dict[str, float | str]:
        """The settings that won."""
        return self.draws[self.best].settings

    def preset(self) -> str:
        """The settings of a meta-training, as a TOML file that says where they come from."""
        scores = ", ".join(f"{each.score:.4f}" for each in self.draws[self.best].rounds)
        steps = ", ".join(f"{each.outer_steps}" for each in self.draws[self.best].rounds)
        lines = [
            f"# Found by `loptbench meta-tune {self.base.task}`: draw {self.best} of",
            f"# {len(self.draws)}, computed by {self.implementation}. It validated at {scores}",
            f"# after {steps} outer steps.",
        ]
        shared = self.base.model_dump(exclude_none=True, exclude={"preset", "seed", "device"})
        for name, value in {**shared, **self.settings}.items():
            lines.append(f"{name} = {json.dumps(value)}")
        return "\n".join(lines) + "\n"


def draw_settings(
    search: MetaTuning, task: str, number: int, space: Space = SPACE
) -> dict[str, float | str]:
    """The settings of a draw; those of different tasks and numbers are independent.

    >>> draw_settings(MetaTuning(), "quadratic", 0)["clipping"]
    'elementwise'
    """
    rng = np.random.default_rng([search.seed, number, *task.encode()])
    drawn: dict[str, float | str] = {}
    for name, values in space.items():
        place = rng.uniform()
        if isinstance(values, Uniform):
            drawn[name] = values.at(place)
        else:
            drawn[name] = values[int(place * len(values))]
    return drawn


def meta_tune(
    implementation: str,
    base: MetaTraining,
    search: MetaTuning,
    output: Path,
    engine: Engine | None = None,
    report: Report = lambda *_: None,
    space: Space = SPACE,
) -> MetaTuned:
    """Search the outer settings of a task and write the record to `output`.

    Each training saves its progress in the folder `output` + `.trainings`. A call with the same
    arguments resumes from there and ends with the same bytes. When all is done, it returns the
    record.

    Args:
        implementation: the name of an implementation that offers level 5; each process makes its
            own.
        base: the settings that all draws share, such as task, units and batch size.
        search: how to search.
        output: the JSON file to write; one of another search must not exist.
        engine: what trains, in each worker one draw and seed at a time; this process if None.
        report: called with the number of trainings done and a line of text.
        space: the ranges and choices of the settings.

    Raises:
        LoptbenchError: the output exists or cannot be written, there are too few draws for the
            rounds, or every draw failed.
    """
    computing = get_implementation(implementation)
    require_meta_training(computing, base)
    drawn = space.get("architecture")
    for architecture in drawn if isinstance(drawn, tuple) else ():
        require_meta_training(computing, base.model_copy(update={"architecture": architecture}))
    search.require_enough_draws()
    shared = base.model_copy(
        update={
            "n_outer_steps": search.n_outer_steps,
            "decay_steps": search.n_outer_steps,
            "validate_every": search.first_steps,  # so at the end of each round
        }
    )
    if output.exists():
        return _done(output, computing.name, shared, search, space)
    require_writable(output)
    folder = output.with_name(output.name + ".trainings")
    if folder.exists() and not folder.is_dir():
        raise LoptbenchError(f"cannot make the folder {folder}: it is a file; move it")
    with lock(output, "a search of outer settings"):
        _begin(folder, computing.name, shared, search, space)
        draws = [
            Draw(number=i, settings=draw_settings(search, base.task, i, space))
            for i in range(search.n_draws)
        ]
        trainings = _Trainings(implementation, shared, folder, engine or ThisProcess(), report)
        left = draws
        for number in range(search.n_rounds):
            trainings.train(left, search.steps(number), search.seeds(number))
            left = sorted(left, key=lambda draw: draw.rounds[-1].score)
            if math.isinf(left[0].rounds[-1].score):
                raise LoptbenchError(
                    f"meta-gradients were not finite with any of {len(left)} draws; "
                    f"{base.task} may need other ranges"
                )
            if number < search.n_rounds - 1:
                left = left[: search.n_left(number + 1)]
        found = MetaTuned(
            implementation=computing.name,
            versions=versions_of(computing),
            search=search,
            base=shared,
            task_definition=definition(get_task(base.task)),
            space=dict(space),
            draws=draws,
            best=left[0].number,
        )
        write_atomically(output, (found.model_dump_json(indent=1) + "\n").encode())
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    return found


def _begin(
    folder: Path, implementation: str, base: MetaTraining, search: MetaTuning, space: Space
) -> None:
    """Make the folder of the trainings, with a file that says of which search they are.

    Raises:
        LoptbenchError: it is there, of another search.
    """
    ranges = {k: v.model_dump() if isinstance(v, Uniform) else v for k, v in space.items()}
    task = definition(get_task(base.task))
    parts = [implementation, base.model_dump(), search.model_dump(), ranges, task]
    identity = json.dumps(parts, indent=1).encode()
    file = folder / "search.json"
    folder.mkdir(exist_ok=True)
    if not file.exists():
        write_atomically(file, identity)
    elif file.read_bytes() != identity:
        raise LoptbenchError(
            f"{folder} is of a search with other settings; call it as before, name another "
            "--output, or remove the folder"
        )


def _done(
    output: Path, implementation: str, base: MetaTraining, search: MetaTuning, space: Space
) -> MetaTuned:
    """The record of an earlier search with the same arguments.

    Raises:
        LoptbenchError: the file holds something else.
    """
    try:
        found = MetaTuned.model_validate_json(read_file(output))
    except ValueError:
        found = None
    if (
        found is None
        or (found.implementation, found.base, found.search, found.space)
        != (implementation, base, search, space)
        or not is_defined_as(base.task, found.task_definition)
    ):
        raise LoptbenchError(f"{output} exists and is not overwritten; name another --output")
    return found


class _Trainings:
    """The trainings of all draws, which go on from round to round."""

    def __init__(
        self, implementation: str, base: MetaTraining, folder: Path, engine: Engine, report: Report
    ) -> None:
        self.implementation, self.base, self.folder = implementation, base, folder
        self.engine, self.report = engine, report
        self.n_done = 0

    def train(self, draws: Sequence[Draw], until: int, seeds: Sequence[int]) -> None:
        """Train each draw with each seed up to an outer step, and add the round to the draws."""
        validations = {draw.number: dict.fromkeys(seeds, math.inf) for draw in draws}

        def one(draw: Draw, seed: int) -> Chain[None]:
            config = self.base.model_copy(update={**draw.settings, "seed": seed})
            partial = self.folder / f"{draw.number}-{seed}.partial"
            value = yield from best_validation(self.implementation, config, until, partial)
            validations[draw.number][seed] = value
            self.n_done += 1
            self.report(
                self.n_done,
                f"draw {draw.number}, seed {seed}, outer step {until}: validated {value:.4f}",
            )

        self.engine.run(one(draw, seed) for draw in draws for seed in seeds)
        for draw in draws:
            by_seed = validations[draw.number]
            finite = {seed: v if math.isfinite(v) else None for seed, v in by_seed.items()}
            draw.rounds.append(Round(outer_steps=until, validations=finite))


def best_validation(
    implementation: str, config: MetaTraining, until: int, partial: Path
) -> Chain[float]:
    """Train up to an outer step, going on from what is saved.

    Args:
        implementation: the name of the implementation.
        config: the settings with the seed.
        until: the outer step.
        partial: the file of the progress.

    Returns: the best meta-objective validated up to that step; infinite if meta-gradients were
        not finite many times in a row.
    """
    computing, source = get_implementation(implementation), source_of(implementation)
    try:
        yield from advancing(computing, config, [config.seed], partial, until, source=source)
    except NotFiniteError:
        return math.inf
    loop = OuterLoop(computing, config, [config.seed], partial)
    return best_validated(loop.runs[0].log, until)
