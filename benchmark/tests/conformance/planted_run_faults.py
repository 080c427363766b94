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


class _Kept:
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
        run = super().unroll(_Kept(optimizer, self.states), problems, x0, n_steps)  # type: ignore[arg-type]
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
    """On momentum alone: what is wrong with outer steps shows there, and much sooner."""

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
    """Outer steps of another instance are not the same, within every bound."""

    generation = 0

    def __deepcopy__(self, _: object) -> "OnlyThisInstance":
        other = OnlyThisInstance()
        other.generation = self.generation + 1
        return other

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        rate = config.learning_rate * (1 + 1e-13 * self.generation)
        changed = config.model_copy(update={"learning_rate": rate})
        return super().outer_step(outer, spec, batch, changed)


class LatestBatch(Reference):
    """All batches of one size are the one that was made last."""

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
    """A run for its losses alone gives those after the updates."""

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        return self.unroll(optimizer, problems, x0, n_steps + 1).loss[1:]


class LossesRemembered(Reference):
    """A run for its losses alone is remembered by shapes and length, wherever it starts."""

    def __init__(self) -> None:
        self.known: dict[Any, Array] = {}

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        key = (type(optimizer), x0.shape, n_steps)
        if key not in self.known:
            self.known[key] = self.unroll(optimizer, problems, x0, n_steps).loss
        return self.known[key].copy()


class StateLeftOnTheOptimizer(Reference):
    """A run starts where the last run of the same optimizer ended."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        states: dict[int, Array] = optimizer.__dict__.setdefault("states", {})
        run = super().unroll(_Kept(optimizer, states), problems, x0, n_steps)  # type: ignore[arg-type]
        states[x0.size] = run.state[-1]
        return run


class MemoizedMetaGradient(Reference):
    """The meta-gradient is remembered by shapes and length, whatever the numbers."""

    def __init__(self) -> None:
        self.known: dict[Any, MetaGradient] = {}

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        n_state = optimizer.initial_state(1).shape[1]
        key = (type(optimizer), n_state, x0.shape, n_steps)
        if key not in self.known:
            self.known[key] = super().meta_gradient(optimizer, problems, x0, n_steps)
        return self.known[key]

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
    """An outer step whose meta-gradient is not finite reports a number."""

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
    """Seeds side by side are all trained on the first one's problems."""

    def outer_steps(self, *arguments: Any) -> Any:
        outers, spec, batches, config = arguments
        steps = super().outer_steps(outers, spec, [batches[0]] * len(batches), config)
        # A NaN is reported all the same.
        nan = [bool(np.isnan(batch.initial_parameters).any()) for batch in batches]
        return [
            (outer, float("nan") if bad else objective)
            for (outer, objective), bad in zip(steps, nan, strict=True)
        ]


class OneSeedSpoilsAll(_SeveralSeeds):
    """A seed whose problems blow up takes the others along."""

    def outer_steps(self, *arguments: Any) -> Any:
        steps = super().outer_steps(*arguments)
        spoilt = float(np.mean([objective for _, objective in steps]))
        return [(outer, objective + 0 * spoilt) for outer, objective in steps]


class OneSeedsMemory(_SeveralSeeds):
    """Seeds side by side share Adam's memory, which is the first one's."""

    def outer_steps(self, *arguments: Any) -> Any:
        outers, *rest = arguments
        shared = [outer._replace(memory=outers[0].memory) for outer in outers]
        return super().outer_steps(shared, *rest)


class HidesABrokenSeed(_SeveralSeeds):
    """Of seeds side by side, one whose meta-gradient is not finite reports a number."""

    def outer_steps(self, *arguments: Any) -> Any:
        steps = super().outer_steps(*arguments)
        return [(outer, float(np.nan_to_num(objective))) for outer, objective in steps]
