"""Optimizers of other libraries as optimizers of the protocol.

A package registers an adapter under the entry-point group `loptbench.adapters`, by the name of the
module that defines what it adapts:

    [project.entry-points."loptbench.adapters"]
    torch = "loptbench.implementations.torch.adapter:adapt [torch]"

It is a function `adapt(thing, settings)`, which returns an `Adapted` optimizer, or None for a thing
that it does not know. It is asked only if that module has been imported. loptbench's own adapters
are for `torch.optim` and `optax`.
"""

import ast
import difflib
import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError, LoptbenchError, NotComponentWiseError
from loptbench.importing import import_object
from loptbench.mechanisms.dynamics.contract import require_optimizer
from loptbench.protocol import Array, LinearizableOptimizer, Optimizer

GROUP = "loptbench.adapters"

Float = NDArray[np.float64]

NO_WORDS: Mapping[str, Any] = MappingProxyType({})


class AdapterWarning(UserWarning):
    """A part of an optimizer is left out, because it needs more than gradients."""


class Adapted(Optimizer, Protocol):
    """What an adapter returns: an optimizer, and a run of the library's own on whole arrays."""

    def run_on_arrays(
        self, gradients: Sequence[Array], parameters: Sequence[Array]
    ) -> Sequence[Array]:
        """The updates of a run of the library's optimizer whose gradients are given.

        The run starts anew, and the parameters are the same at every step. It is compared with
        steps of single components, which tells whether the optimizer is component-wise.

        Args:
            gradients: of each parameter array, g[k] of every step, (n_steps, *shape).
            parameters: x, the arrays, (*shape).

        Returns: of each array, Δ[k] of every step, (n_steps, *shape).
        """
        ...


@runtime_checkable
class SharesProgram(Protocol):
    """Optional. An adapted optimizer that compiles one program for many values of its settings."""

    def sharing(
        self, make: Callable[..., Any], values: Mapping[str, float]
    ) -> Callable[[dict[str, float]], Optimizer] | None:
        """Makes the optimizers that `make` returns for further values, with one program for all.

        Args:
            make: makes the library's optimizer from settings.
            values: of this optimizer.

        Returns: the optimizer with other values; None if the program depends on values.
        """
        ...


def parse_named(text: str, words: Mapping[str, Any] = NO_WORDS) -> tuple[str, dict[str, Any]]:
    """The name and the settings in a text such as `optax:lion(learning_rate=1e-4)`.

    >>> parse_named("torch.optim:SGD(lr=0.1, nesterov=True)")
    ('torch.optim:SGD', {'lr': 0.1, 'nesterov': True})
    >>> parse_named("torch.optim:SGD")
    ('torch.optim:SGD', {})

    Args:
        text: the text.
        words: words without quotes that may stand for a value, and the value of each.

    Raises:
        LoptbenchError: the settings are not of this form.
    """
    name, bracket, rest = text.partition("(")
    if not bracket:
        return text, {}
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        assert isinstance(call, ast.Call)
        assert not call.args
        return name, {str(word.arg): _value(word.value, words) for word in call.keywords}
    except (SyntaxError, ValueError, AssertionError) as error:
        raise LoptbenchError(
            f"{text!r} is not of the form {name}(name=value, …), such as {name}(lr=0.001)"
        ) from error


def _value(node: ast.expr, words: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name) and node.id in words:
        return words[node.id]
    return ast.literal_eval(node)


def parse_setting(text: str) -> tuple[str, Any]:
    """The name and the value of a setting such as `lr=1e-3` or `nesterov=True`.

    >>> parse_setting("betas=(0.9, 0.99)")
    ('betas', (0.9, 0.99))

    Raises:
        LoptbenchError: the text is not of this form.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name.isidentifier() or not value:
        raise LoptbenchError(f"{text!r} is not of the form name=value, such as lr=0.001")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def adapt(label: str, thing: Any, settings: Mapping[str, Any]) -> Optimizer | None:
    """A thing of another library as an optimizer; None if no adapter knows it.

    A function, such as `optax.adam`, is called with the settings.

    Args:
        label: the name of the thing in messages.
        thing: a class, a function that makes an optimizer, or an optimizer.
        settings: what to make it with.

    Raises:
        NotComponentWiseError: its update is no function of a component's state and gradient.
        LoptbenchError: it cannot be made with these settings.
    """
    if not _registered():
        return None
    thing, settings = _made(label, thing, settings)
    try:
        adapted = _ask(thing, settings)
        return None if adapted is None else _checked(label, adapted)
    except NotComponentWiseError as error:
        raise NotComponentWiseError(f"{label} is not component-wise: {error}") from error
    except LoptbenchError as error:
        raise LoptbenchError(f"{label}: {error}") from error


class Members:
    """Makes optimizers that differ in the values of some settings, for a search: unchecked.

    Those whose adapter can share what it compiles, as `SharesProgram` says, do.

    Args:
        label: the name of the thing in messages.
        thing: a class, or a function that makes an optimizer, which `adapt` takes.
        settings: what all have in common.
    """

    def __init__(self, label: str, thing: Any, settings: Mapping[str, Any]) -> None:
        self.label, self.thing, self.settings = label, thing, settings
        self._shared: Callable[[dict[str, float]], Optimizer] | None = None

    def __call__(self, values: dict[str, float]) -> Optimizer:
        """The optimizer with further settings, which are numbers."""
        if self._shared is None:
            self._shared = self._single
            first = self._single(values)
            if inspect.isroutine(self.thing) and isinstance(first, SharesProgram):
                make = functools.partial(self.thing, **self.settings)
                self._shared = first.sharing(make, values) or self._single
        return self._shared(values)

    def _single(self, values: dict[str, float]) -> Optimizer:
        adapted = _ask(*_made(self.label, self.thing, {**self.settings, **values}))
        if adapted is None:
            raise LoptbenchError(f"{self.label} is no optimizer of torch.optim or optax")
        return adapted


def _made(label: str, thing: Any, settings: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """What an adapter is asked about: what a function returned, or a class and its settings."""
    if inspect.isclass(thing) or inspect.isroutine(thing):
        require_settings(label, thing, settings)
    if inspect.isroutine(thing):
        return _called(label, thing, settings), {}
    return thing, settings


def _ask(thing: Any, settings: Mapping[str, Any]) -> Adapted | None:
    """A thing as the first adapter that knows it adapts it; None if none does."""
    for point in _registered():
        adapted: Adapted | None = import_object(point.value.partition(" ")[0])(thing, settings)
        if adapted is not None:
            return adapted
    return None


def _registered() -> list[Any]:
    return [point for point in entry_points(group=GROUP) if point.name in sys.modules]


def require_settings(label: str, thing: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    """Check the names of settings against what a class or function takes.

    Raises:
        LoptbenchError: one is unknown; the message names those that are close to it.
    """
    parameters = inspect.signature(thing).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    known = [name for name in parameters if name not in ("self", "params")]
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, known, 3, 0.5)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise LoptbenchError(
                f"{label} has no setting {name!r}: {hint}It takes {', '.join(known)}"
            )


def _called(label: str, make: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    empty = inspect.Parameter.empty
    missing = [
        name
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.default is empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in settings
    ]
    if missing:
        raise LoptbenchError(
            f"{label} needs {' and '.join(missing)}: give --set {missing[0]}=VALUE, or "
            f"{label}({', '.join(f'{name}=…' for name in missing)})"
        )
    try:
        return make(**settings)
    except Exception as error:
        raise LoptbenchError(f"{label} cannot be made: {type(error).__name__}: {error}") from error


N_STEPS = 6
N_COMPONENTS = 12
"""Steps and components of the runs that are compared."""

MAX_DIFFERENCE = 1e-9
"""Largest difference of two updates that are to be equal, relative to the largest of the run. It is
far above the rounding of float64, and below what float32 would leave."""


class Arrangement(NamedTuple):
    """A way of laying out components in arrays.

    Attributes:
        reason: why an optimizer whose updates change with it is not component-wise.
        indices: of each array, the component at each place.
    """

    reason: str
    indices: tuple[NDArray[np.int64], ...]


def _arrangements() -> list[Arrangement]:
    all_of_them = np.arange(N_COMPONENTS)
    large = np.resize(all_of_them, (128, 128))
    together = (
        "a component's update changes when others stand in the same array, as with a norm over "
        "the array"
    )
    return [
        Arrangement(together, (all_of_them,)),
        Arrangement(together, (all_of_them[::-1],)),
        Arrangement(
            "a component's update changes when there is another array, as with a norm over all "
            "parameters",
            (all_of_them[:5], all_of_them[5:]),
        ),
        Arrangement(
            "the updates of a matrix are not those of its components, as where a matrix is "
            "factorized",
            (all_of_them.reshape(3, 4),),
        ),
        Arrangement(
            "the updates of a large matrix are not those of its components, as where a matrix is "
            "factorized",
            (large,),
        ),
    ]


def _checked(label: str, adapted: Adapted) -> Optimizer:
    """An adapted optimizer after the comparison with the library's own.

    Raises:
        NotComponentWiseError: its update is no function of a component's state and gradient.
    """
    rng = np.random.default_rng(0)
    shape = N_STEPS, N_COMPONENTS
    gradients = 10.0 ** rng.uniform(-2, 1, shape) * rng.choice([-1.0, 1.0], shape)
    x = rng.standard_normal(N_COMPONENTS)
    alone = _alone(adapted, gradients, x)
    twins = _run(adapted, [gradients[:, [0, 0, 0]]], [x[[0, 0, 0]]])[0]
    if not _close(twins, twins[:, :1]):
        raise NotComponentWiseError("it draws random numbers: equal gradients, different updates")
    for arrangement in _arrangements():
        arranged = [gradients[:, indices] for indices in arrangement.indices]
        updates = _run(adapted, arranged, [x[indices] for indices in arrangement.indices])
        for update, indices in zip(updates, arrangement.indices, strict=True):
            if not _close(update, alone[:, indices]):
                raise NotComponentWiseError(arrangement.reason)
    at_zero = _alone(adapted, gradients, 0 * x)
    decay = alone - at_zero
    if not _close(alone, at_zero):
        other = rng.permuted(gradients, axis=1)
        if not _close(_alone(adapted, other, x) - _alone(adapted, other, 0 * x), decay):
            raise NotComponentWiseError(
                "its update depends on the value of the parameter, and not by a decay that is "
                "added to it; a weight decay can be switched off"
            )
        warnings.warn(
            f"{label} adds a weight decay to its updates, which needs the parameters; it is left "
            "out, as at a parameter of 0",
            AdapterWarning,
            stacklevel=2,
        )
    h, steps = np.asarray(adapted.initial_state(N_COMPONENTS)), []
    for row in gradients:
        h, update = adapted.step(h, row)
        steps.append(update)
    if not _close(np.stack(steps), at_zero):
        raise NotComponentWiseError("its state is more than what it keeps for its parameters")
    return _with_right_derivatives(adapted)


def _run(adapted: Adapted, gradients: list[Float], parameters: list[Float]) -> Sequence[Array]:
    try:
        return adapted.run_on_arrays(gradients, parameters)
    except LoptbenchError:
        raise
    except Exception as error:
        shapes = " and ".join(str(x.shape) for x in parameters)
        raise NotComponentWiseError(
            f"a step of parameters of shape {shapes} with gradients alone fails: "
            f"{type(error).__name__}: {error}"
        ) from error


def _alone(adapted: Adapted, gradients: Float, parameters: Float) -> Float:
    """The updates of a run of each component by itself, (n_steps, n_components)."""
    columns = [
        _run(adapted, [gradients[:, [i]]], [parameters[[i]]])[0] for i in range(len(parameters))
    ]
    return np.concatenate(columns, axis=1)


def _close(a: Array, b: Array) -> bool:
    scale = np.abs(b).max()
    return bool(np.all(np.abs(a - b) <= MAX_DIFFERENCE * scale))


class _Stepping:
    """An optimizer without its own derivatives; the probes take finite differences."""

    def __init__(self, inner: Any) -> None:
        self.initial_state, self.step, self.drive = inner.initial_state, inner.step, inner.drive


def _with_right_derivatives(adapted: Adapted) -> Optimizer:
    """The optimizer, without its derivatives if they are not those of its steps.

    A library may detach a state variable from the graph, or jump where it is differentiated.
    """
    if isinstance(adapted, LinearizableOptimizer):
        try:
            require_optimizer(adapted)
        except ContractError:
            return _Stepping(adapted)
    return adapted
