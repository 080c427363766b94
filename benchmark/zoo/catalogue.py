"""The zoo: the learned optimizers that are shipped with loptbench, several seeds of each task.

A claim about learned optimizers is a claim about the outcome of meta-training over seeds. All seeds
that were meta-trained for the zoo are in it, including those that perform badly.
"""

import dataclasses
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from loptbench.errors import UnknownNameError
from loptbench.optimizers import ARCHITECTURES, DEFAULT_ARCHITECTURE
from loptbench.storage.weights import Checkpoint, load_checkpoint
from loptbench.tasks import TASKS
from loptbench.training.settings import PRESETS


@dataclasses.dataclass(frozen=True)
class Member:
    """One learned optimizer of the zoo.

    Attributes:
        task: name of the task that it was meta-trained on.
        preset: name of the settings.
        implementation: name of the implementation that meta-trained it.
        seed: seed of its initial weights and problems.
        architecture: what was meta-trained.
    """

    task: str
    preset: str
    implementation: str
    seed: int
    architecture: str = DEFAULT_ARCHITECTURE

    @property
    def name(self) -> str:
        """The name of the checkpoint and of its file.

        >>> Member("quadratic", "quick", "jax", 0).name
        'quadratic-quick-jax-0'
        >>> Member("quadratic", "quick", "jax", 0, "lstm").name
        'quadratic-quick-lstm-jax-0'
        """
        is_default = self.architecture == DEFAULT_ARCHITECTURE
        architecture = "" if is_default else f"{self.architecture}-"
        return f"{self.task}-{self.preset}-{architecture}{self.implementation}-{self.seed}"

    @classmethod
    def named(cls, name: str) -> "Member":
        """The member of that name.

        >>> Member.named("two_moons-quick-lstm-torch-2").architecture
        'lstm'
        """
        trained, implementation, seed = name.rsplit("-", 2)
        task, preset, *architecture = trained.split("-")
        return cls(task, preset, implementation, int(seed), *architecture)


def zoo() -> list[Member]:
    """All members, in the order of task, architecture, preset, implementation and seed."""
    return sorted(
        (Member.named(path.stem) for path in _folder().glob("*.safetensors")),
        key=lambda member: (
            list(TASKS).index(member.task),
            list(ARCHITECTURES).index(member.architecture),
            PRESETS.index(member.preset),
            member.implementation,
            member.seed,
        ),
    )


def names() -> list[str]:
    """The names of all members, in order."""
    return [member.name for member in zoo()]


def representatives(tasks: Iterable[str] = tuple(TASKS)) -> list[str]:
    """The first checkpoint of each task, for measurements that do not depend on seeds."""
    members = zoo()
    firsts = ([member.name for member in members if member.task == task][:1] for task in tasks)
    return [name for first in firsts for name in first]


def shipped(name: str) -> Checkpoint:
    """The shipped checkpoint of a name, validated like any other file.

    >>> shipped("quadratic-quick-jax-0").task
    'quadratic'
    """
    return load_checkpoint(shipped_path(name))


def shipped_path(name: str) -> Path:
    """The path of the shipped checkpoint of a name.

    Raises:
        UnknownNameError: there is no such checkpoint; the message lists all.
    """
    if name not in names():
        raise UnknownNameError("checkpoint", name, names())
    return _folder() / f"{name}.safetensors"


def _folder() -> Path:
    return Path(str(resources.files("loptbench.zoo") / "checkpoints"))
