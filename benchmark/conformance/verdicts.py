"""How a check ends if it does not pass."""


class CheckFailedError(Exception):
    """The property does not hold; the message says what, where, and what was expected."""


class CheckSkippedError(Exception):
    """The check does not apply to what the implementation offers; the message says why."""
