"""The outer loop: problem stream, validation, the checkpoint to keep, resuming. Written once.

An implementation takes the outer steps (level 5 of the protocol); all else is here.
"""

import dataclasses
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.evaluation import evaluate
from loptbench.files import only_process, write_atomically
from loptbench.meta_config import MetaTraining
from loptbench.optimizers import OptimizerSpec, fresh_gru
from loptbench.progress import Report
from loptbench.protocol import Level, OuterState, offers
from loptbench.provenance import versions_of
from loptbench.registry import require_device
from loptbench.tasks import ProblemBatch, get_task
from loptbench.weights import (
    Checkpoint,
    read_safetensors,
    refuse_to_overwrite,
    safetensors_bytes,
    save_checkpoint,
)

MOST_SKIPPED_IN_A_ROW = 25
VALIDATION_SPLIT = "validate"


@dataclasses.dataclass
class _Run:
    """A meta-training run between two outer steps; all of it is on disk at a checkpoint."""

    outer: OuterState
    best: OuterState
    step: int = 0
    best_step: int = 0
    best_validation: float = float("inf")
    n_skipped: int = 0
    skipped_in_a_row: int = 0
    n_setbacks: int = 0
    log: list[dict[str, float]] = dataclasses.field(default_factory=list)

    COUNTS = (
        *("step", "best_step", "best_validation", "n_skipped", "skipped_in_a_row"),
        *("n_setbacks", "log"),
    )

    def save(self, path: Path, identity: str) -> None:
        groups = {
            "parameters": self.outer.parameters,
            "memory": self.outer.memory,
            "best": self.best.parameters,
            "best_memory": self.best.memory,
        }
        arrays = {
            f"{g}/{k}": np.asarray(v) for g, group in groups.items() for k, v in group.items()
        }
        counts = json.dumps({name: getattr(self, name) for name in self.COUNTS})
        content = safetensors_bytes(arrays, {"identity": identity, "counts": counts})
        write_atomically(path, content)

    @classmethod
    def load(cls, path: Path, identity: str) -> "_Run":
        arrays, metadata = read_safetensors(path)
        if metadata.get("identity") != identity:
            raise LoptbenchError(
                f"{path} holds a meta-training of another configuration, implementation or "
                f"version; name another --output, or remove it to start again"
            )

        def group(name: str) -> dict[str, Any]:
            prefix = f"{name}/"
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        outer = OuterState(group("parameters"), group("memory")).canonical()
        best = OuterState(group("best"), group("best_memory")).canonical()
        return cls(outer, best, **json.loads(metadata["counts"]))


def training_batch(config: MetaTraining, step: int) -> ProblemBatch:
    """The problems of outer step `step`: the next `batch_size` of the stream of this seed."""
    first = step * config.batch_size
    return get_task(config.task).sample(
        "meta_train", config.seed, range(first, first + config.batch_size)
    )


def require_meta_training(implementation: Any, config: MetaTraining) -> None:
    """Refuse what an implementation cannot meta-train, before anything is begun.

    Raises:
        LoptbenchError: it does not offer level 5, or not that task, dtype or device.
    """
    name = implementation.name
    if not offers(implementation, Level.META_TRAINING):
        raise LoptbenchError(f"{name} does not offer level 5, meta-training")
    for what, chosen, declared in (
        ("task", config.task, implementation.tasks),
        ("dtype", config.dtype, implementation.dtypes),
        ("optimizer", "gru", implementation.optimizers),
    ):
        if chosen not in declared:
            raise LoptbenchError(f"{name} does not compute the {what} {chosen!r}")
    require_device(implementation, config.device)


def validation_batch(config: MetaTraining) -> ProblemBatch:
    """The problems that choose the checkpoint to keep: the same for every seed."""
    return get_task(config.task).sample(VALIDATION_SPLIT, 0, range(config.validation_size))


def meta_train(
    implementation: Any, config: MetaTraining, output: Path, report: Report = lambda *_: None
) -> Checkpoint:
    """Meta-train a fresh GRU and write the checkpoint that validated best to `output`.

    Progress is saved beside it, in `output` + `.partial`, and taken up from there when called
    again; the file goes once the checkpoint is written.

    Args:
        implementation: one that offers level 5.
        config: the settings.
        output: the file to write; it must not exist.
        report: told the number of outer steps done, and how it goes.

    Raises:
        LoptbenchError: the output exists or cannot be written, another process is writing it, the
            partial file belongs to another run, or meta-gradients were not finite many times in a
            row.
    """
    refuse_to_overwrite(output)
    partial = output.with_name(output.name + ".partial")
    with only_process(partial, "a meta-training"):
        return _meta_train(implementation, config, output, partial, report)


def _meta_train(
    implementation: Any, config: MetaTraining, output: Path, partial: Path, report: Report
) -> Checkpoint:
    versions = versions_of(implementation)
    identity = json.dumps([implementation.name, versions, config.model_dump()], sort_keys=True)
    spec = fresh_gru(config.n_units, config.seed, config.input_scale, config.output_scale)
    validation = validation_batch(config)
    if partial.exists():
        run_ = _Run.load(partial, identity)
    else:
        outer = implementation.outer_init(spec.parameters, config).canonical()
        run_ = _Run(outer, outer)
        _validate(implementation, config, spec, validation, run_)  # what is to be improved on
        run_.save(partial, identity)

    speed = _Speed()
    while run_.step < config.n_outer_steps:
        objective = _outer_step(implementation, config, spec, run_)
        if run_.step % config.validate_every == 0 or run_.step == config.n_outer_steps:
            _validate(implementation, config, spec, validation, run_, objective)
        if run_.step % config.checkpoint_every == 0 or run_.step == config.n_outer_steps:
            run_.save(partial, identity)
        report(
            run_.step,
            f"meta-objective {objective:.4f}, best validated {run_.best_validation:.4f}, "
            f"{speed.after_a_step():.3g} steps/s",
        )

    checkpoint = Checkpoint(
        spec.with_parameters(run_.best.parameters),
        config.task,
        {
            "implementation": implementation.name,
            "versions": versions,
            "configuration": config.model_dump(),
            "best_outer_step": run_.best_step,
            "best_validation": run_.best_validation,
            "skipped_outer_steps": run_.n_skipped,
            "setbacks": run_.n_setbacks,
            "log": run_.log,
        },
    )
    save_checkpoint(checkpoint, output)
    partial.unlink()
    return checkpoint


class _Speed:
    """Outer steps per second of late, validation and saving included."""

    def __init__(self) -> None:
        self.times: deque[float] = deque([time.monotonic()], maxlen=50)

    def after_a_step(self) -> float:
        self.times.append(time.monotonic())
        return (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-9)


def _outer_step(
    implementation: Any, config: MetaTraining, spec: OptimizerSpec, run_: _Run
) -> float:
    batch = training_batch(config, run_.step)
    outer, objective = implementation.outer_step(run_.outer, spec, batch, config)
    run_.step += 1
    arrays = [*outer.parameters.values(), *outer.memory.values()]
    if np.isfinite(objective) and all(np.all(np.isfinite(array)) for array in arrays):
        run_.outer = outer.canonical()
        run_.skipped_in_a_row = 0
        return float(objective)
    run_.n_skipped += 1
    run_.skipped_in_a_row += 1
    if run_.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
        raise LoptbenchError(
            f"{MOST_SKIPPED_IN_A_ROW} outer steps in a row, up to step {run_.step}, had a "
            "meta-gradient that is not finite; lower learning_rate, output_scale or clip"
        )
    return float(objective)


def _validate(
    implementation: Any,
    config: MetaTraining,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    run_: _Run,
    objective: float | None = None,
) -> None:
    current = spec.with_parameters(run_.outer.parameters)
    found = evaluate(implementation, current, batch, config.n_steps, config.dtype, config.device)
    validation = float(np.mean(found.objective))
    told = {"step": run_.step, "objective": objective, "validation": validation}
    run_.log.append({name: value for name, value in told.items() if value is not None})
    # Infinity is not smaller than anything: a diverged validation is never kept.
    if validation < run_.best_validation:
        run_.best_validation, run_.best_step = validation, run_.step
        run_.best = run_.outer
    elif config.setback is not None and validation > config.setback * run_.best_validation:
        run_.outer = run_.best
        run_.n_setbacks += 1
