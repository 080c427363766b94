"""The text of numbers in a page."""

import math
from typing import Any

MISSING = "–"
SIGNIFICANT_DIGITS = 4
MAX_WRITTEN_OUT = 7
"""Numbers of more digits before the point are written with an exponent."""


def number_text(value: Any, digits: int = SIGNIFICANT_DIGITS) -> str:
    """A value as a page shows it; a dash for a missing value.

    >>> [number_text(value) for value in (0.123456, 1e-9, 12, float("inf"), float("nan"), "adam")]
    ['0.1235', '1e-09', '12', '∞', '–', 'adam']
    >>> number_text(12345.6, digits=2)
    '12000'
    """
    if value is None or str(value) in ("nan", "<NA>"):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:.{MAX_WRITTEN_OUT}g}"


def exact_text(value: Any) -> str:
    """A number with nine digits if the page shows fewer; else empty."""
    if not isinstance(value, float) or math.isnan(value):
        return ""
    exact = f"{value:.9g}".replace("inf", "Infinity")
    return "" if exact == number_text(value) else exact


def interval_text(low: Any, high: Any) -> str:
    """An interval in words, or a dash.

    >>> interval_text(0.5, 1.25)
    '0.5 to 1.25'
    """
    ends = [number_text(low), number_text(high)]
    return MISSING if MISSING in ends else " to ".join(ends)
