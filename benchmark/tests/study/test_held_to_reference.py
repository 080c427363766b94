"""Every evaluation is held to the reference: faults that only show at its size, and right ports."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loptbench.agreement.losses import compare_losses, draw_problems, oracle_losses
from loptbench.claims.evidence import evidence_of
from loptbench.discovery import Availability, DiscoveredImplementation, get_implementation, oracle
from loptbench.optimizers import random_gru, sgd
from loptbench.protocol import Array
from loptbench.results.frames import Contents, frame_of
from loptbench.results.schema.evaluation import BaselinesResult, LearnedResult
from loptbench.results.schema.keys import Role
from loptbench.results.schema.means import MeanResult
from loptbench.results.schema.records import TrialStatus
from loptbench.results.store import Store
from loptbench.rollout import held_out
from loptbench.rollout.held_out import HeldOut
from loptbench.storage.weights import Checkpoint
from loptbench.study.evaluation import evaluation_trials
from loptbench.study.execution import run_trials
from loptbench.study.trials import Trial
from loptbench.tasks import get_task
from loptbench.tuning.tuned_file import load_tuned

pytestmark = pytest.mark.harness

Reference: Any = type(get_implementation("reference"))
N_PROBLEMS = 64
CHECKPOINT = Checkpoint(random_gru(3, 0, 0.7, 0.3), "quadratic", {"implementation": "port"})


class Port(Reference):  # type: ignore[misc]  # a class that is found at run time
    """The reference under another name, whose losses a fault may change."""

    name = "port"
    dtypes = ("float32", "float64")

    def __init__(self, change: Callable[[Array], Array] = lambda loss: loss) -> None:
        super().__init__()
        self.change = change

    def unroll_losses(self, optimizer: Any, problems: Any, x: Array, n_steps: int) -> Array:
        with np.errstate(all="ignore"):
            loss = self.unroll(optimizer, problems, x.astype(np.float64), n_steps).loss
        return self.change(loss.astype(x.dtype))

    def optimizer(self, spec: Any, dtype: str, device: str) -> Any:
        return super().optimizer(spec, "float64", device)

    def problems(self, batch: Any, dtype: str, device: str) -> Any:
        return super().problems(batch.rounded_to(dtype), "float64", device)


def trials(implementation: Any, dtype: str = "float64") -> list[Trial]:
    found = DiscoveredImplementation(
        implementation.name, "here", Availability.INSTALLED, implementation=implementation
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "HELD_OUT", {"quadratic": HeldOut(N_PROBLEMS, dtype)})
        return list(
            evaluation_trials(
                found, {"learned": CHECKPOINT}, ["learned"], load_tuned(), 0, ["quadratic"]
            )
        )


def repeats_the_first_problems(loss: Array) -> Array:
    return loss[:, np.arange(loss.shape[1]) % 16]


def leaves_out_every_other_problem(loss: Array) -> Array:
    return np.asarray(loss[:, np.arange(loss.shape[1]) // 2 * 2])


def runs_the_problems_in_another_order(loss: Array) -> Array:
    return loss[:, ::-1]


def stops_before_the_end(loss: Array) -> Array:
    return loss[np.minimum(np.arange(len(loss)), 150)]


def records_losses_after_the_update(loss: Array) -> Array:
    return np.concatenate([loss[1:], loss[-1:]])


def clamps_losses_from_below(loss: Array) -> Array:
    return np.asarray(np.maximum(loss, np.median(loss)))


def computes_in_half_precision(loss: Array) -> Array:
    return loss.astype(np.float16).astype(loss.dtype)


def replaces_problems_by_their_mean(loss: Array) -> Array:
    return np.broadcast_to(loss.mean(axis=1, keepdims=True), loss.shape)


def forgets_the_constant_term(loss: Array) -> Array:
    return np.asarray(loss - 0.999 * loss.min(axis=0))


def smooths_over_steps(loss: Array) -> Array:
    return np.concatenate([loss[:1], (loss[1:] + loss[:-1]) / 2])


FAULTS = [
    repeats_the_first_problems,
    leaves_out_every_other_problem,
    runs_the_problems_in_another_order,
    stops_before_the_end,
    records_losses_after_the_update,
    clamps_losses_from_below,
    computes_in_half_precision,
    replaces_problems_by_their_mean,
    forgets_the_constant_term,
    smooths_over_steps,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_that_shows_in_long_runs_of_many_problems_is_noticed(
    fault: Callable[[Array], Array],
) -> None:
    """Baselines are run in float64, and the learned optimizer in float32."""
    for trial in trials(Port(fault), "float32"):
        status, message, result = trial.run()
        assert status is TrialStatus.FAILED, trial.key
        assert "loss of problem " in message
        assert f"[port against reference, {trial.key.optimizer} on quadratic, seed 0" in message
        assert isinstance(result, BaselinesResult | LearnedResult)
        assert any(comparison.ratio > 1 for comparison in result.agreement or ())


class RoundsOtherwise:
    """Problems whose gradients have other rounding errors than the oracle's."""

    def __init__(self, problems: Any) -> None:
        self.problems, self.rng = problems, np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.problems, name)

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = self.problems.loss_and_gradient(parameters, step)
        _, scale = self.problems.rounding_scale(parameters, step)
        error = np.finfo(np.float64).eps * scale * self.rng.choice([-1.0, 1.0], gradient.shape)
        return loss, gradient + error


class PortThatRoundsOtherwise(Port):
    def problems(self, batch: Any, dtype: str, device: str) -> Any:
        return RoundsOtherwise(super().problems(batch, dtype, device))


def test_chaotic_runs_are_compared_while_small_errors_stay_small() -> None:
    """Near the minimum of `quadratic`, tuned RMSProp magnifies rounding without bound."""
    baselines = trials(PortThatRoundsOtherwise())[0]
    status, message, result = baselines.run()
    assert (status, message) == (TrialStatus.OK, "")
    assert isinstance(result, BaselinesResult)
    assert all(comparison.ratio > 0 for comparison in result.agreement or ())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_port_passes_and_its_record_says_how_near_it_came(dtype: str) -> None:
    def rounds(loss: Array) -> Array:
        return np.asarray(loss * (1 + np.finfo(loss.dtype).eps))

    for trial in trials(Port(rounds), dtype):
        status, message, result = trial.run()
        assert (status, message) == (TrialStatus.OK, "")
        assert isinstance(result, BaselinesResult | LearnedResult)
        n_optimizers = 8 if trial.key.optimizer.role is Role.BASELINES else 1
        agreement = result.agreement or ()
        assert len(agreement) == 32 * n_optimizers
        assert all(0 < comparison.ratio <= 1 for comparison in agreement)


def test_losses_of_another_shape_are_refused() -> None:
    port = Port(lambda loss: loss[:, :16])
    with pytest.raises(Exception, match=r"must have shape \(201, 64\), but have \(201, 16\)"):
        trials(port)[0].run()


def test_an_evaluation_that_failed_or_whose_mean_deviates_is_no_evidence(full_store: Any) -> None:
    records, _ = Store.open(full_store).records()
    assert evidence_of(Contents(records))
    failed = [
        record.model_copy(update={"status": TrialStatus.FAILED})
        if record.key.optimizer.role is Role.CHECKPOINT
        else record
        for record in records
    ]
    assert not evidence_of(Contents(failed))
    deviating = MeanResult(
        record="",
        role="checkpoint",
        optimizer="x",
        other="torch",
        n_problems=1,
        mean=1.0,
        other_mean=2.0,
        error=1.0,
        bound=0.0,
        n_disputed=1,
        n_measured=0,
        deviation="the means differ",
    )
    means = [deviating.model_copy(update={"record": record.name}) for record in records]
    assert not evidence_of(Contents(records, means=means))


def test_the_agreement_of_evaluations_is_in_the_frame_of_comparisons(tmp_path: Any) -> None:
    store = Store.create(tmp_path / "store")
    run_trials(trials(Port()), store, [])
    table = frame_of(Contents.of(store), "comparisons")
    assert set(table["check"]) == {"evaluation"}
    assert len(table) == 32 * 9


def test_draws_cover_the_batch_and_differ_between_trials() -> None:
    draws = [draw_problems(N_PROBLEMS, 1000, seed) for seed in range(50)]
    assert len({tuple(draw) for draw in draws}) > 40
    for draw in draws:
        assert [place // 16 for place in draw] == [0, 1, 2, 3]
    assert draw_problems(3, 1000, 0) == [0, 1, 2]
    assert len(draw_problems(4096, 5, 0)) == 32
    seeds = [int(trial.key.name[:16], 16) for trial in trials(Port())]
    assert len(set(seeds)) == len(seeds)


DIVERGING = sgd(1.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_runs_that_diverge_are_compared_up_to_there_and_have_to_diverge(dtype: str) -> None:
    task = get_task("rosenbrock")
    batch = task.sample("evaluate", 0, range(3))
    expected = oracle_losses(oracle(), DIVERGING, batch, task.n_steps, dtype)
    assert not np.isfinite(expected.loss[-1]).any()
    assert (expected.n_comparable < 20).all()
    with np.errstate(all="ignore"):
        loss = Port().unroll_losses(
            Port().optimizer(DIVERGING, dtype, "cpu"),
            Port().problems(batch, dtype, "cpu"),
            batch.initial_parameters.astype(dtype),
            task.n_steps,
        )
    compared = compare_losses(oracle(), loss, DIVERGING, batch, dtype)
    assert [comparison.deviation for comparison in compared] == ["", "", ""]
    hidden = np.nan_to_num(loss, nan=7.0, posinf=7.0)
    compared = compare_losses(oracle(), hidden, DIVERGING, batch, dtype)
    for comparison in compared:
        assert "= 7, but should have diverged by step " in comparison.deviation
        assert comparison.ratio == np.inf
