"""Whether a checkpoint is what a meta-training would make."""

from pydantic import ValidationError

from loptbench.storage.weights import Checkpoint
from loptbench.tasks import is_defined_as
from loptbench.training.settings import MetaTraining, recorded_configuration

TASK = "task_definition"
"""The key in a checkpoint's metadata of the settings and data of its task."""


def differences(checkpoint: Checkpoint, implementation: str, config: MetaTraining) -> str:
    """How it was meta-trained otherwise than with these settings, on the task as it is now.

    Args:
        checkpoint: the checkpoint.
        implementation: the name of the implementation.
        config: the settings with the seed.

    Returns: the differences in words; empty if there is none.
    """
    recorded = checkpoint.meta_training
    try:
        before = MetaTraining.model_validate(recorded_configuration(recorded))
    except ValidationError:
        return "by another version, which has other settings"
    found = [
        f"with {name} = {was!r}, not {wanted!r}"
        for name, wanted in config
        if (was := getattr(before, name)) != wanted
    ]
    if recorded.get("implementation") != implementation:
        found.append(f"by {recorded.get('implementation')}, not {implementation}")
    if checkpoint.task == config.task and not is_defined_as(config.task, recorded.get(TASK)):
        found.append(f"on other settings or data of {config.task}")
    return ", ".join(found)


def is_made_with(checkpoint: Checkpoint, implementation: str, config: MetaTraining) -> bool:
    """Whether it was meta-trained with these settings, on the task as it is now."""
    return not differences(checkpoint, implementation, config)
