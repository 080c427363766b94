"""Load a learned optimizer by name or from a file."""

import difflib
from pathlib import Path

from pydantic import ValidationError

from loptbench.errors import WeightsError
from loptbench.importing import looks_like_path, object_hint
from loptbench.reading import require_path
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
    _require_file(name_or_path)
    checkpoint = load_checkpoint(name_or_path)
    try:
        MetaTraining.model_validate(dict(checkpoint.meta_training))
    except ValidationError as error:
        raise WeightsError(
            f"the metadata of {name_or_path} cannot be read: meta_training: {first_problem(error)}"
        ) from error
    return checkpoint


def _require_file(name_or_path: str | Path) -> None:
    """Refuse a name that is neither a file nor of the zoo, and say what it may be instead."""
    name = str(name_or_path)
    exists = require_path(Path(name), WeightsError).exists()
    if name.endswith(".py") or (not exists and Path(f"{name}.py").is_file()):
        raise WeightsError(f"{name} is no checkpoint{object_hint(name)}")
    if exists:
        return
    if looks_like_path(name):
        raise WeightsError(
            f"{name} does not exist; give the path of a .safetensors file, or a name that "
            "`loptbench zoo list` shows"
        )
    close = difflib.get_close_matches(name, names(), n=1)
    meant = f", such as {close[0]}" if close else ""
    raise WeightsError(
        f"{name} does not exist: it is neither a shipped checkpoint (`loptbench zoo list` shows "
        f"them{meant}) nor a .safetensors file"
    )
