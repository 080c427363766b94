"""The zoo: the learned optimizers that are shipped with loptbench, many seeds of each task.

A claim about learned optimizers is a claim about what meta-training gives, seed after seed; so all
that were meta-trained for the zoo are in it, those that do badly as well.
"""

import dataclasses
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from loptbench.errors import UnknownNameError
from loptbench.storage.weights import Checkpoint, load_checkpoint
from loptbench.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Member:
    """One learned optimizer of the zoo.

    Attributes:
        task: the task that it was meta-trained on.
        preset: the settings.
        implementation: what meta-trained it.
        seed: the seed of its initial weights and problems.
    """

    task: str
    preset: str
    implementation: str
    seed: int

    @property
    def name(self) -> str:
        """Its name, such as `quadratic-quick-jax-0`, and that of its file."""
        return f"{self.task}-{self.preset}-{self.implementation}-{self.seed}"


def zoo() -> list[Member]:
    """All of them, by task, preset, implementation and seed."""
    names = (path.stem for path in _folder().glob("*.safetensors"))
    found = (name.rsplit("-", 3) for name in names)
    return sorted(
        (Member(task, preset, one, int(seed)) for task, preset, one, seed in found),
        key=lambda a: (list(TASKS).index(a.task), a.preset != "quick", a.implementation, a.seed),
    )


def names() -> list[str]:
    """The names of all of them, in order."""
    return [member.name for member in zoo()]


def representatives(tasks: Iterable[str] = tuple(TASKS)) -> list[str]:
    """One of each task, the first seed and not the best: what is not about seeds is shown on it."""
    members = zoo()
    firsts = ([a.name for a in members if a.task == task][:1] for task in tasks)
    return [name for first in firsts for name in first]


def shipped(name: str) -> Checkpoint:
    """The shipped checkpoint of that name, validated as any other file."""
    return load_checkpoint(shipped_path(name))


def shipped_path(name: str) -> Path:
    """Where the shipped checkpoint of that name lies.

    Raises:
        UnknownNameError: there is none; the message lists those there are.
    """
    if name not in names():
        raise UnknownNameError("checkpoint", name, names())
    return _folder() / f"{name}.safetensors"


def _folder() -> Path:
    return Path(str(resources.files("loptbench.zoo") / "checkpoints"))
