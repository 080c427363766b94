"""An optimizer that a user names, as a kind: what runs and searches of hyperparameters measure."""

import ast
import dataclasses
import functools
from collections.abc import Callable, Mapping
from importlib.metadata import packages_distributions
from types import MappingProxyType
from typing import Any

import numpy as np

from loptbench.adapters import Members, parse_named
from loptbench.adapters.importing import import_optimizer, instantiate
from loptbench.errors import LoptbenchError
from loptbench.importing import import_object
from loptbench.optimizers import KINDS, Kind, OptimizerSpec, Parameters
from loptbench.protocol import Optimizer

NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


class _Tuned:
    def __repr__(self) -> str:
        return "tuned"


TUNED = _Tuned()
"""Stands in a kind's name for the value of a hyperparameter."""


@dataclasses.dataclass(frozen=True)
class AdaptedKind:
    """An optimizer of another library, or of one's own, as a kind.

    Settings that are fixed belong to the kind. Others are hyperparameters: each `OptimizerSpec` of
    the kind has its own values, as each `sgd` has its step size.

    >>> AdaptedKind.parse("optax:lion(learning_rate=tuned, b1=0.95)").hyperparameters
    ('learning_rate',)

    Attributes:
        path: `package.module:Object`.
        settings: the fixed settings.
        hyperparameters: the names of the others.
    """

    path: str
    settings: Mapping[str, Any]
    hyperparameters: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in records and files: `parse` reads it.

        >>> AdaptedKind("torch.optim:SGD", {"momentum": 0.9}, ("lr",)).name
        'torch.optim:SGD(lr=tuned, momentum=0.9)'
        """
        named = {**dict.fromkeys(self.hyperparameters, TUNED), **self.settings}
        given = ", ".join(f"{name}={value!r}" for name, value in named.items())
        return f"{self.path}({given})" if given else self.path

    @classmethod
    def parse(cls, text: str, settings: Mapping[str, Any] = NO_SETTINGS) -> "AdaptedKind":
        """The kind of this name.

        Args:
            text: `package.module:Object`, with its settings in brackets where it has any.
            settings: further settings.

        Raises:
            LoptbenchError: the text is not of this form, or a setting is given twice.
        """
        path, named = parse_named(text, {repr(TUNED): TUNED})
        if twice := sorted({*named} & {*settings}):
            raise LoptbenchError(f"{', '.join(twice)} of {path} is given twice")
        if ":" not in path:
            raise LoptbenchError(
                f"{text!r} is not of the form package.module:Object, such as torch.optim:AdamW or "
                "optax:lion"
            )
        for name, value in settings.items():
            _require_literal(path, name, value)
        tuned = tuple(name for name, value in named.items() if value is TUNED)
        fixed = {name: value for name, value in named.items() if value is not TUNED}
        return cls(path, {**fixed, **settings}, tuned)

    def spec(self, values: Mapping[str, float]) -> OptimizerSpec:
        """The optimizer with these values of its hyperparameters."""
        self.register()
        return OptimizerSpec(self.name, {k: np.asarray(v, np.float64) for k, v in values.items()})

    def register(self) -> None:
        """Make it one of the kinds of optimizers of this process."""
        KINDS[self.name] = Kind(
            lambda _: dict.fromkeys(self.hyperparameters, ()),
            self._n_state,
            size=lambda _: 0,
        )

    def _n_state(self, parameters: Parameters) -> int:
        """The numbers of a component's state.

        Raises:
            LoptbenchError: the optimizer fails, or its state is not an array of shape (n, n_state).
        """
        optimizer = self.member(parameters)
        try:
            state = optimizer.initial_state(1)
        except Exception as error:  # a user's optimizer raises whatever it likes
            raise LoptbenchError(
                f"{self.path} failed in initial_state: {type(error).__name__}: {error}"
            ) from error
        shape = getattr(state, "shape", None)
        if not isinstance(shape, tuple) or len(shape) != 2:
            what = f"of shape {shape}" if shape is not None else f"a {type(state).__name__}"
            raise LoptbenchError(
                f"the state that initial_state of {self.path} returns must be an array of shape "
                f"(n, n_state), but it is {what}"
            )
        return int(shape[1])

    def optimizer(self, parameters: Parameters) -> Optimizer:
        """The optimizer itself, after all checks.

        Args:
            parameters: the values of the hyperparameters.

        Raises:
            LoptbenchError: it cannot be made so, or is not component-wise.
        """
        return import_optimizer(self.path, {**self.settings, **_numbers(parameters)})

    def member(self, parameters: Parameters) -> Optimizer:
        """The optimizer itself, without any check: for a search, which makes thousands."""
        return _members(self.name)(_numbers(parameters))

    @property
    def distributions(self) -> tuple[str, ...]:
        """The distributions that hold it."""
        package = self.path.partition(":")[0].partition(".")[0]
        return tuple(packages_distributions().get(package, ()))


def _require_literal(path: str, name: str, value: Any) -> None:
    """Refuse a setting that the name of a kind cannot hold."""
    try:
        is_literal = ast.literal_eval(repr(value)) == value
    except (SyntaxError, ValueError):
        is_literal = False
    if not is_literal:
        raise LoptbenchError(
            f"the setting {name} of {path} is {value!r}, which cannot be written to a record; "
            "numbers, text, truth values and tuples of them can"
        )


def _numbers(parameters: Parameters) -> dict[str, float]:
    return {name: float(value) for name, value in parameters.items()}


@functools.lru_cache(maxsize=64)
def _members(name: str) -> Callable[[dict[str, float]], Optimizer]:
    """Makes the optimizers of a kind; what they share is made once."""
    kind = AdaptedKind.parse(name)
    thing = import_object(kind.path)
    if isinstance(thing, type) and hasattr(thing, "initial_state"):
        return lambda values: instantiate(kind.path, thing, {**kind.settings, **values})
    if hasattr(thing, "initial_state"):
        return lambda _: thing
    return Members(kind.path, thing, kind.settings)
