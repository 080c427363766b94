"""Errors for users. Each message says what was wanted, what came, and the remedy."""


class LoptbenchError(Exception):
    """Wrong or damaged input; the command prints the message and exits with code 2."""


class WeightsError(LoptbenchError):
    """A checkpoint file is missing, damaged, or not of the form that is wanted."""


class StoreError(LoptbenchError):
    """A results folder is no store, cannot be written, or holds an invalid record."""


class ClaimsError(LoptbenchError):
    """A file of claims is missing, damaged, or claims what cannot be judged."""


class UnknownNameError(LoptbenchError):
    """No task, implementation, optimizer kind or split has this name.

    Args:
        what: what was to have the name.
        name: the name.
        known: the names that there are.
        otherwise: what else may be given, or be done, as the end of the sentence.
    """

    def __init__(self, what: str, name: str, known: list[str], otherwise: str = "") -> None:
        self._arguments = what, name, known, otherwise
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"unknown {what} {name!r}; known are: {names}{otherwise}")

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """It is made again from its arguments, as in a process that it is sent to."""
        return type(self), self._arguments


class NotInstalledError(LoptbenchError):
    """An implementation needs a package that is not installed; the message names the extra."""


class BrokenImplementationError(LoptbenchError):
    """An implementation cannot be imported, made or called."""


class ContractError(LoptbenchError):
    """An implementation declares or returns something that the protocol does not allow."""


class NotComponentWiseError(LoptbenchError):
    """An optimizer's update is no function of a component's own state and gradient."""


def require_array(value: object, what: str = "an argument") -> None:
    """Refuse what is no NumPy array, such as a tensor: arrays are NumPy's at every boundary.

    >>> try:
    ...     require_array([1.0], "a state")
    ... except ContractError as error:
    ...     print(error)
    a state must be a NumPy array, but it is a list; give numpy.asarray(…) of it

    Args:
        value: what was given.
        what: what it is, for the message.

    Raises:
        ContractError: it is something else.
    """
    import numpy as np  # here, because every command imports this module

    if isinstance(value, np.ndarray | np.generic):
        return
    kind = type(value)
    remedy = "give numpy.asarray(…) of it"
    if kind.__module__.partition(".")[0] == "torch":
        remedy = "give tensor.detach().cpu().numpy()"
    raise ContractError(f"{what} must be a NumPy array, but it is a {kind.__name__}; {remedy}")
