"""Load a learned optimizer by name or from a file."""

from pathlib import Path

from pydantic import ValidationError

from loptbench.errors import WeightsError
from loptbench.results.schema.base import first_problem
from loptbench.results.schema.evaluation import MetaTraining
from loptbench.storage.weights import Checkpoint, load_checkpoint
from loptbench.zoo.catalogue import names, shipped


def load(name_or_path: str | Path) -> Checkpoint:
    """Load a learned optimizer.

    >>> checkpoint = load("quadratic-quick-jax-0")
    >>> checkpoint.task, checkpoint.optimizer.n_state
    ('quadratic', 64)

    Args:
        name_or_path: the name of a shipped checkpoint (`loptbench zoo list` shows them), or the
            path of a checkpoint file.

    Raises:
        WeightsError: the file does not exist or is damaged.
    """
    if str(name_or_path) in names():
        return shipped(str(name_or_path))
    checkpoint = load_checkpoint(name_or_path)
    try:
        MetaTraining.model_validate(dict(checkpoint.meta_training))
    except ValidationError as error:
        raise WeightsError(
            f"the metadata of {name_or_path} cannot be read: meta_training: {first_problem(error)}"
        ) from error
    return checkpoint
