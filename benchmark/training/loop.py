"""The outer loop: problem stream, validation, the checkpoint to keep, resuming. Written once.

An implementation takes the outer steps (level 5 of the protocol); all else is here.
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
from loptbench.optimizers import OptimizerSpec, fresh_gru
from loptbench.progress import Report
from loptbench.protocol import Level, MetaTrainsSideBySide, OuterState, offers
from loptbench.results.provenance import versions_of
from loptbench.rollout.evaluation import evaluate
from loptbench.storage.files import only_process, write_atomically
from loptbench.storage.weights import (
    Checkpoint,
    read_safetensors,
    refuse_to_overwrite,
    safetensors_bytes,
    save_checkpoint,
)
from loptbench.tasks import ProblemBatch, get_task
from loptbench.training.settings import MetaTraining

MOST_SKIPPED_IN_A_ROW = 25
PARTIAL_FORMAT = 2
"""Of the files that progress is saved in."""
VALIDATION_SPLIT = "validate"


@dataclasses.dataclass
class _Run:
    """The meta-training of a seed between two outer steps; all of it is on disk at a checkpoint."""

    outer: OuterState
    best: OuterState
    step: int = 0
    best_step: int = 0
    best_validation: float = float("inf")
    n_skipped: int = 0
    skipped_in_a_row: int = 0
    n_rollbacks: int = 0
    log: list[dict[str, float]] = dataclasses.field(default_factory=list)

    COUNTS = (
        *("step", "best_step", "best_validation", "n_skipped", "skipped_in_a_row"),
        *("n_rollbacks", "log"),
    )

    def arrays(self) -> dict[str, dict[str, Any]]:
        """Everything but the counts, in groups."""
        return {
            "parameters": dict(self.outer.parameters),
            "memory": dict(self.outer.memory),
            "best": dict(self.best.parameters),
            "best_memory": dict(self.best.memory),
        }

    def counts(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {name: getattr(self, name) for name in self.COUNTS}


def _save(runs: Sequence[_Run], path: Path, identity: str) -> None:
    """All of them in one file: they are at the same step, also when killed while saving."""
    arrays = {
        f"{i}/{group}/{name}": np.asarray(value)
        for i, run_ in enumerate(runs)
        for group, values in run_.arrays().items()
        for name, value in values.items()
    }
    counts = json.dumps([run_.counts() for run_ in runs])
    write_atomically(path, safetensors_bytes(arrays, {"identity": identity, "counts": counts}))


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
    for i, counts in enumerate(json.loads(metadata["counts"])):
        outer = OuterState(group(i, "parameters"), group(i, "memory")).canonical()
        best = OuterState(group(i, "best"), group(i, "best_memory")).canonical()
        runs.append(_Run(outer, best, **counts))
    return runs


def training_batch(config: MetaTraining, step: int) -> ProblemBatch:
    """The problems of outer step `step`: the next `batch_size` of the stream of this seed."""
    first = step * config.batch_size
    return get_task(config.task).sample(
        "meta_train", config.seed, range(first, first + config.batch_size)
    )


def require_meta_training(
    implementation: Any, config: MetaTraining, side_by_side: bool = False
) -> None:
    """Refuse what an implementation cannot meta-train, before anything is begun.

    Raises:
        LoptbenchError: it does not offer level 5, or not that task, dtype or device.
    """
    name = implementation.name
    if not offers(implementation, Level.META_TRAINING):
        raise LoptbenchError(f"{name} does not offer level 5, meta-training")
    if side_by_side and not isinstance(implementation, MetaTrainsSideBySide):
        raise LoptbenchError(
            f"{name} does not meta-train several seeds side by side; call it for one at a time"
        )
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
    return meta_train_side_by_side(implementation, config, {config.seed: output}, report)[0]


def meta_train_side_by_side(
    implementation: Any,
    config: MetaTraining,
    outputs: Mapping[int, Path],
    report: Report = lambda *_: None,
) -> list[Checkpoint]:
    """`meta_train` of several seeds, the outer steps of all of them as one batch.

    Args:
        implementation: one that offers level 5, and for more than one seed
            `loptbench.protocol.MetaTrainsSideBySide`.
        config: the settings; the seed in it is not used.
        outputs: the file to write for each seed; progress of all is saved beside the first one.
        report: told the number of outer steps done, and how it goes.

    Raises:
        LoptbenchError: as for `meta_train`.
    """
    first, *_ = outputs.values()
    partial = first.with_name(first.name + ".partial")
    for output in outputs.values():
        # Killed between writing the first and the last of them, it goes on with those missing.
        if not (partial.exists() and any(not one.exists() for one in outputs.values())):
            refuse_to_overwrite(output)
    with only_process(partial, "a meta-training"):
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
        [PARTIAL_FORMAT, implementation.name, versions, [one.model_dump() for one in configs]],
        sort_keys=True,
    )
    specs = [fresh_gru(one.n_units, one.seed, one.input_scale, one.output_scale) for one in configs]
    validation = validation_batch(config)
    if partial.exists():
        runs = _load(partial, identity)
    else:
        runs = []
        for one, spec in zip(configs, specs, strict=True):
            outer = implementation.outer_init(spec.parameters, one).canonical()
            runs.append(_Run(outer, outer))
            _validate(implementation, one, spec, validation, runs[-1])  # what to improve on
        _save(runs, partial, identity)

    speed = _Speed()
    while (done := runs[0].step) < config.n_outer_steps:
        done += 1
        objectives = _outer_steps(implementation, configs, specs[0], runs)
        if done % config.validate_every == 0 or done == config.n_outer_steps:
            for one, spec, run_, objective in zip(configs, specs, runs, objectives, strict=True):
                _validate(implementation, one, spec, validation, run_, objective)
        if done % config.checkpoint_every == 0 or done == config.n_outer_steps:
            _save(runs, partial, identity)
        report(
            done,
            f"meta-objective {_span(objectives)}, best validated "
            f"{_span([run_.best_validation for run_ in runs])}, {speed.after_a_step():.3g} steps/s",
        )

    checkpoints = []
    for one, spec, run_ in zip(configs, specs, runs, strict=True):
        told = {
            "implementation": implementation.name,
            "versions": versions,
            "configuration": one.model_dump(),
            "best_outer_step": run_.best_step,
            "best_validation": run_.best_validation,
            "skipped_outer_steps": run_.n_skipped,
            "setbacks": run_.n_rollbacks,
            "log": run_.log,
        }
        if len(runs) > 1:
            # In float32 another batch rounds otherwise: the same bytes need the same seeds.
            told["side_by_side"] = list(outputs)
        checkpoints.append(
            Checkpoint(spec.with_parameters(run_.best.parameters), config.task, told)
        )
        if not outputs[one.seed].exists():
            save_checkpoint(checkpoints[-1], outputs[one.seed])
    partial.unlink()
    return checkpoints


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.4f}" if len(values) == 1 else f"{low:.4f} to {high:.4f}"


class _Speed:
    """Outer steps per second of late, validation and saving included."""

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
    batches = [training_batch(one, run_.step) for one, run_ in zip(configs, runs, strict=True)]
    if len(runs) == 1:
        new = [implementation.outer_step(runs[0].outer, spec, batches[0], configs[0])]
    else:
        outers = [run_.outer for run_ in runs]
        new = implementation.outer_steps(outers, spec, batches, configs[0])
    for one, run_, (outer, objective) in zip(configs, runs, new, strict=True):
        _take(run_, outer, float(objective), one)
    return [float(objective) for _, objective in new]


def _take(run_: _Run, outer: OuterState, objective: float, config: MetaTraining) -> None:
    run_.step += 1
    arrays = [*outer.parameters.values(), *outer.memory.values()]
    if np.isfinite(objective) and all(np.all(np.isfinite(array)) for array in arrays):
        run_.outer = outer.canonical()
        run_.skipped_in_a_row = 0
        return
    run_.n_skipped += 1
    run_.skipped_in_a_row += 1
    goes_back = config.rollback_ratio is not None
    if run_.skipped_in_a_row == MOST_SKIPPED_IN_A_ROW and goes_back:
        _roll_back(run_)
    elif run_.skipped_in_a_row == MOST_SKIPPED_IN_A_ROW * (1 + goes_back):
        raise LoptbenchError(
            f"{run_.skipped_in_a_row} outer steps in a row, up to step {run_.step}, had a "
            f"meta-gradient that is not finite with seed {config.seed}; lower learning_rate, "
            "output_scale or clip, or set rollback_ratio"
        )


def _roll_back(run_: _Run) -> None:
    """To where it validated best, to go on from there with the next problems."""
    run_.outer = run_.best
    run_.n_rollbacks += 1


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
    elif (
        config.rollback_ratio is not None
        and validation > config.rollback_ratio * run_.best_validation
    ):
        _roll_back(run_)
