"""Find implementations: by entry point, or by `package.module:Object`.

A package registers an implementation under the entry-point group `loptbench.implementations`:

    [project.entry-points."loptbench.implementations"]
    mine = "my_package.my_module:Implementation [my-extra]"

The extra, if there is one, is what a user has to install for it. loptbench's own implementations
register in the same way.
"""

import dataclasses
import difflib
import enum
import functools
import traceback
from collections.abc import Callable, Collection
from importlib.metadata import (
    EntryPoint,
    PackageNotFoundError,
    distributions,
    entry_points,
    version,
)
from typing import Any

from loptbench.errors import (
    BrokenImplementationError,
    ContractError,
    LoptbenchError,
    NotInstalledError,
    UnknownNameError,
)
from loptbench.global_state import unchanged
from loptbench.importing import import_object, object_hint
from loptbench.optimizers import KINDS, import_architectures
from loptbench.tasks import TASKS

GROUP = "loptbench.implementations"
DECLARATIONS = "loptbench.declarations"
"""Entry points of classes that declare what an implementation offers without importing its
framework. They are optional, and only make `loptbench list` and `loptbench info` faster."""
ORACLE = "reference"
DTYPES = ("float32", "float64")


class Availability(enum.StrEnum):
    """Whether an implementation can be used."""

    INSTALLED = "installed"
    MISSING = "not installed"
    BROKEN = "broken"


@dataclasses.dataclass(frozen=True)
class DiscoveredImplementation:
    """A registered implementation, usable or not.

    Attributes:
        name: its name on the command line.
        source: its import path, `package.module:Object`.
        availability: whether it can be used.
        reason: why it cannot be used, and the remedy; empty if it can.
        details: the traceback of a broken one.
        implementation: the implementation; None if it cannot be used.
    """

    name: str
    source: str
    availability: Availability
    reason: str = ""
    details: str = ""
    implementation: Any = None


@dataclasses.dataclass(frozen=True)
class _Registration:
    """An entry point: its name, its import path, and what `pip install` needs for it."""

    name: str
    path: str
    requirement: str = ""

    @classmethod
    def of(cls, point: EntryPoint) -> "_Registration":
        path, _, extra = point.value.partition("[")
        package = point.dist.name if point.dist is not None else "loptbench"
        extra = extra.strip("] ")
        return cls(point.name, path.strip(), f"{package}[{extra}]" if extra else "")

    def load(self) -> DiscoveredImplementation:
        try:
            implementation = load_object(self.path, self.requirement)
        except NotInstalledError as error:
            return DiscoveredImplementation(self.name, self.path, Availability.MISSING, str(error))
        except LoptbenchError as error:
            details = "".join(traceback.format_exception(error.__cause__ or error))
            return DiscoveredImplementation(
                self.name, self.path, Availability.BROKEN, str(error), details
            )
        return _installed(self, implementation)


def _installed(registration: _Registration, implementation: Any) -> DiscoveredImplementation:
    return DiscoveredImplementation(
        registration.name,
        registration.path,
        Availability.INSTALLED,
        implementation=implementation,
    )


def _registrations() -> tuple[dict[str, _Registration], list[DiscoveredImplementation]]:
    """The registrations by name, and those whose name is taken: loptbench's own come first."""
    points = sorted(
        entry_points(group=GROUP),
        key=lambda point: not point.value.startswith("loptbench.implementations."),
    )
    by_name: dict[str, _Registration] = {}
    taken = []
    for registration in dict.fromkeys(map(_Registration.of, points)):
        name, path = registration.name, registration.path
        if by_name.setdefault(name, registration) is not registration:
            reason = f"the name {name!r} is taken; rename the entry point"
            taken.append(
                DiscoveredImplementation(f"{name} ({path})", path, Availability.BROKEN, reason)
            )
    return by_name, taken


def discover() -> list[DiscoveredImplementation]:
    """Load every registered implementation, in the order of their names.

    >>> [discovered.name for discovered in discover() if discovered.name == "reference"]
    ['reference']
    """
    registrations, taken = _registrations()
    loaded = [registration.load() for registration in registrations.values()]
    return sorted([*loaded, *taken], key=lambda discovered: discovered.name)


def discover_declarations() -> list[DiscoveredImplementation]:
    """The same, but without importing a framework where a declaration is registered.

    `implementation` is then only the declaration: `name`, `optimizers`, `tasks`, `dtypes` and
    `versions`. That the distributions in `versions` are installed is checked, not that they work.
    """
    registrations, described = _registrations()
    paths = {point.name: point.value for point in entry_points(group=DECLARATIONS)}
    for name, registration in registrations.items():
        declaration = import_object(paths[name])() if name in paths else None
        if declaration is not None and all(map(_is_installed, declaration.versions)):
            described.append(_installed(registration, declaration))
        else:
            described.append(registration.load())
    return sorted(described, key=lambda discovered: discovered.name)


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


@functools.cache
def oracle() -> Any:
    """The reference implementation, with which every other is compared.

    >>> oracle().name
    'reference'
    """
    return get_implementation(ORACLE)


def get_implementation(name: str) -> Any:
    """The implementation with that name, or at `package.module:Object`.

    >>> get_implementation("reference").dtypes
    ('float64',)

    Raises:
        UnknownNameError: no implementation is registered under that name.
        NotInstalledError: what it needs is not installed.
        BrokenImplementationError: it cannot be imported or made.
        ContractError: it does not declare what the protocol asks for.
    """
    if ":" in name:
        return load_object(name)
    registrations, _ = _registrations()
    if name not in registrations:
        raise UnknownNameError("implementation", name, [*registrations], object_hint(name))
    discovered = registrations[name].load()
    if discovered.availability is Availability.MISSING:
        raise NotInstalledError(discovered.reason)
    if discovered.availability is Availability.BROKEN:
        raise BrokenImplementationError(discovered.reason)
    return discovered.implementation


def registered_source(name: str) -> str:
    """The import path under which an implementation is registered.

    >>> registered_source("reference").partition(":")[0]
    'loptbench.implementations.reference.implementation'

    Raises:
        UnknownNameError: no implementation is registered under that name.
    """
    registrations, _ = _registrations()
    if name not in registrations:
        raise UnknownNameError("implementation", name, list(registrations))
    return registrations[name].path


def source_of(name: str) -> str:
    """The import path of the implementation with that name, or at `package.module:Object`.

    Raises:
        UnknownNameError: no implementation is registered under that name.
    """
    return name if ":" in name else registered_source(name)


def requirement_of(source: str) -> str:
    """What `pip install` needs for an implementation that is registered; empty if it is not known.

    >>> requirement_of("loptbench.implementations.torch.implementation:Implementation")
    'loptbench[torch]'
    """
    registrations, _ = _registrations()
    return next((each.requirement for each in registrations.values() if each.path == source), "")


def load_object(path: str, requirement: str = "") -> Any:
    """Import an implementation and check its declaration.

    Args:
        path: `package.module:Object`; modules in the current folder are found too.
        requirement: what `pip install` needs for it, such as `loptbench[torch]`, where known.
    """
    implementation = import_object(path, requirement)
    if isinstance(implementation, type):
        with unchanged(f"{path}()"):
            implementation = _guarded(f"{path} cannot be made without arguments", implementation)
    _guarded(f"what {path} declares cannot be read", validate_declaration, implementation, path)
    return implementation


def _guarded(what: str, call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (KeyboardInterrupt, ContractError):
        raise
    except BaseException as error:  # sys.exit and a Rust panic are no Exceptions
        raise BrokenImplementationError(f"{what}: {type(error).__name__}: {error}") from error


def validate_declaration(implementation: Any, path: str) -> None:
    """Check what an implementation declares against the protocol.

    Raises:
        ContractError: something is missing, of the wrong type, or unknown.
    """
    required = (
        "name",
        "optimizers",
        "tasks",
        "dtypes",
        "devices",
        "versions",
        "optimizer",
        "problems",
    )
    missing = [attribute for attribute in required if not hasattr(implementation, attribute)]
    if missing:
        raise ContractError(
            f"{path} is not an implementation: it has no {', '.join(missing)}; "
            "see loptbench.protocol.Implementation"
        )
    name = implementation.name
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ContractError(f"{path}: `name` must be one line of text, not {name!r}")
    import_architectures()
    known = {"optimizers": tuple(KINDS), "tasks": tuple(TASKS), "dtypes": DTYPES}
    for attribute in ("optimizers", "tasks", "dtypes", "devices", "versions"):
        values = getattr(implementation, attribute)
        is_strings = isinstance(values, Collection) and all(isinstance(v, str) for v in values)
        if isinstance(values, str) or not is_strings:
            raise ContractError(
                f"{path}: `{attribute}` must be a collection of strings, not {values!r}"
            )
        for value in values:
            if value not in known.get(attribute, (value,)):
                raise ContractError(
                    f"{path}: unknown {value!r} in `{attribute}`; "
                    f"known are: {', '.join(known[attribute])}"
                )
    for distribution in implementation.versions:
        if not _is_installed(distribution):
            installed = sorted({found.name for found in distributions()})
            close = difflib.get_close_matches(distribution, installed, n=1)
            raise ContractError(
                f"{path}: no distribution {distribution!r} is installed, which `versions` names; "
                f"give names as pip shows them{f', such as {close[0]!r}' if close else ''}"
            )
    for attribute in ("optimizers", "dtypes", "devices"):
        if not tuple(getattr(implementation, attribute)):
            raise ContractError(f"{path}: `{attribute}` is empty, so there is nothing to check")
    if "cpu" not in implementation.devices:
        raise ContractError(
            f"{path}: `devices` has no 'cpu', on which implementations are compared"
        )
    for method in ("optimizer", "problems"):
        if not callable(getattr(implementation, method)):
            raise ContractError(f"{path}: `{method}` must be a method")


def require_device(implementation: Any, device: str) -> None:
    """Refuse a device that the implementation does not have here.

    Raises:
        LoptbenchError: the message names the devices it has, and the remedy.
    """
    if device not in implementation.devices:
        raise LoptbenchError(
            f"{implementation.name} has no device {device!r} here, only "
            f"{', '.join(implementation.devices)}; 'cuda' needs a GPU, its driver and a build of "
            "the framework for it"
        )
