"""The outer loop: problem stream, validation, choice of the checkpoint, resuming.

It is written once for all implementations, which only take the outer steps (level 5).
"""

import json
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.discovery import require_device
from loptbench.errors import LoptbenchError
from loptbench.optimizers import OptimizerSpec, get_architecture, why_not_offered
from loptbench.progress import Report
from loptbench.protocol import Level, MetaTrainsSideBySide, OuterState, offers
from loptbench.results.provenance import versions_of
from loptbench.rollout.evaluation import evaluate
from loptbench.rollout.offered import task_not_offered
from loptbench.storage.weights import Checkpoint
from loptbench.tasks import ProblemBatch, definition, get_task
from loptbench.training.made import TASK
from loptbench.training.seed_run import PARTIAL_FORMAT, SeedRun, load, save
from loptbench.training.settings import LATE, MetaTraining
from loptbench.training.validations import at_plateau

MAX_CONSECUTIVE_SKIPPED = 25
"""After so many outer steps in a row without a finite meta-gradient, a run rolls back or ends."""

SECONDS_BETWEEN_SAVES = 60.0

VALIDATION_SPLIT = "validate"


class NotFiniteError(LoptbenchError):
    """Meta-gradients were not finite many times in a row."""


def training_batch(config: MetaTraining, step: int) -> ProblemBatch:
    """The problems of an outer step: the next ones of the seed's problem stream."""
    late_size = config.late_batch_size or config.batch_size
    n_before = min(step, int(LATE * config.n_outer_steps))
    n_late = step - n_before
    first = n_before * config.batch_size + n_late * late_size
    size = config.batch_size if step < int(LATE * config.n_outer_steps) else late_size
    return get_task(config.task).sample("meta_train", config.seed, range(first, first + size))


def require_meta_training(
    implementation: Any, config: MetaTraining, side_by_side: bool = False
) -> None:
    """Check that an implementation can meta-train with these settings.

    Raises:
        LoptbenchError: it does not offer level 5, or not that architecture, task, dtype or
            device.
    """
    name = implementation.name
    get_architecture(config.architecture)
    if not offers(implementation, Level.META_TRAINING):
        raise LoptbenchError(f"{name} does not offer level 5, meta-training")
    if side_by_side and not isinstance(implementation, MetaTrainsSideBySide):
        raise LoptbenchError(
            f"{name} does not meta-train several seeds side by side; call it for one at a time"
        )
    if reason := task_not_offered(implementation, get_task(config.task)):
        raise LoptbenchError(reason)
    if config.dtype not in implementation.dtypes:
        others = " or ".join(implementation.dtypes)
        raise LoptbenchError(
            f"{name} does not compute in {config.dtype}, but in {others}, which `meta-train` and "
            "`meta-tune` take as --dtype"
        )
    if config.architecture not in implementation.optimizers:
        why = why_not_offered(config.architecture, name)
        raise LoptbenchError(
            f"{name} does not compute the architecture {config.architecture!r}{why}"
        )
    require_device(implementation, config.device)


def validation_batch(config: MetaTraining) -> ProblemBatch:
    """The problems that choose the checkpoint to keep; the same for every seed."""
    return get_task(config.task).sample(VALIDATION_SPLIT, 0, range(config.validation_size))


class OuterLoop:
    """The meta-training of one or several seeds, started or resumed from its file.

    Attributes:
        config: the settings; their seed is not used.
        runs: the state of each seed.
    """

    def __init__(
        self,
        implementation: Any,
        config: MetaTraining,
        seeds: Sequence[int],
        partial: Path,
        task: Mapping[str, Any] | None = None,
    ) -> None:
        """Start, or resume from `partial`.

        Args:
            implementation: as for `meta_train_side_by_side`.
            config: the settings.
            seeds: the seeds, whose outer steps are taken as one batch.
            partial: the file for the progress.
            task: the `definition` of the task in the process that asks for this, which is another
                one than this where an engine has several; of this process if None.

        Raises:
            LoptbenchError: the file belongs to another run, is damaged or cannot be written.
        """
        self.config = config
        self._implementation = implementation
        self._partial = partial
        self._configs = [config.model_copy(update={"seed": seed}) for seed in seeds]
        self._versions = versions_of(implementation)
        self._task = task or definition(get_task(config.task))
        self._identity = json.dumps(
            [
                PARTIAL_FORMAT,
                implementation.name,
                self._versions,
                self._task,
                [settings.model_dump() for settings in self._configs],
            ],
            sort_keys=True,
        )
        self._specs = [settings.fresh() for settings in self._configs]
        self._validation = validation_batch(config)
        if partial.exists():
            self.runs = load(partial, self._identity)
        else:
            self.runs = [
                self._start(*pair) for pair in zip(self._configs, self._specs, strict=True)
            ]
            save(self.runs, partial, self._identity)

    def _start(self, settings: MetaTraining, spec: OptimizerSpec) -> SeedRun:
        outer = self._implementation.outer_init(spec.parameters, settings).canonical()
        average = {} if settings.averaging is None else dict(outer.parameters)
        run = SeedRun(outer, outer, average)
        self._validate(settings, spec, run)  # the first best
        return run

    def advance(
        self, until: int, report: Report = lambda *_: None, seconds: float = math.inf
    ) -> str:
        """Take outer steps up to number `until`, or until all seeds have ended.

        Progress is saved at the end, every minute, and when it is interrupted.

        Args:
            until: the number of outer steps.
            report: called with the number of outer steps done and a line of text.
            seconds: how long to go on at most; at least one step is taken.

        Returns: the last line of text.

        Raises:
            NotFiniteError: meta-gradients were not finite many times in a row.
        """
        words = ""
        speed = _Speed()
        start = saved = time.monotonic()
        settled = [run.copy() for run in self.runs]
        try:
            while self.runs[0].step < until and not all(run.ended for run in self.runs):
                n_done = self.runs[0].step + 1
                objectives = self._outer_steps()
                if n_done % self.config.validate_every == 0 or n_done == self.config.n_outer_steps:
                    for settings, spec, run, objective in zip(
                        self._configs, self._specs, self.runs, objectives, strict=True
                    ):
                        self._validate(settings, spec, run, objective)
                settled = [run.copy() for run in self.runs]
                late = time.monotonic() - saved > SECONDS_BETWEEN_SAVES
                if n_done % self.config.checkpoint_every == 0 or late:
                    save(settled, self._partial, self._identity)
                    saved = time.monotonic()
                words = (
                    f"meta-objective {_format_range(objectives)}, best validated "
                    f"{_format_range([run.best_validation for run in self.runs])}, "
                    f"{speed.after_a_step():.3g} steps/s"
                )
                report(n_done, words)
                if time.monotonic() - start > seconds:
                    break
        finally:
            save(settled, self._partial, self._identity)
        return words

    def checkpoints(self) -> list[Checkpoint]:
        """The best validated learned optimizer of each seed."""
        found = []
        for settings, spec, run in zip(self._configs, self._specs, self.runs, strict=True):
            metadata = {
                "implementation": self._implementation.name,
                "versions": self._versions,
                TASK: self._task,
                "configuration": settings.model_dump(),
                "best_outer_step": run.best_step,
                "best_validation": run.best_validation,
                "outer_steps": run.log[-1]["step"],  # others may have gone on after its plateau
                "skipped_outer_steps": run.n_skipped,
                "setbacks": run.n_rollbacks,
                "log": run.log,
            }
            if len(self.runs) > 1:
                # Rounding depends on the batch: the same bytes need the same seeds.
                metadata["side_by_side"] = [settings.seed for settings in self._configs]
            best = spec.with_parameters(run.best.parameters)
            found.append(Checkpoint(best, self.config.task, metadata))
        return found

    def _outer_steps(self) -> list[float]:
        batches = [
            training_batch(settings, run.step)
            for settings, run in zip(self._configs, self.runs, strict=True)
        ]
        first = self._specs[0]
        if len(self.runs) == 1:
            new = [
                self._implementation.outer_step(
                    self.runs[0].outer, first, batches[0], self._configs[0]
                )
            ]
        else:
            outers = [run.outer for run in self.runs]
            new = self._implementation.outer_steps(outers, first, batches, self._configs[0])
        for settings, run, (outer, objective) in zip(self._configs, self.runs, new, strict=True):
            _take_step(run, outer, float(objective), settings)
        return [float(objective) for _, objective in new]

    def _validate(
        self,
        config: MetaTraining,
        spec: OptimizerSpec,
        run: SeedRun,
        objective: float | None = None,
    ) -> None:
        if run.ended:
            return
        validation = self._validated(config, spec, run.outer.parameters)
        row = {"step": run.step, "validation": validation}
        if objective is not None:
            row["objective"] = objective
        candidates = [(validation, run.outer)]
        if run.average:
            row["averaged"] = self._validated(config, spec, run.average)
            candidates.append((row["averaged"], run.outer._replace(parameters=run.average)))
        run.log.append(row)
        best, outer = min(candidates, key=lambda candidate: candidate[0])
        # A diverged validation is infinite, so it is never the best.
        if best < run.best_validation:
            run.best_validation, run.best_step = best, run.step
            run.best = outer
        elif (
            config.rollback_ratio is not None
            and validation > config.rollback_ratio * run.best_validation
        ):
            _roll_back(run)
        run.ended = at_plateau(run.log, config)

    def _validated(
        self, config: MetaTraining, spec: OptimizerSpec, parameters: Mapping[str, Any]
    ) -> float:
        """The mean meta-objective on the problems of the validation."""
        evaluation = evaluate(
            self._implementation,
            spec.with_parameters(parameters),
            self._validation,
            config.n_steps,
            config.dtype,
            config.device,
        )
        return float(np.mean(evaluation.objective))


def _format_range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.4f}" if len(values) == 1 else f"{low:.4f} to {high:.4f}"


class _Speed:
    """Outer steps per second over the last 50 steps, validation and saves included."""

    def __init__(self) -> None:
        self.times: deque[float] = deque([time.monotonic()], maxlen=50)

    def after_a_step(self) -> float:
        self.times.append(time.monotonic())
        return (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-9)


def _take_step(run: SeedRun, outer: OuterState, objective: float, config: MetaTraining) -> None:
    run.step += 1
    if run.ended:
        return
    arrays = [*outer.parameters.values(), *outer.memory.values()]
    if np.isfinite(objective) and all(np.all(np.isfinite(array)) for array in arrays):
        run.outer = outer.canonical()
        run.n_consecutive_skipped = 0
        if config.averaging is not None:
            run.average = _averaged(run.average, run.outer.parameters, config.averaging, run.step)
        return
    run.n_skipped += 1
    run.n_consecutive_skipped += 1
    may_roll_back = config.rollback_ratio is not None
    if run.n_consecutive_skipped == MAX_CONSECUTIVE_SKIPPED and may_roll_back:
        _roll_back(run)
    elif run.n_consecutive_skipped == MAX_CONSECUTIVE_SKIPPED * (1 + may_roll_back):
        raise NotFiniteError(
            f"{run.n_consecutive_skipped} outer steps in a row, up to step {run.step}, had a "
            f"meta-gradient that is not finite on {config.task} with seed {config.seed}; lower "
            "learning_rate, output_scale or clip, or set rollback_ratio"
        )


def _roll_back(run: SeedRun) -> None:
    """Restore the weights and the outer-optimizer state of the best validation."""
    run.outer = run.best
    if run.average:
        run.average = dict(run.best.parameters)
    run.n_rollbacks += 1


def _averaged(
    average: Mapping[str, Any], parameters: Mapping[str, Any], decay: float, step: int
) -> dict[str, Any]:
    """The exponential moving average, whose decay grows over the first steps.

    ρₖ = min(ρ, (1 + k) / (10 + k)): the random weights of the start are soon forgotten.
    """
    rho = min(decay, (1 + step) / (10 + step))
    return {
        name: (rho * average[name] + (1 - rho) * value).astype(value.dtype)
        for name, value in parameters.items()
    }
