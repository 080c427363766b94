"""The checkpoints that are shipped with loptbench."""

from importlib import resources
from pathlib import Path

from loptbench.errors import UnknownNameError
from loptbench.weights import Checkpoint, load_checkpoint

SHIPPED = ("quadratic",)
"""Their names; `quadratic` was meta-trained on the task of that name."""


def shipped(name: str) -> Checkpoint:
    """The shipped checkpoint of that name, validated as any other file."""
    return load_checkpoint(shipped_path(name))


def shipped_path(name: str) -> Path:
    """Where the shipped checkpoint of that name lies.

    Raises:
        UnknownNameError: there is none; the message lists those there are.
    """
    if name not in SHIPPED:
        raise UnknownNameError("checkpoint", name, list(SHIPPED))
    return Path(str(resources.files("loptbench") / "checkpoints" / f"{name}.safetensors"))
