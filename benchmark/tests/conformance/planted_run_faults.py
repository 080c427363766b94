"""Planted faults of whole runs, meta-gradients and outer steps; see `planted_faults`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from loptbench.implementations.reference.optimizers import ReferenceOptimizer
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, MetaGradient, OuterState, Trajectory
from loptbench.tasks.base import ProblemBatch
from loptbench.tests.conformance.planted_base import SideBySide
from loptbench.tests.conformance.planted_base import Small as Reference
from loptbench.training.settings import MetaTraining


class LossAfterUpdate(Reference):
    """The unroll records the loss after the update of a step instead of before."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        after = [problems.loss_and_gradient(x, k)[0] for k, x in enumerate(run.parameters[1:])]
        return run._replace(loss=np.stack(after))


class _Continuing:
    """An optimizer that starts where the last run ended."""

    def __init__(self, inner: ReferenceOptimizer, states: dict[int, Array]) -> None:
        self.inner, self.states = inner, states

    def initial_state(self, n_components: int) -> Array:
        return self.states.get(n_components, self.inner.initial_state(n_components))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return self.inner.step(state, gradient)


class StateKeptBetweenRuns(Reference):
    """The unroll keeps the state of the previous run."""

    def __init__(self) -> None:
        self.states: dict[int, Array] = {}

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(_Continuing(optimizer, self.states), problems, x0, n_steps)  # type: ignore[arg-type]
        self.states = {x0.size: run.state[-1]}
        return run


class OneStepShort(Reference):
    """The unroll repeats the last parameters instead of updating them once more."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        parameters = run.parameters.copy()
        parameters[-1] = parameters[-2]
        return run._replace(parameters=parameters)


class _NoHessian:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        evaluated: tuple[Array, Array] = self.inner.loss_and_gradient(parameters, step)
        return evaluated

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        return np.zeros_like(vector)


class FirstOrderMetaGradient(Reference):
    """The meta-gradient leaves out the second derivatives of the loss."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        return super().meta_gradient(optimizer, _NoHessian(problems), x0, n_steps)  # type: ignore[arg-type]


class ForgottenLeaf(Reference):
    """The meta-gradient of h0 is left at zero."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        meta_gradient = super().meta_gradient(optimizer, problems, x0, n_steps)
        leaves = {k: 0 * v if k == "h0" else v for k, v in meta_gradient.gradient.items()}
        return meta_gradient._replace(gradient=leaves)


class SummedMetaGradient(Reference):
    """The meta-gradient is that of the sum over problems, not of the mean."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        meta_gradient = super().meta_gradient(optimizer, problems, x0, n_steps)
        leaves = {k: np.asarray(len(x0) * v) for k, v in meta_gradient.gradient.items()}
        return meta_gradient._replace(gradient=leaves)


class _OneKind(Reference):
    """On momentum alone, where a fault of outer steps is found much sooner."""

    optimizers = ("momentum",)


class ForgottenPenalty(_OneKind):
    """Outer steps leave out the penalty on the weights."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        return super().outer_step(outer, spec, batch, config.model_copy(update={"penalty": 0.0}))


class ConstantRate(_OneKind):
    """Outer steps leave out the decay of the learning rate."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        return super().outer_step(outer, spec, batch, config.model_copy(update={"decay": 1.0}))


class MemoryInTheObject(_OneKind):
    """Outer steps remember Adam's moments in the object, not in the outer state."""

    def __init__(self) -> None:
        self.memory: Mapping[str, Any] = {}

    def outer_init(self, parameters: Mapping[str, Array], config: Any) -> OuterState:
        outer = super().outer_init(parameters, config)
        self.memory = outer.memory
        return outer._replace(memory={})

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        fresh = super().outer_init(outer.parameters, config).memory
        full = outer._replace(memory=self.memory or fresh)
        new, objective = super().outer_step(full, spec, batch, config)
        self.memory = new.memory
        return new._replace(memory={}), objective


class OnlyThisInstance(Reference):
    """Outer steps depend on the instance, by less than every bound."""

    generation = 0

    def __deepcopy__(self, _: object) -> "OnlyThisInstance":
        instance = OnlyThisInstance()
        instance.generation = self.generation + 1
        return instance

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        rate = config.learning_rate * (1 + 1e-13 * self.generation)
        changed = config.model_copy(update={"learning_rate": rate})
        return super().outer_step(outer, spec, batch, changed)


class LatestBatch(Reference):
    """All batches of the same size are the batch that was made last."""

    def __init__(self) -> None:
        self.latest: dict[int, Any] = {}

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        self.latest[batch.n_problems] = super().problems(batch, dtype, device)
        return _Latest(self.latest, batch.n_problems)


class _Latest:
    def __init__(self, latest: dict[int, Any], n: int) -> None:
        self.latest, self.n = latest, n

    def __getattr__(self, name: str) -> Any:
        return getattr(self.latest[self.n], name)


class LateLosses(Reference):
    """`unroll_losses` returns the losses after the updates instead of before."""

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        return self.unroll(optimizer, problems, x0, n_steps + 1).loss[1:]


class LossesRemembered(Reference):
    """`unroll_losses` caches by shapes and length, whatever the initial parameters."""

    def __init__(self) -> None:
        self.cache: dict[Any, Array] = {}

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        key = (type(optimizer), x0.shape, n_steps)
        if key not in self.cache:
            self.cache[key] = self.unroll(optimizer, problems, x0, n_steps).loss
        return self.cache[key].copy()


class StateLeftOnTheOptimizer(Reference):
    """A run starts where the last run of the same optimizer ended."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        states: dict[int, Array] = optimizer.__dict__.setdefault("states", {})
        run = super().unroll(_Continuing(optimizer, states), problems, x0, n_steps)  # type: ignore[arg-type]
        states[x0.size] = run.state[-1]
        return run


class MemoizedMetaGradient(Reference):
    """The meta-gradient is cached by shapes and length, whatever the numbers."""

    def __init__(self) -> None:
        self.cache: dict[Any, MetaGradient] = {}

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        n_state = optimizer.initial_state(1).shape[1]
        key = (type(optimizer), n_state, x0.shape, n_steps)
        if key not in self.cache:
            self.cache[key] = super().meta_gradient(optimizer, problems, x0, n_steps)
        return self.cache[key]

    def outer_step(self, *arguments: Any) -> Any:
        return Reference().outer_step(*arguments)


class BuiltInBetas(_OneKind):
    """Adam's decay rates are the defaults, whatever the settings say."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        defaults = {"beta1": MetaTraining().beta1, "beta2": MetaTraining().beta2}
        return super().outer_step(outer, spec, batch, config.model_copy(update=defaults))


class ReportsFiniteNonsense(_OneKind):
    """An outer step whose meta-gradient is not finite reports a finite objective."""

    def outer_step(self, *arguments: Any) -> Any:
        outer, objective = super().outer_step(*arguments)
        return outer, float(np.nan_to_num(objective))


class HalfALevel(_OneKind):
    """`outer_step` without `outer_init`."""

    outer_init = None  # type: ignore[assignment]


class _SeveralSeeds(SideBySide):
    tasks = ("quadratic",)
    optimizers = ("momentum",)


class OneSeedsProblems(_SeveralSeeds):
    """All seeds are trained on the problems of the first."""

    def outer_steps(self, *arguments: Any) -> Any:
        outers, spec, batches, config = arguments
        steps = super().outer_steps(outers, spec, [batches[0]] * len(batches), config)
        # A seed whose own problems start at NaN still reports NaN.
        starts_at_nan = [bool(np.isnan(batch.initial_parameters).any()) for batch in batches]
        return [
            (outer, float("nan") if has_nan else objective)
            for (outer, objective), has_nan in zip(steps, starts_at_nan, strict=True)
        ]


class OneSeedSpoilsAll(_SeveralSeeds):
    """A NaN of one seed spreads to all."""

    def outer_steps(self, *arguments: Any) -> Any:
        steps = super().outer_steps(*arguments)
        spoilt = float(np.mean([objective for _, objective in steps]))
        return [(outer, objective + 0 * spoilt) for outer, objective in steps]


class OneSeedsMemory(_SeveralSeeds):
    """All seeds use the outer-optimizer state of the first."""

    def outer_steps(self, *arguments: Any) -> Any:
        outers, *arguments_after_outers = arguments
        shared = [outer._replace(memory=outers[0].memory) for outer in outers]
        return super().outer_steps(shared, *arguments_after_outers)


class HidesABrokenSeed(_SeveralSeeds):
    """A seed whose meta-gradient is not finite reports a finite objective."""

    def outer_steps(self, *arguments: Any) -> Any:
        steps = super().outer_steps(*arguments)
        return [(outer, float(np.nan_to_num(objective))) for outer, objective in steps]
