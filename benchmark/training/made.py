"""Whether a checkpoint is what a meta-training would make."""

from pydantic import ValidationError

from loptbench.storage.weights import Checkpoint
from loptbench.tasks import is_defined_as
from loptbench.training.settings import MetaTraining, recorded_configuration

TASK = "task_definition"
"""The key in a checkpoint's metadata of the settings and data of its task."""


def is_made_with(checkpoint: Checkpoint, implementation: str, config: MetaTraining) -> bool:
    """Whether it was meta-trained with these settings, on the task as it is now.

    Args:
        checkpoint: the checkpoint.
        implementation: the name of the implementation.
        config: the settings with the seed.
    """
    recorded = checkpoint.meta_training
    try:
        before = MetaTraining.model_validate(recorded_configuration(recorded))
    except ValidationError:  # by another version, which has other settings
        return False
    return (
        (recorded.get("implementation"), before) == (implementation, config)
        and checkpoint.task == config.task
        and is_defined_as(config.task, recorded.get(TASK))
    )
