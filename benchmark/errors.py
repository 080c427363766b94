"""The errors a user can meet; each says what was wanted, what came, and the remedy."""


class LoptbenchError(Exception):
    """A user's mistake or broken input: the command prints it as one sentence, and exits with 2."""


class WeightsError(LoptbenchError):
    """A checkpoint is missing, truncated, foreign, misshapen, not finite, or for another GRU."""


class StoreError(LoptbenchError):
    """A results folder is not ours, cannot be written, or holds what is not a record."""


class UnknownNameError(LoptbenchError):
    """A task, implementation, optimizer kind or split that nobody has registered."""

    def __init__(self, what: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {what} {name!r}; known are: {', '.join(sorted(known))}")


class NotInstalledError(LoptbenchError):
    """An implementation whose framework is not installed; the message names the extra."""


class BrokenImplementationError(LoptbenchError):
    """An implementation that cannot be imported, built or called."""


class ContractError(LoptbenchError):
    """An implementation returned something that the protocol does not allow."""
