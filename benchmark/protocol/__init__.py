"""What an implementation must offer, and nothing else.

An implementation computes component-wise optimizers and the tasks they run on, in a framework of
its choice. With this package, `loptbench.optimizers`, which has the equations, and
`loptbench.tasks`, you can write one.

NumPy arrays go in and come out; inside, an implementation may do as it likes. Every call is pure:
it depends on its arguments only, changes none of them, and remembers nothing for the next call.

An implementation offers level 1, and as many of the others as it can:

    1  step            `optimizer(...)` with `initial_state` and `step`;
                       `problems(...)` with `loss_and_gradient`
    2  unroll          `unroll(...)`: a whole run, natively; else the harness loops over level 1
    3  linearize       the optimizer also has `linearize(...)`
    4  meta-gradient   `meta_gradient(...)`
    5  meta-training   `outer_init(...)` and `outer_step(...)`

A level is offered by having its methods. A level left out is reported as *not offered*, never as a
failure. Beside the levels there are optional fast paths: `unroll_losses`, `sweep` and `outer_steps`
of the implementation, `drive` and `gain` of the optimizer. `loptbench check NAME` checks all that
an implementation offers. With `compilation_seconds` it says how long it compiled.

The classes in `loptbench.tasks` describe the arrays of each task's problems, such as H, v and c of
`quadratic`, and have the formulas of its loss.

Sizes used throughout:

    n_components   scalars that are optimized at once: n_problems · n_parameters in a run
    n_state        state variables per component (0 for sgd, 1 for momentum, the units of a gru)
    n_problems     problems in a batch, each with n_parameters parameters
    n_steps        inner steps of a run, numbered k = 0, 1, …, n_steps − 1
"""

from loptbench.protocol.implementation import (
    Compiles,
    Implementation,
    Level,
    MetaGradients,
    MetaTrains,
    MetaTrainsSideBySide,
    OuterSettings,
    Problems,
    Sweeps,
    Unrolls,
    UnrollsLosses,
    offers,
)
from loptbench.protocol.optimizer import (
    Drives,
    Gains,
    LinearizableOptimizer,
    Optimizer,
)
from loptbench.protocol.values import (
    Array,
    Linearization,
    MetaGradient,
    OuterState,
    Sweep,
    Trajectory,
)

__all__ = [
    "Array",
    "Compiles",
    "Drives",
    "Gains",
    "Implementation",
    "Level",
    "LinearizableOptimizer",
    "Linearization",
    "MetaGradient",
    "MetaGradients",
    "MetaTrains",
    "MetaTrainsSideBySide",
    "Optimizer",
    "OuterSettings",
    "OuterState",
    "Problems",
    "Sweep",
    "Sweeps",
    "Trajectory",
    "Unrolls",
    "UnrollsLosses",
    "offers",
]
