"""Which call of an implementation changes the settings of the whole process."""

from typing import Any

from loptbench.global_state import unchanged

MAKERS = ("optimizer", "problems")
"""Methods that return objects whose calls are watched, too."""

INNER = "_loptbench_watched"
"""The attribute of a watched object that holds the object itself."""


def watched(target: Any, label: str = "") -> Any:
    """The same object with every public method watched: one that changes a setting raises.

    It is slow, and is therefore used only to find the call after a check has noticed a change.

    >>> from loptbench.discovery import oracle
    >>> watched(oracle()).name
    'reference'

    Args:
        target: an implementation, an optimizer or a batch of problems.
        label: what it is, in messages; empty for an implementation.
    """
    members: dict[str, Any] = {"__slots__": (), INNER: target}
    for name in dir(target):
        if name.startswith("_"):
            continue
        member = getattr(target, name)
        members[name] = _watched_method(name, member) if callable(member) else member
    return type(label or "Watched", (), members)()


def _watched_method(name: str, method: Any) -> Any:
    def call(_self: Any, *arguments: Any, **named: Any) -> Any:
        # The implementation gets its own optimizers and problems back.
        own = [getattr(type(argument), INNER, argument) for argument in arguments]
        with unchanged(name):
            result = method(*own, **named)
        return watched(result, name) if name in MAKERS else result

    return call
