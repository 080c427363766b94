"""The optimizer kinds of the reference; `loptbench.optimizers` has the equations."""

import functools
from collections.abc import Callable

from loptbench.implementations.reference.optimizers.adam import Adam
from loptbench.implementations.reference.optimizers.base import ReferenceOptimizer
from loptbench.implementations.reference.optimizers.composed import Composed
from loptbench.implementations.reference.optimizers.gru import GRU
from loptbench.implementations.reference.optimizers.log_lstm import LogLSTM
from loptbench.implementations.reference.optimizers.lstm import LSTM
from loptbench.implementations.reference.optimizers.momentum import Momentum
from loptbench.implementations.reference.optimizers.nesterov import Nesterov
from loptbench.implementations.reference.optimizers.rmsprop import RMSProp
from loptbench.implementations.reference.optimizers.scheduled import Scheduled
from loptbench.implementations.reference.optimizers.sgd import SGD
from loptbench.optimizers import SCHEDULED, OptimizerSpec

KINDS: dict[str, Callable[[OptimizerSpec], ReferenceOptimizer]] = {
    "gru": GRU,
    "lstm": LSTM,
    "log_lstm": LogLSTM,
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
    "composed": Composed,
}
KINDS |= {
    name: functools.partial(Scheduled, KINDS[parts.kind]) for name, parts in SCHEDULED.items()
}

__all__ = [
    "GRU",
    "KINDS",
    "LSTM",
    "SGD",
    "Adam",
    "Composed",
    "LogLSTM",
    "Momentum",
    "Nesterov",
    "RMSProp",
    "ReferenceOptimizer",
    "Scheduled",
]
