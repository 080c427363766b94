"""Adapted optimizers whose hyperparameters are searched."""

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from loptbench.adapters import require_settings
from loptbench.adapters.kinds import AdaptedKind
from loptbench.errors import LoptbenchError
from loptbench.importing import import_object
from loptbench.optimizers import HYPERPARAMETERS
from loptbench.tuning.ranges import RANGES, RATE, RATES, Range

NO_RANGES: Mapping[str, Range] = MappingProxyType({})

PLACES = (0.5, 0.0, 1.0)
"""Places in the ranges at which an optimizer is made before its search."""


def plan_family(
    optimizer: str, settings: Mapping[str, Any], ranges: Mapping[str, Range]
) -> AdaptedKind:
    """The kind of optimizer that is searched; its ranges are put into `RANGES`.

    Args:
        optimizer: its name, as in `loptbench.adapters.kinds.AdaptedKind.parse`.
        settings: the settings that are fixed.
        ranges: the ranges of the others; if empty, that of the learning rate by its usual names.

    Raises:
        NotComponentWiseError: the optimizer is not component-wise.
        LoptbenchError: there is no such optimizer or setting, it has no learning rate, or it cannot
            be made with settings in these ranges.
    """
    if optimizer in HYPERPARAMETERS:
        raise LoptbenchError(f"{optimizer!r} is a baseline: tune it with --baseline {optimizer}")
    kind = AdaptedKind.parse(optimizer, settings)
    if kind.hyperparameters:
        raise LoptbenchError(f"{optimizer}: give a range of {', '.join(kind.hyperparameters)}")
    thing = import_object(kind.path)
    ranges = ranges or _of_learning_rate(kind, thing)
    if both := sorted({*ranges} & {*kind.settings}):
        raise LoptbenchError(f"{', '.join(both)} of {kind.path} is fixed; give no range of it")
    if callable(thing):
        require_settings(kind.path, thing, ranges)
    family = AdaptedKind(kind.path, kind.settings, tuple(ranges))
    for place in PLACES:
        values = {name: ranges[name].at(np.array(place)) for name in ranges}
        try:
            if place == PLACES[0]:
                family.optimizer(values)
            else:
                family.member(values)
        except LoptbenchError as error:
            shown = ", ".join(f"{name}={value:g}" for name, value in values.items())
            raise type(error)(f"{error} [{shown}]") from error
    family.register()
    RANGES[family.name] = dict(ranges)
    return family


def _of_learning_rate(kind: AdaptedKind, thing: Any) -> dict[str, Range]:
    named = inspect.signature(thing).parameters if callable(thing) else {}
    found = [name for name in RATES if name in named]
    if not found:
        raise LoptbenchError(
            f"{kind.path} has no setting {' or '.join(RATES)}; say what to search, as in "
            "--range NAME=1e-5:1"
        )
    return {found[0]: RATE}
