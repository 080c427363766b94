"""Meta-training as a chain of calls that an engine makes: files, resuming, checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loptbench.engines.crossing import SECONDS_OF_A_CALL, OnlyHere, ProgressFile
from loptbench.engines.engine import Call, Chain, Needs
from loptbench.engines.local import ThisProcess
from loptbench.progress import Report
from loptbench.storage.files import lock, write_atomically
from loptbench.storage.weights import (
    Checkpoint,
    load_checkpoint,
    refuse_to_overwrite,
    save_checkpoint,
    weights_hash,
)
from loptbench.tasks import definition, get_task
from loptbench.training.loop import OuterLoop
from loptbench.training.made import is_made_with
from loptbench.training.settings import MetaTraining


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
    with ThisProcess() as engine:
        [checkpoints] = engine.run([training(implementation, config, outputs, report)])
    return checkpoints


def training(
    implementation: Any,
    config: MetaTraining,
    outputs: Mapping[int, Path],
    report: Report = lambda *_: None,
    source: str = "",
) -> Chain[list[Checkpoint]]:
    """`meta_train_side_by_side` as a chain of calls; only the calling process writes files.

    Args:
        implementation: as there.
        config: as there.
        outputs: as there.
        report: as there.
        source: where other processes find the implementation, `package.module:Object`.

    Raises:
        LoptbenchError: as for `meta_train`.
    """
    first, *_ = outputs.values()
    partial = first.with_name(first.name + ".partial")
    # A call that was killed between writing the first and the last file resumes.
    is_resumed = partial.exists() and any(not path.exists() for path in outputs.values())
    for seed, output in outputs.items():
        settings = config.model_copy(update={"seed": seed})
        if not (is_resumed and _is_ours(output, implementation.name, settings, list(outputs))):
            refuse_to_overwrite(output)
    with lock(partial, "a meta-training"):
        seeds = list(outputs)
        until = config.n_outer_steps
        yield from advancing(implementation, config, seeds, partial, until, report, source)
        checkpoints = OuterLoop(implementation, config, seeds, partial).checkpoints()
        for output, checkpoint in zip(outputs.values(), checkpoints, strict=True):
            if not (output.exists() and _holds(output, checkpoint)):
                save_checkpoint(checkpoint, output)
        partial.unlink()
    return checkpoints


def _is_ours(output: Path, implementation: str, config: MetaTraining, seeds: Sequence[int]) -> bool:
    """Whether a file, if it is there, was written by an earlier call for these seeds."""
    if not output.exists():
        return True
    checkpoint = load_checkpoint(output)
    together = checkpoint.meta_training.get("side_by_side", [config.seed])
    return together == seeds and is_made_with(checkpoint, implementation, config)


def _holds(output: Path, checkpoint: Checkpoint) -> bool:
    """Whether a file has the weights of a checkpoint."""
    return weights_hash(load_checkpoint(output).optimizer) == weights_hash(checkpoint.optimizer)


class Advanced(NamedTuple):
    """What a call of `advance` came to.

    Attributes:
        step: the outer steps taken.
        words: about the last one.
        ended: whether no more are to be taken.
        progress: the file of the progress; None where the call wrote it itself.
    """

    step: int
    words: str
    ended: bool
    progress: bytes | None


def advancing(
    implementation: Any,
    config: MetaTraining,
    seeds: Sequence[int],
    partial: Path,
    until: int,
    report: Report = lambda *_: None,
    source: str = "",
) -> Chain[None]:
    """Take outer steps up to number `until`, or until all seeds have ended, call by call.

    Args:
        implementation: as for `training`.
        config: as for `training`.
        seeds: the seeds.
        partial: the file for the progress.
        until: the number of outer steps.
        report: as for `training`.
        source: as for `training`.

    Raises:
        LoptbenchError: the file belongs to another run, is damaged or cannot be written, or
            meta-gradients were not finite many times in a row.
    """
    if partial.exists():
        step = OuterLoop(implementation, config, seeds, partial).runs[0].step
        if step:
            report(step, f"goes on from outer step {step}")
    known = {source: implementation} if source else {}
    needs = Needs(gpus=int(config.device == "cuda"))
    task = definition(get_task(config.task))
    ended = False
    while not ended:
        file = ProgressFile(partial)
        arguments = (implementation, config, seeds, task, file, until, OnlyHere(report))
        advanced: Advanced = yield Call(advance, arguments, known, needs)
        if advanced.progress is not None:
            write_atomically(partial, advanced.progress)
            report(advanced.step, advanced.words)
        ended = advanced.ended


def advance(
    implementation: Any,
    config: MetaTraining,
    seeds: Sequence[int],
    task: Mapping[str, Any],
    file: ProgressFile,
    until: int,
    report: Report,
) -> Advanced:
    """Take outer steps for some seconds, in whatever process."""
    loop = OuterLoop(implementation, config, seeds, file.path, task)
    words = loop.advance(until, report, SECONDS_OF_A_CALL)
    step = loop.runs[0].step
    ended = step >= until or all(run.ended for run in loop.runs)
    return Advanced(step, words, ended, file.content)
