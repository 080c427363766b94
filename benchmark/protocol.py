"""What an implementation must offer, and nothing else.

Read this module and `loptbench.optimizers`, which has the equations, and you can write one.

An implementation computes component-wise optimizers and the tasks they run on, in a framework of
its choice. NumPy arrays go in and come out; inside, it may do as it likes. Everything is pure: what
a call needs comes in, what it leaves goes out, nothing handed in is changed, and nothing is
remembered from one call to the next.

An implementation offers the first level, and as many of the others as it can:

    1  step            `optimizer(...)` with `initial_state` and `step`;
                       `problems(...)` with `loss_and_gradient`
    2  unroll          `unroll(...)`: a whole run, natively; else the harness loops over level 1
    3  linearize       the optimizer also has `linearize(...)`
    4  meta-gradient   `meta_gradient(...)`
    5  meta-training   `outer_init(...)` and `outer_step(...)`

A level is offered by having its methods; a level left out is reported as *not offered*, never as
a failure. `loptbench check NAME` tells which levels hold.

Sizes used throughout:

    n_components   how many scalars are optimized at once: n_problems · n_parameters in a run
    n_state        state variables per component (0 for sgd, 1 for momentum, the units of a gru)
    n_problems     problems in a batch, each with n_parameters parameters
    n_steps        inner steps in a run, numbered k = 0, 1, …, n_steps − 1
"""

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from loptbench.optimizers import OptimizerSpec
from loptbench.tasks.base import ProblemBatch

Array = NDArray[Any]
"""An array of float32 or float64, whichever the call is made in."""


class Level(enum.IntEnum):
    """The five levels of the protocol; each stands on those before it."""

    STEP = 1
    UNROLL = 2
    LINEARIZE = 3
    META_GRADIENT = 4
    META_TRAINING = 5

    @property
    def label(self) -> str:
        """The level's name in messages and reports."""
        return self.name.lower().replace("_", "-")


class Linearization(NamedTuple):
    """The state-space matrices of each component at its own state and gradient.

    With δh, δg small:  F(h + δh, g + δg) ≈ F(h, g) + A δh + B δg,
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
    """One inner run of a batch, at every step.

    Components are ordered problem by problem: component p · n_parameters + i is parameter i of
    problem p.

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
    """The meta-objective of a batch and its gradient.

    Attributes:
        objective: one number per problem, (n_problems,):
            (1/n_steps) Σ_k f(x_k) / f(x_0), the mean loss over the first loss.
        gradient: the derivative of the *mean of `objective` over problems* with respect to every
            parameter of the optimizer, through the whole run (the second derivatives of the loss
            included): the names and shapes of the spec's parameters.
    """

    objective: Array
    gradient: Mapping[str, Array]


class Sweep(NamedTuple):
    """Where many runs of the same problems stand, each with hyperparameters of its own.

    Attributes:
        parameters: x, (n_draws, n_problems, n_parameters).
        state: h, (n_draws, n_problems · n_parameters, n_state).
        step: how many steps each draw has taken, (n_draws,), integers.
    """

    parameters: Array
    state: Array
    step: NDArray[np.int64]


class OuterState(NamedTuple):
    """Everything that meta-training carries from one outer step to the next.

    Attributes:
        parameters: the optimizer's parameters, by name.
        memory: what the outer optimizer remembers, by names of the implementation's choice. It is
            written to disk and read back: resuming must equal not stopping, to the bit.
    """

    parameters: Mapping[str, Array]
    memory: Mapping[str, NDArray[Any]]

    def canonical(self) -> "OuterState":
        """The same with names in alphabetical order and every array laid out row by row.

        A trip to the disk changes both, and with them the last bit of a sum or a product. The
        harness hands every outer state over in this form: resuming must not show.
        """
        return OuterState(
            {name: np.array(array, order="C") for name, array in sorted(self.parameters.items())},
            {name: np.array(array, order="C") for name, array in sorted(self.memory.items())},
        )


class Optimizer(Protocol):
    """Level 1. A component-wise optimizer, ready to run in one dtype on one device."""

    def initial_state(self, n_components: int) -> Array:
        """h_0 of that many components, called once per run.

        Returns: (n_components, n_state), in the dtype the optimizer was made for.
        """
        ...

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """One step of every component; called once per inner step.

        Components do not see each other: permuting them permutes the answer.

        Args:
            state: h_k, (n_components, n_state).
            gradient: g_k, (n_components,).

        Returns: the next state h_{k+1}, (n_components, n_state), and the update Δ_k to *add* to
            the parameters, (n_components,); both in the optimizer's dtype, both new arrays.
        """
        ...


@runtime_checkable
class LinearizableOptimizer(Optimizer, Protocol):
    """Level 3. An optimizer that can differentiate its own step."""

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """A, B, C, D of every component, at the state and gradient it is given.

        Args:
            state: (n_components, n_state).
            gradient: (n_components,).
        """
        ...


class Problems(Protocol):
    """Level 1. A batch of problems, ready to be evaluated in one dtype on one device."""

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """The loss and its gradient, called once per inner step.

        Problems do not see each other: the gradient is each problem's own, not that of a mean.

        Args:
            parameters: x, (n_problems, n_parameters).
            step: the inner step k, for tasks that use another minibatch at each; others ignore it.

        Returns: the loss f(x), (n_problems,), and ∇f(x), (n_problems, n_parameters).
        """
        ...


class Implementation(Protocol):
    """What a folder under `implementations/`, an entry point or `package.module:Object` provides.

    The object may be a class, which is then called without arguments, or an instance.

    Attributes:
        name: how it is called in messages and reports.
        optimizers: the optimizer kinds that it computes, of those in `loptbench.optimizers.KINDS`.
        tasks: the tasks that it computes, of those in `loptbench.tasks.TASKS`.
        dtypes: of `float32` and `float64`, those it runs in.
        devices: where it runs, such as `cpu`.
        versions: the distributions whose version decides its numbers, such as `("torch",)`;
            records carry them.
    """

    name: str
    optimizers: Collection[str]
    tasks: Collection[str]
    dtypes: Collection[str]
    devices: Collection[str]
    versions: Collection[str]

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Optimizer:
        """Make the optimizer that `spec` describes; called once, before many steps."""
        ...

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Problems:
        """Make the problems that `batch` holds; called once, before many evaluations."""
        ...


@runtime_checkable
class Unrolls(Protocol):
    """Level 2. An implementation with an inner loop of its own: a scan, a compiled loop."""

    def unroll(
        self, optimizer: Any, problems: Any, initial_parameters: Array, n_steps: int
    ) -> Trajectory:
        """Run `n_steps` inner steps from `initial_parameters`, and leave everything on record.

            h_0 = initial_state;  x_0 = initial_parameters;  for k = 0 … n_steps − 1:
                f_k, g_k = loss_and_gradient(x_k, k)
                h_{k+1}, Δ_k = step(h_k, g_k)
                x_{k+1} = x_k + Δ_k

        Args:
            optimizer: what this implementation's own `optimizer` returned.
            problems: what its own `problems` returned.
            initial_parameters: x_0, (n_problems, n_parameters).
            n_steps: how many inner steps.
        """
        ...


@runtime_checkable
class UnrollsLosses(Protocol):
    """Beside the levels: runs that leave only losses on record; evaluation is faster with it."""

    def unroll_losses(
        self, optimizer: Any, problems: Any, initial_parameters: Array, n_steps: int
    ) -> Array:
        """f_k of the run that `unroll` describes, (n_steps, n_problems); its arguments."""
        ...


@runtime_checkable
class Sweeps(Protocol):
    """Beside the levels: an implementation that runs many hyperparameters at once, for the tuner.

    Without it, the tuner cannot be run with the implementation; nothing else is lost.
    """

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: Any,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        """Go on by `n_steps` steps with every draw on every problem, all side by side.

        A run that blows up touches no other. The tuner calls this from two threads at a time.

        Args:
            kind: a hand-designed kind.
            hyperparameters: its parameters, by name, each (n_draws,).
            constants: its constants, the same for all draws.
            problems: what this implementation's own `problems` returned.
            at: where the runs stand.
            n_steps: how many steps.

        Returns: f(x_k) before each step's update, (n_steps, n_draws, n_problems), and where the
            runs stand afterwards.
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
    """The settings that an outer step reads; `loptbench.training.settings.MetaTraining` has them.

    Attributes:
        learning_rate, decay, decay_steps: the learning rate is multiplied by `decay` every
            `decay_steps` outer steps, exponentially.
        beta1, beta2, epsilon: those of Adam.
        clipping, clip: how the meta-gradient is clipped, and its bound.
        penalty: factor of the norm of the parameters, which is added to the meta-objective.
        n_steps: inner steps of a run; the meta-gradient goes through all of them.
        batch_size: problems in an outer step.
        bptt_segment: length in steps of the segments that are recomputed in the backward pass, to
            save memory; None keeps all steps. It changes no number beyond rounding.
        seed: seed of the initial weights and of the problem stream.
        dtype, device: what to compute in, and where.
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
    seed: int
    dtype: Literal["float32", "float64"]
    device: str


@runtime_checkable
class MetaTrains(Protocol):
    """Level 5. An implementation that can take outer steps.

    The loop, the problem stream, validation, checkpoints and the log are the harness's.
    """

    def outer_init(self, parameters: Mapping[str, Array], config: OuterSettings) -> OuterState:
        """The state before the first outer step, in `config.dtype`."""
        ...

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: OuterSettings
    ) -> tuple[OuterState, float]:
        """One outer step: gradient, clipping, Adam.

            G  = meta-gradient + config.penalty · θ/‖θ‖₂        (the norm over all parameters)
            G  = each element clipped to ±config.clip             (config.clipping "elementwise")
                 or G · min(1, config.clip / ‖G‖₂)                (config.clipping "global-norm")
            lr = config.learning_rate · config.decay^(t / config.decay_steps),  t = 0, 1, …
            θ  = Adam(θ, G; lr, config.beta1, config.beta2, config.epsilon), bias-corrected

        At θ = 0 the penalty's gradient is taken as 0.

        Args:
            outer: the state before the step.
            spec: the optimizer's kind and constants; its parameters are those of `outer`.
            batch: this step's problems, `config.batch_size` of them.
            config: the settings.

        Returns: the state after the step, and the meta-objective before it (mean over problems,
            without the penalty), or NaN if the meta-gradient was not finite: the harness then drops
            the step and counts it.
        """
        ...


@runtime_checkable
class MetaTrainsSideBySide(Protocol):
    """Beside the levels: an implementation that takes the outer steps of several seeds at once.

    Without it, seeds are meta-trained one after another; nothing else is lost.
    """

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: OuterSettings,
    ) -> list[tuple[OuterState, float]]:
        """What `outer_step` returns for each of the states, to rounding.

        One that blows up touches no other.

        Args:
            outers: the states before the step, one for each seed.
            spec: the optimizer's kind and constants; its parameters are those of each state.
            batches: each seed's own problems, `config.batch_size` of them.
            config: the settings, which they share; its `seed` is not used.
        """
        ...


def offers(implementation: Any, level: Level, optimizer: Any = None) -> bool:
    """Whether an implementation has the methods of a level.

    Args:
        implementation: the implementation.
        level: the level asked about.
        optimizer: for `LINEARIZE`, an optimizer that it made, since the method is the optimizer's.
    """
    if level is Level.LINEARIZE:
        return isinstance(optimizer, LinearizableOptimizer)
    wanted: dict[Level, type] = {
        Level.UNROLL: Unrolls,
        Level.META_GRADIENT: MetaGradients,
        Level.META_TRAINING: MetaTrains,
    }
    return level is Level.STEP or isinstance(implementation, wanted[level])
