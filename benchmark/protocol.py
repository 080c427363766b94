"""What an implementation must offer, and nothing else.

An implementation computes component-wise optimizers and the tasks they run on, in a framework of
its choice. With this module and `loptbench.optimizers`, which has the equations, you can write one.

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
failure. `unroll_losses`, `sweep` and `outer_steps` are optional fast paths beside the levels.
`loptbench check NAME` checks all that an implementation offers.

Sizes used throughout:

    n_components   scalars that are optimized at once: n_problems · n_parameters in a run
    n_state        state variables per component (0 for sgd, 1 for momentum, the units of a gru)
    n_problems     problems in a batch, each with n_parameters parameters
    n_steps        inner steps of a run, numbered k = 0, 1, …, n_steps − 1
"""

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from loptbench.optimizers import OptimizerSpec
from loptbench.tasks.base import ProblemBatch

Array = NDArray[Any]
"""An array of float32 or float64: the dtype that the optimizer or the problems were made for."""


class Level(enum.IntEnum):
    """The five levels of the protocol; each builds on those before it."""

    STEP = 1
    UNROLL = 2
    LINEARIZE = 3
    META_GRADIENT = 4
    META_TRAINING = 5

    @property
    def label(self) -> str:
        """The level's name in messages and reports, such as `meta-gradient`."""
        return self.name.lower().replace("_", "-")


class Linearization(NamedTuple):
    """The state-space matrices of every component, at its own state and gradient.

    For small δh and δg:  F(h + δh, g + δg) ≈ F(h, g) + A δh + B δg,
                          U(h + δh, g + δg) ≈ U(h, g) + C δh + D δg.

    Attributes:
        A: ∂F/∂h, (n_components, n_state, n_state); A[i, j, l] = ∂F_j/∂h_l of component i.
        B: ∂F/∂g, (n_components, n_state).
        C: ∂U/∂h, (n_components, n_state).
        D: ∂U/∂g, (n_components,).
    """

    A: Array
    B: Array
    C: Array
    D: Array


class Trajectory(NamedTuple):
    """An inner run of a batch, at every step.

    Component p · n_parameters + i is parameter i of problem p.

    Attributes:
        loss: f(x_k), *before* the update of step k, (n_steps, n_problems).
        parameters: x_0 … x_{n_steps}, (n_steps + 1, n_problems, n_parameters).
        gradient: ∇f(x_k), (n_steps, n_problems, n_parameters).
        state: h_0 … h_{n_steps}, (n_steps + 1, n_components, n_state).
        update: Δ_k = x_{k+1} − x_k, (n_steps, n_problems, n_parameters).
    """

    loss: Array
    parameters: Array
    gradient: Array
    state: Array
    update: Array


class MetaGradient(NamedTuple):
    """The meta-objective of a batch, and its gradient.

    Attributes:
        objective: (1/n_steps) Σ_k f(x_k) / f(x_0) of every problem, (n_problems,).
        gradient: the derivative of the *mean of `objective` over problems* with respect to every
            parameter of the optimizer, through the whole run, the second derivatives of the loss
            included; names and shapes are those of the spec's parameters.
    """

    objective: Array
    gradient: Mapping[str, Array]


class Sweep(NamedTuple):
    """The state of many runs on the same problems, each with its own hyperparameters (a draw).

    Attributes:
        parameters: x, (n_draws, n_problems, n_parameters).
        state: h, (n_draws, n_problems · n_parameters, n_state).
        step: the number of steps that each draw has taken, (n_draws,), integers.
    """

    parameters: Array
    state: Array
    step: NDArray[np.int64]


class OuterState(NamedTuple):
    """Everything that meta-training carries from one outer step to the next.

    Attributes:
        parameters: the optimizer's parameters, by name.
        memory: the state of the outer optimizer, by names of the implementation's choice. It is
            written to disk and read back: resuming must equal not stopping, to the bit.
    """

    parameters: Mapping[str, Array]
    memory: Mapping[str, NDArray[Any]]

    def canonical(self) -> "OuterState":
        """The same state with sorted names and every array in C order.

        The harness passes every outer state in this form. A file changes order and memory layout,
        and with them the last bit of a sum; a resumed run must not differ by that.
        """
        return OuterState(
            {name: np.array(array, order="C") for name, array in sorted(self.parameters.items())},
            {name: np.array(array, order="C") for name, array in sorted(self.memory.items())},
        )


class Optimizer(Protocol):
    """Level 1. A component-wise optimizer, made for one dtype and one device."""

    def initial_state(self, n_components: int) -> Array:
        """h_0, (n_components, n_state), a new array; called once per run."""
        ...

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """One step of every component; called once per inner step.

        Components are independent: permuting them permutes the result. A gradient of NaN gives an
        update of NaN, in its own component only.

        Args:
            state: h_k, (n_components, n_state).
            gradient: g_k, (n_components,).

        Returns: the next state h_{k+1}, (n_components, n_state), and the update Δ_k, which is
            *added* to the parameters, (n_components,); both new arrays in the optimizer's dtype.
        """
        ...


@runtime_checkable
class LinearizableOptimizer(Optimizer, Protocol):
    """Level 3. An optimizer that differentiates its own step."""

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """A, B, C, D at states, (n_components, n_state), and gradients, (n_components,)."""
        ...


class Problems(Protocol):
    """Level 1. A batch of problems, made for one dtype and one device."""

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """The loss of every problem and its gradient; called once per inner step.

        Problems are independent: the gradient is that of each problem's own loss, not of a mean.

        Args:
            parameters: x, (n_problems, n_parameters).
            step: the inner step k; tasks with minibatches use another one at each step.

        Returns: the loss f(x), (n_problems,), and ∇f(x), (n_problems, n_parameters).
        """
        ...


class Implementation(Protocol):
    """An implementation: registered by an entry point, or named as `package.module:Object`.

    The object may be an instance, or a class, which is then called without arguments.

    Attributes:
        name: its name in messages and reports.
        optimizers: the optimizer kinds that it computes, of those in `loptbench.optimizers.KINDS`.
        tasks: the tasks that it computes, of those in `loptbench.tasks.TASKS`.
        dtypes: the dtypes that it computes in, of `float32` and `float64`.
        devices: the devices that it computes on; `cpu` is one of them.
        versions: the distributions whose version decides its numbers, such as `("torch",)`;
            records name their versions.
    """

    name: str
    optimizers: Collection[str]
    tasks: Collection[str]
    dtypes: Collection[str]
    devices: Collection[str]
    versions: Collection[str]

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Optimizer:
        """The optimizer that `spec` describes; called once, before many steps."""
        ...

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Problems:
        """The problems that `batch` holds; called once, before many evaluations."""
        ...


@runtime_checkable
class Unrolls(Protocol):
    """Level 2. An implementation with its own inner loop, such as a scan or a compiled loop."""

    def unroll(
        self, optimizer: Any, problems: Any, initial_parameters: Array, n_steps: int
    ) -> Trajectory:
        """Run `n_steps` inner steps and record all of them.

            h_0 = initial_state;  x_0 = initial_parameters;  for k = 0 … n_steps − 1:
                f_k, g_k = loss_and_gradient(x_k, k)
                h_{k+1}, Δ_k = step(h_k, g_k)
                x_{k+1} = x_k + Δ_k

        Args:
            optimizer: made by this implementation's `optimizer`.
            problems: made by its `problems`.
            initial_parameters: x_0, (n_problems, n_parameters).
            n_steps: the number of inner steps.
        """
        ...


@runtime_checkable
class UnrollsLosses(Protocol):
    """Optional. Runs that record losses only: faster evaluation, with less memory."""

    def unroll_losses(
        self, optimizer: Any, problems: Any, initial_parameters: Array, n_steps: int
    ) -> Array:
        """f_k of the run that `unroll` describes, (n_steps, n_problems); the same arguments."""
        ...


@runtime_checkable
class Sweeps(Protocol):
    """Optional. Runs many hyperparameters at once: faster tuning of baselines."""

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: Any,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        """Continue the runs of all draws by `n_steps` steps.

        Draws are independent, also where one diverges. Two threads may call this at a time.

        Args:
            kind: a hand-designed optimizer kind.
            hyperparameters: its parameters, by name, each (n_draws,).
            constants: its constants.
            problems: made by this implementation's `problems`.
            at: the state of the runs.
            n_steps: the number of steps.

        Returns: f(x_k) before each step's update, (n_steps, n_draws, n_problems), and the state of
            the runs afterwards.
        """
        ...


@runtime_checkable
class MetaGradients(Protocol):
    """Level 4. An implementation that differentiates a whole run."""

    def meta_gradient(
        self, optimizer: Any, problems: Any, initial_parameters: Array, n_steps: int
    ) -> MetaGradient:
        """The meta-objective and its gradient; the arguments are those of `unroll`."""
        ...


class OuterSettings(Protocol):
    """The settings that outer steps read; `loptbench.training.settings.MetaTraining` has them.

    `bptt_segment` is the length, in inner steps, of the segments that backpropagation through time
    may compute again in the backward pass to save memory; None keeps all steps. It must not change
    numbers beyond rounding. The equations of `MetaTrains.outer_step` use all others.
    """

    learning_rate: float
    decay: float
    decay_steps: int
    beta1: float
    beta2: float
    epsilon: float
    clipping: Literal["elementwise", "global-norm"]
    clip: float
    penalty: float
    n_steps: int
    batch_size: int
    bptt_segment: int | None
    dtype: Literal["float32", "float64"]
    device: str


@runtime_checkable
class MetaTrains(Protocol):
    """Level 5. An implementation that takes outer steps.

    The outer loop, the problem stream, validation, checkpoints and the log are the harness's.
    """

    def outer_init(self, parameters: Mapping[str, Array], config: OuterSettings) -> OuterState:
        """The state before the first outer step, in `config.dtype`."""
        ...

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: OuterSettings
    ) -> tuple[OuterState, float]:
        """One outer step: meta-gradient, clipping, Adam.

            G  = meta-gradient + config.penalty · θ/‖θ‖₂        (the norm over all parameters)
            G  = each element clipped to ±config.clip             (config.clipping "elementwise")
                 or G · min(1, config.clip / ‖G‖₂)                (config.clipping "global-norm")
            lr = config.learning_rate · config.decay^(t / config.decay_steps),  t = 0, 1, …
            θ  = Adam(θ, G; lr, config.beta1, config.beta2, config.epsilon), bias-corrected

        At θ = 0 the penalty's gradient is taken as 0.

        Args:
            outer: the state before the step; it holds the optimizer's parameters.
            spec: the optimizer's kind and constants.
            batch: the problems of this step, `config.batch_size` of them.
            config: the settings.

        Returns: the state after the step, and the meta-objective before it (mean over problems,
            without the penalty), a float. The objective is NaN if the meta-gradient is not finite;
            the harness then drops the step and counts it.
        """
        ...


@runtime_checkable
class MetaTrainsSideBySide(Protocol):
    """Optional. Takes the outer steps of several seeds as one batch."""

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: OuterSettings,
    ) -> list[tuple[OuterState, float]]:
        """What `outer_step` returns for each state with its own batch, to rounding.

        Seeds are independent, also where one diverges. All share `spec` and `config`.
        """
        ...


def offers(implementation: Any, level: Level, optimizer: Any = None) -> bool:
    """Whether an implementation has the methods of a level.

    Args:
        implementation: the implementation.
        level: the level.
        optimizer: for `LINEARIZE`, whose method is the optimizer's, an optimizer that it made.
    """
    if level is Level.LINEARIZE:
        return isinstance(optimizer, LinearizableOptimizer)
    protocols: dict[Level, type] = {
        Level.UNROLL: Unrolls,
        Level.META_GRADIENT: MetaGradients,
        Level.META_TRAINING: MetaTrains,
    }
    return level is Level.STEP or isinstance(implementation, protocols[level])
