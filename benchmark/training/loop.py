"""The outer loop: problem stream, validation, choice of the checkpoint, resuming.

It is written once for all implementations, which only take the outer steps (level 5).
"""

import dataclasses
import json
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
from loptbench.reading import parse_json, require_table
from loptbench.results.provenance import versions_of
from loptbench.rollout.evaluation import evaluate
from loptbench.storage.files import lock, write_atomically
from loptbench.storage.weights import (
    Checkpoint,
    read_safetensors,
    refuse_to_overwrite,
    safetensors_bytes,
    save_checkpoint,
)
from loptbench.tasks import ProblemBatch, get_task
from loptbench.training.settings import MetaTraining

MAX_CONSECUTIVE_SKIPPED = 25
"""After so many outer steps in a row without a finite meta-gradient, a run rolls back or ends."""

PARTIAL_FORMAT = 3
"""Format version of the files that progress is saved in."""

VALIDATION_SPLIT = "validate"


@dataclasses.dataclass
class _Run:
    """The state of one seed's meta-training between two outer steps; saves write all of it."""

    outer: OuterState
    best: OuterState
    step: int = 0
    best_step: int = 0
    best_validation: float = float("inf")
    n_skipped: int = 0
    n_consecutive_skipped: int = 0
    n_rollbacks: int = 0
    log: list[dict[str, float]] = dataclasses.field(default_factory=list)

    COUNTS = (
        *("step", "best_step", "best_validation", "n_skipped", "n_consecutive_skipped"),
        *("n_rollbacks", "log"),
    )

    def arrays(self) -> dict[str, dict[str, Any]]:
        """All arrays, in groups."""
        return {
            "parameters": dict(self.outer.parameters),
            "memory": dict(self.outer.memory),
            "best": dict(self.best.parameters),
            "best_memory": dict(self.best.memory),
        }

    def counts(self) -> dict[str, Any]:
        """All fields that are not arrays."""
        return {name: getattr(self, name) for name in self.COUNTS}


def _save(runs: Sequence[_Run], path: Path, identity: str) -> None:
    """Write all runs to one file, so that they are at the same step also after a kill."""
    arrays = {
        f"{i}/{group}/{name}": np.asarray(value)
        for i, run in enumerate(runs)
        for group, values in run.arrays().items()
        for name, value in values.items()
    }
    counts = json.dumps([run.counts() for run in runs])
    write_atomically(path, safetensors_bytes(arrays, {"identity": identity, "counts": counts}))


def _counts(value: Any) -> dict[str, Any]:
    """What `_Run.counts` wrote.

    Raises:
        ValueError: it is something else.
    """
    counts = require_table(value, "counts")
    types: dict[str, Any] = {"log": list, "best_validation": float | int}
    for name in _Run.COUNTS:
        if not isinstance(counts.get(name), types.get(name, int)):
            raise ValueError(f"{name} is {counts.get(name)!r}")
    if not all(isinstance(line, dict) for line in counts["log"]):
        raise ValueError("log should hold tables")
    return counts


def _load(path: Path, identity: str) -> list[_Run]:
    arrays, metadata = read_safetensors(path)
    if metadata.get("identity") != identity:
        raise LoptbenchError(
            f"{path} holds a meta-training of another configuration, implementation or version; "
            "name another --output, or remove it to start again"
        )

    def group(i: int, name: str) -> dict[str, Any]:
        prefix = f"{i}/{name}/"
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    runs = []
    try:
        for i, counts in enumerate(parse_json(metadata["counts"])):
            outer = OuterState(group(i, "parameters"), group(i, "memory")).canonical()
            best = OuterState(group(i, "best"), group(i, "best_memory")).canonical()
            runs.append(_Run(outer, best, **_counts(counts)))
    except (KeyError, TypeError, ValueError) as error:
        raise LoptbenchError(f"{path} is damaged ({error}); remove it to start again") from error
    return runs


def training_batch(config: MetaTraining, step: int) -> ProblemBatch:
    """The problems of an outer step: the next `config.batch_size` of the seed's problem stream."""
    first = step * config.batch_size
    return get_task(config.task).sample(
        "meta_train", config.seed, range(first, first + config.batch_size)
    )


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
    for label, chosen, declared in (
        ("task", config.task, implementation.tasks),
        ("dtype", config.dtype, implementation.dtypes),
        ("architecture", config.architecture, implementation.optimizers),
    ):
        if chosen not in declared:
            why = why_not_offered(chosen, name)
            raise LoptbenchError(f"{name} does not compute the {label} {chosen!r}{why}")
    require_device(implementation, config.device)


def validation_batch(config: MetaTraining) -> ProblemBatch:
    """The problems that choose the checkpoint to keep; the same for every seed."""
    return get_task(config.task).sample(VALIDATION_SPLIT, 0, range(config.validation_size))


def meta_train(
    implementation: Any, config: MetaTraining, output: Path, report: Report = lambda *_: None
) -> Checkpoint:
    """Meta-train a fresh optimizer and write the checkpoint with the best validation to `output`.

    Progress is saved in `output` + `.partial`. A call with the same arguments resumes from there
    and ends with the same bytes. The file is removed once the checkpoint is written.

    Args:
        implementation: an implementation that offers level 5.
        config: the settings.
        output: the file to write; it must not exist.
        report: called with the number of outer steps done and a line of text.

    Raises:
        LoptbenchError: the output exists or cannot be written, another process is writing it, the
            partial file belongs to another run, or meta-gradients were not finite many times in a
            row.
    """
    return meta_train_side_by_side(implementation, config, {config.seed: output}, report)[0]


def meta_train_side_by_side(
    implementation: Any,
    config: MetaTraining,
    outputs: Mapping[int, Path],
    report: Report = lambda *_: None,
) -> list[Checkpoint]:
    """`meta_train` for several seeds, whose outer steps are taken as one batch.

    Args:
        implementation: an implementation that offers level 5 and, for more than one seed,
            `loptbench.protocol.MetaTrainsSideBySide`.
        config: the settings; their seed is not used.
        outputs: the file to write for each seed; progress of all is saved beside the first.
        report: called with the number of outer steps done and a line of text.

    Raises:
        LoptbenchError: as for `meta_train`.
    """
    first, *_ = outputs.values()
    partial = first.with_name(first.name + ".partial")
    for output in outputs.values():
        # A call that was killed between writing the first and the last file resumes.
        if not (partial.exists() and any(not path.exists() for path in outputs.values())):
            refuse_to_overwrite(output)
    with lock(partial, "a meta-training"):
        return _meta_train(implementation, config, outputs, partial, report)


def _meta_train(
    implementation: Any,
    config: MetaTraining,
    outputs: Mapping[int, Path],
    partial: Path,
    report: Report,
) -> list[Checkpoint]:
    versions = versions_of(implementation)
    configs = [config.model_copy(update={"seed": seed}) for seed in outputs]
    identity = json.dumps(
        [
            PARTIAL_FORMAT,
            implementation.name,
            versions,
            [settings.model_dump() for settings in configs],
        ],
        sort_keys=True,
    )
    specs = [settings.fresh() for settings in configs]
    validation = validation_batch(config)
    if partial.exists():
        runs = _load(partial, identity)
    else:
        runs = []
        for settings, spec in zip(configs, specs, strict=True):
            outer = implementation.outer_init(spec.parameters, settings).canonical()
            runs.append(_Run(outer, outer))
            _validate(implementation, settings, spec, validation, runs[-1])  # the first best
        _save(runs, partial, identity)

    speed = _Speed()
    while (n_done := runs[0].step) < config.n_outer_steps:
        n_done += 1
        objectives = _outer_steps(implementation, configs, specs[0], runs)
        if n_done % config.validate_every == 0 or n_done == config.n_outer_steps:
            for settings, spec, run, objective in zip(
                configs, specs, runs, objectives, strict=True
            ):
                _validate(implementation, settings, spec, validation, run, objective)
        if n_done % config.checkpoint_every == 0 or n_done == config.n_outer_steps:
            _save(runs, partial, identity)
        report(
            n_done,
            f"meta-objective {_format_range(objectives)}, best validated "
            f"{_format_range([run.best_validation for run in runs])}, "
            f"{speed.after_a_step():.3g} steps/s",
        )

    checkpoints = []
    for settings, spec, run in zip(configs, specs, runs, strict=True):
        metadata = {
            "implementation": implementation.name,
            "versions": versions,
            "configuration": settings.model_dump(),
            "best_outer_step": run.best_step,
            "best_validation": run.best_validation,
            "skipped_outer_steps": run.n_skipped,
            "setbacks": run.n_rollbacks,
            "log": run.log,
        }
        if len(runs) > 1:
            # Rounding depends on the batch: the same bytes need the same seeds.
            metadata["side_by_side"] = list(outputs)
        checkpoints.append(
            Checkpoint(spec.with_parameters(run.best.parameters), config.task, metadata)
        )
        if not outputs[settings.seed].exists():
            save_checkpoint(checkpoints[-1], outputs[settings.seed])
    partial.unlink()
    return checkpoints


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


def _outer_steps(
    implementation: Any,
    configs: Sequence[MetaTraining],
    spec: OptimizerSpec,
    runs: Sequence[_Run],
) -> list[float]:
    batches = [
        training_batch(settings, run.step) for settings, run in zip(configs, runs, strict=True)
    ]
    if len(runs) == 1:
        new = [implementation.outer_step(runs[0].outer, spec, batches[0], configs[0])]
    else:
        outers = [run.outer for run in runs]
        new = implementation.outer_steps(outers, spec, batches, configs[0])
    for settings, run, (outer, objective) in zip(configs, runs, new, strict=True):
        _take_step(run, outer, float(objective), settings)
    return [float(objective) for _, objective in new]


def _take_step(run: _Run, outer: OuterState, objective: float, config: MetaTraining) -> None:
    run.step += 1
    arrays = [*outer.parameters.values(), *outer.memory.values()]
    if np.isfinite(objective) and all(np.all(np.isfinite(array)) for array in arrays):
        run.outer = outer.canonical()
        run.n_consecutive_skipped = 0
        return
    run.n_skipped += 1
    run.n_consecutive_skipped += 1
    may_roll_back = config.rollback_ratio is not None
    if run.n_consecutive_skipped == MAX_CONSECUTIVE_SKIPPED and may_roll_back:
        _roll_back(run)
    elif run.n_consecutive_skipped == MAX_CONSECUTIVE_SKIPPED * (1 + may_roll_back):
        raise LoptbenchError(
            f"{run.n_consecutive_skipped} outer steps in a row, up to step {run.step}, had a "
            f"meta-gradient that is not finite with seed {config.seed}; lower learning_rate, "
            "output_scale or clip, or set rollback_ratio"
        )


def _roll_back(run: _Run) -> None:
    """Restore the weights and the outer-optimizer state of the best validation."""
    run.outer = run.best
    run.n_rollbacks += 1


def _validate(
    implementation: Any,
    config: MetaTraining,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    run: _Run,
    objective: float | None = None,
) -> None:
    current = spec.with_parameters(run.outer.parameters)
    evaluation = evaluate(
        implementation, current, batch, config.n_steps, config.dtype, config.device
    )
    validation = float(np.mean(evaluation.objective))
    row = {"step": run.step, "objective": objective, "validation": validation}
    run.log.append({name: value for name, value in row.items() if value is not None})
    # A diverged validation is infinite, so it is never the best.
    if validation < run.best_validation:
        run.best_validation, run.best_step = validation, run.step
        run.best = run.outer
    elif (
        config.rollback_ratio is not None
        and validation > config.rollback_ratio * run.best_validation
    ):
        _roll_back(run)
