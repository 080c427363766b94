"""The methods of an implementation, its problems, and the levels that it can offer."""

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from loptbench.optimizers import OptimizerSpec
from loptbench.protocol.optimizer import LinearizableOptimizer, Optimizer
from loptbench.protocol.values import Array, MetaGradient, OuterState, Sweep, Trajectory
from loptbench.tasks.base import ProblemBatch


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
    bptt_segment: int | None
    dtype: Literal["float32", "float64"]
    device: str


@runtime_checkable
class Compiles(Protocol):
    """Optional. An implementation that compiles programs as it is called, and says for how long.

    The harness calls this before and after a trial. `loptbench perf study` shows the difference.
    """

    def compilation_seconds(self) -> float:
        """The seconds that this process has spent on compiling so far; they never decrease."""
        ...


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
            batch: the problems of this step. The batch says how many there are; their number may
                change during a meta-training.
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
