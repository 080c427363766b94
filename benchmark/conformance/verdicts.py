"""How a check ends other than well."""


class CheckFailedError(Exception):
    """What was checked does not hold; the message says what, where, and what was wanted."""


class CheckSkippedError(Exception):
    """The check does not apply to what the implementation offers; the message says why."""
