"""Tasks from outside: one class with data, sampling and a loss.

A subclass of `CustomTask` says how one problem is drawn, and what its loss is. The loss is of *one*
problem: named parameter arrays in, one number out. It may be written several times:

    loss(p, data, step)        in NumPy; with `gradient`, which returns an array for each of p
    torch_loss(p, data, step)  in PyTorch, which differentiates it
    jax_loss(p, data, step)    in JAX, which differentiates it

One is enough. An implementation offers the task if the task brings a loss for it; the reference
computes any of them. PyTorch and JAX batch a loss over problems with their `vmap`, so it can have
no `if` on a number that it computed.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.tasks.base import CheckSettings, Layout, ProblemBatch, as_indices, layout_size
from loptbench.tasks.streams import generator

Arrays = Mapping[str, NDArray[Any]]

LOSSES = {"reference": "loss", "torch": "torch_loss", "jax": "jax_loss"}
"""The method with the loss, by implementation."""


@dataclass_transform(frozen_default=True)
@dataclasses.dataclass(frozen=True)
class CustomTask:
    """A task from outside; subclass it.

    A subclass is a frozen dataclass, whether it is marked as one or not. Its fields are the
    settings that identify the task. They and `name` are all that a record needs to tell it from
    others, beside the hashes of its source file and of its shared data.

        class Bowl(CustomTask):
            name = "bowl"
            width: float = 2.0

            def draw(self, rng):
                return {"x": rng.standard_normal(3)}, {"center": rng.standard_normal(3)}

            def loss(self, p, data, step):
                return 1 + np.sum((p["x"] - data["center"]) ** 2) / self.width

            def gradient(self, p, data, step):
                return {"x": 2 * (p["x"] - data["center"]) / self.width}

    A loss must be positive where a run starts, for meta-objectives are relative to it, and never
    negative.

    Attributes:
        n_steps: the default number of inner steps of a run.
        name: the name on the command line and in files.
        checks: how `loptbench check` uses the task.
        training: settings of meta-training that differ from those of the preset `quick`, such as
            `input_scale`; see `loptbench.training.settings.MetaTraining`.
    """

    n_steps: int = 100

    name: ClassVar[str] = ""
    checks: ClassVar[CheckSettings] = CheckSettings()
    training: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Make the subclass a frozen dataclass; `n_steps = 50` counts without its type, too."""
        super().__init_subclass__(**arguments)
        if "n_steps" in vars(cls):
            cls.__annotations__ = {**inspect.get_annotations(cls), "n_steps": int}
        dataclasses.dataclass(frozen=True)(cls)

    def draw(self, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
        """Draw one problem.

        Args:
            rng: the problem's own stream of random numbers.

        Returns: its initial parameters by name, and the arrays that define it, by name. All
            problems have the same names and shapes.
        """
        raise NotImplementedError

    def shared(self) -> Arrays:
        """The arrays that all problems share, such as a data set, by name."""
        return {}

    @property
    def layout(self) -> Layout:
        """Names and shapes of the parameters, those of a drawn problem."""
        return _layout(self)

    @property
    def n_parameters(self) -> int:
        """The number of parameters of a problem."""
        return layout_size(self.layout)

    @property
    def n_floats(self) -> int:
        """Four times the numbers that a problem consists of."""
        return _n_floats(self)

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """See `loptbench.tasks.Task`."""
        indices = as_indices(indices)
        drawn = [_drawn(self, generator(self.name, split, seed, index)) for index in indices]
        starts, arrays = zip(*drawn, strict=True)
        for group in (starts, arrays):
            _require_equal_shapes(self.name, group)
        layout = {name: array.shape for name, array in starts[0].items()}
        x0 = [
            np.concatenate([np.zeros(0), *(array.reshape(-1) for array in start.values())])
            for start in starts
        ]
        return ProblemBatch(
            task=self.name,
            initial_parameters=np.stack(x0).astype(np.float64),
            layout=layout,
            arrays={name: np.stack([one[name] for one in arrays]) for name in arrays[0]},
            shared={name: np.asarray(array) for name, array in self.shared().items()},
            split=split,
            seed=seed,
            indices=indices,
            custom=self,
        )

    def description(self) -> dict[str, str]:
        """What identifies the task beside its settings: the hashes of its source and its data."""
        digest = hashlib.sha256()
        for name, array in sorted(self.shared().items()):
            array = np.ascontiguousarray(array)
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
        return {"source": _source_hash(type(self)), "data": digest.hexdigest()}


def brought(task: object, method: str) -> Callable[..., Any] | None:
    """A method that a task may bring, such as `torch_loss`; None if it does not."""
    found = getattr(task, method, None)
    return found if callable(found) else None


def offered_by(task: CustomTask) -> list[str]:
    """The implementations of loptbench for which the task brings a loss.

    The reference takes a loss in a framework where that framework is installed.
    """
    frameworks = [
        name for name, method in LOSSES.items() if name != "reference" and brought(task, method)
    ]
    by_framework = any(importlib.util.find_spec(name) is not None for name in frameworks)
    has_reference = brought(task, "loss") is not None or by_framework
    return [*(["reference"] if has_reference else []), *frameworks]


def _drawn(task: CustomTask, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    """What `draw` returns, as dictionaries of arrays."""
    pair = task.draw(rng)
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(_is_named(part) for part in pair):
        raise LoptbenchError(
            f"`draw` of task {task.name!r} must return two dictionaries of arrays, the initial "
            f"parameters and the arrays of the problem, but returned {_kind_of(pair)}"
        )
    start, arrays = ({name: np.asarray(array) for name, array in part.items()} for part in pair)
    return {name: np.asarray(array, np.float64) for name, array in start.items()}, arrays


def _require_equal_shapes(task: str, problems: Sequence[Arrays]) -> None:
    """Refuse problems whose arrays differ in name or shape."""
    first, *others = ({name: array.shape for name, array in one.items()} for one in problems)
    for other in others:
        if list(other.items()) != list(first.items()):
            raise LoptbenchError(
                f"problems of task {task!r} must all have the same arrays, but one has {first} and "
                f"another one {other}"
            )


def _is_named(part: object) -> bool:
    return isinstance(part, Mapping) and all(isinstance(name, str) for name in part)


def _kind_of(value: object) -> str:
    kinds = ", ".join(type(part).__name__ for part in value) if isinstance(value, tuple) else ""
    return f"a tuple of ({kinds})" if kinds else f"a {type(value).__name__}"


@functools.cache
def _layout(task: CustomTask) -> Layout:
    start, _ = _drawn(task, generator(task.name, "validate", 0, 0))
    return {name: array.shape for name, array in start.items()}


@functools.cache
def _n_floats(task: CustomTask) -> int:
    start, arrays = _drawn(task, generator(task.name, "validate", 0, 0))
    parts = (*start.values(), *arrays.values(), *task.shared().values())
    return 4 * sum(int(np.size(array)) for array in parts)


def _source_hash(kind: type) -> str:
    """The SHA-256 hash of the file that a class is defined in; "" if it has none."""
    try:
        file = inspect.getsourcefile(kind)
        source = Path(file).read_bytes() if file else inspect.getsource(kind).encode()
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(source).hexdigest()
