"""Finding implementations: by folder, by entry point, by `package.module:Object`."""

import dataclasses
import enum
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Collection
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import loptbench.implementations
from loptbench.errors import (
    BrokenImplementationError,
    ContractError,
    LoptbenchError,
    NotInstalledError,
    UnknownNameError,
)
from loptbench.optimizers import KINDS
from loptbench.tasks import TASKS

GROUP = "loptbench.implementations"
DTYPES = ("float32", "float64")


class Availability(enum.StrEnum):
    """Whether an implementation can be used; never mixed up."""

    INSTALLED = "installed"
    MISSING = "not installed"
    BROKEN = "broken"


@dataclasses.dataclass(frozen=True)
class DiscoveredImplementation:
    """An implementation that was found, usable or not.

    Attributes:
        name: what it is called on the command line.
        source: where it was found.
        availability: whether it can be used.
        reason: if it cannot, why, and what to do.
        details: for a broken one, the traceback.
        implementation: if it can, the implementation.
    """

    name: str
    source: str
    availability: Availability
    reason: str = ""
    details: str = ""
    implementation: Any = None


def discover() -> list[DiscoveredImplementation]:
    """Every implementation under `implementations/` and in the entry-point group, by name."""
    found: dict[str, DiscoveredImplementation] = {}
    for module in pkgutil.iter_modules(loptbench.implementations.__path__):
        if module.ispkg:
            name = module.name
            path = f"loptbench.implementations.{name}.implementation:Implementation"
            extra = _extra(f"loptbench.implementations.{name}")
            found[name] = _entry(name, path, extra)
    for point in entry_points(group=GROUP):
        if point.name in found:
            name = f"{point.name} ({point.value})"
            reason = f"the name {point.name!r} is taken; rename the entry point"
            found[name] = DiscoveredImplementation(name, point.value, Availability.BROKEN, reason)
        else:
            found[point.name] = _entry(point.name, point.value, "")
    return [found[name] for name in sorted(found)]


def _extra(package: str) -> str:
    try:
        return str(getattr(importlib.import_module(package), "EXTRA", ""))
    except Exception:
        return ""  # the package is broken, and importing its implementation says how


def _entry(name: str, path: str, extra: str) -> DiscoveredImplementation:
    try:
        return DiscoveredImplementation(
            name, path, Availability.INSTALLED, implementation=load_object(path, extra)
        )
    except NotInstalledError as error:
        return DiscoveredImplementation(name, path, Availability.MISSING, str(error))
    except LoptbenchError as error:
        details = "".join(traceback.format_exception(error.__cause__ or error))
        return DiscoveredImplementation(name, path, Availability.BROKEN, str(error), details)


def get_implementation(name: str) -> Any:
    """The implementation of that name, or at `package.module:Object`.

    Raises:
        UnknownNameError: there is none of that name.
        NotInstalledError: what it needs is not installed.
        BrokenImplementationError: it cannot be imported or made.
        ContractError: it does not declare what the protocol asks for.
    """
    if ":" in name:
        return load_object(name)
    entries = {entry.name: entry for entry in discover()}
    if name not in entries:
        known = [*entries, "or package.module:Object"]
        raise UnknownNameError("implementation", name, known)
    entry = entries[name]
    if entry.availability is Availability.MISSING:
        raise NotInstalledError(entry.reason)
    if entry.availability is Availability.BROKEN:
        raise BrokenImplementationError(entry.reason)
    return entry.implementation


def load_object(path: str, extra: str = "") -> Any:
    """Import an implementation and hold its declaration to the protocol.

    Args:
        path: `package.module:Object`; modules in the current folder are found too.
        extra: the extra of loptbench that installs what it needs, if there is one.
    """
    found = import_object(path, extra)
    implementation = found
    if isinstance(found, type):
        implementation = _guarded(f"{path} cannot be made without arguments", found)
    _guarded(f"what {path} declares cannot be read", validate_declaration, implementation, path)
    return implementation


def _guarded(what: str, call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (KeyboardInterrupt, ContractError):
        raise
    except BaseException as error:  # sys.exit and a Rust panic are no Exceptions
        raise BrokenImplementationError(f"{what}: {type(error).__name__}: {error}") from error


def import_object(path: str, extra: str = "") -> Any:
    """Import `package.module:Object`, looking in the current folder too.

    Raises:
        LoptbenchError: the path is malformed, or there is no such module or object.
        NotInstalledError: a module that it imports is not installed.
        BrokenImplementationError: the import fails.
    """
    module_name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *attribute.split(".")]):
        raise LoptbenchError(f"{path!r} is not of the form package.module:Object")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise LoptbenchError(
                f"there is no module {missing!r} to import {path} from; run in its folder, or "
                "install it"
            ) from error
        remedy = f"pip install 'loptbench[{extra}]'" if extra else f"install {missing!r}"
        raise NotInstalledError(f"{path} needs {missing!r}, not installed: {remedy}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise BrokenImplementationError(
            f"importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise LoptbenchError(f"module {module_name} has no {attribute!r}; check the spelling")
        found = getattr(found, part)
    return found


def validate_declaration(implementation: Any, path: str) -> None:
    """Hold what an implementation says of itself to the protocol.

    Raises:
        ContractError: something is missing, of the wrong type, or unknown.
    """
    wanted = (
        "name",
        "optimizers",
        "tasks",
        "dtypes",
        "devices",
        "versions",
        "optimizer",
        "problems",
    )
    missing = [attribute for attribute in wanted if not hasattr(implementation, attribute)]
    if missing:
        raise ContractError(
            f"{path} is not an implementation: it has no {', '.join(missing)}; "
            "see loptbench.protocol.Implementation"
        )
    name = implementation.name
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ContractError(f"{path}: `name` must be one line of text, not {name!r}")
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
        LoptbenchError: the message says which ones it has, and what to do.
    """
    if device not in implementation.devices:
        raise LoptbenchError(
            f"{implementation.name} has no device {device!r} here, only "
            f"{', '.join(implementation.devices)}; 'cuda' needs a GPU, its driver and a build of "
            "the framework for it"
        )
