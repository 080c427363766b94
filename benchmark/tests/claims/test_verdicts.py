"""Verdicts on a checkpoint, on all seeds, and on networks that are not optimizers."""

import functools

import numpy as np
import pytest

from loptbench.claims.catalogue import PREMISE, claims, load_edition
from loptbench.claims.evidence import Evidence, evidence_of
from loptbench.claims.seeds import _outcome
from loptbench.claims.statistics import Estimate
from loptbench.claims.verdicts import INFINITE, judge, judge_all
from loptbench.discovery import oracle
from loptbench.mechanisms.analysis import analyze
from loptbench.optimizers import OptimizerSpec, fresh_gru, random_gru, shuffled
from loptbench.results.schema.evaluation import BaselineEvaluation
from loptbench.results.schema.mechanisms import NotApplicable
from loptbench.results.schema.verdicts import Outcome, Scope, Verdict
from loptbench.rollout.evaluation import evaluate
from loptbench.rollout.trajectory import run
from loptbench.tasks import get_task
from loptbench.tests.claims.made_evidence import made_contents, made_evidence
from loptbench.tests.reports import made_mechanisms
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import representatives, shipped

pytestmark = pytest.mark.harness

N_PROBLEMS = 32


@functools.cache
def baselines(task: str) -> dict[str, BaselineEvaluation]:
    problem = get_task(task)
    batch = problem.sample("evaluate", 0, range(N_PROBLEMS))
    return {
        tuned.kind: BaselineEvaluation(
            **dict(evaluate(oracle(), tuned.spec, batch, problem.n_steps, "float64")),
            hyperparameters={k: float(v) for k, v in tuned.spec.parameters.items()},
        )
        for tuned in load_tuned().of(problem)
    }


def evidence(spec: OptimizerSpec, task: str) -> Evidence:
    problem = get_task(task)
    batch = problem.sample("evaluate", 0, range(N_PROBLEMS))
    learned = evaluate(oracle(), spec, batch, problem.n_steps, "float64")
    with np.errstate(all="ignore"):
        trajectory = run(oracle(), spec, batch.part(range(4)), problem.n_steps)
    analysis = analyze(oracle().optimizer(spec, "float64", "cpu"), trajectory)
    contents = made_contents(
        "one",
        task,
        "jax",
        learned,
        baselines(task),
        analysis,
    )
    (evidence_of_checkpoint,) = evidence_of(contents)
    return evidence_of_checkpoint


def outcomes(evidence: Evidence) -> dict[str, Outcome]:
    return {name: judged.verdict.outcome for name, judged in judge(evidence).items()}


@pytest.mark.parametrize("task", ["quadratic", "rosenbrock"])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
@pytest.mark.parametrize("label", ["random", "fresh", "shuffled"])
def test_nothing_is_reproduced_on_what_is_no_optimizer(label: str, task: str, seed: int) -> None:
    scales = get_task(task).checks.scales
    (name,) = representatives([task])
    spec = {
        "random": lambda: random_gru(32, seed, *scales),
        "fresh": lambda: fresh_gru(32, seed, *scales),
        "shuffled": lambda: shuffled(shipped(name).optimizer.rounded_to("float64"), seed),
    }[label]()
    measured = evidence(spec, task)
    for edition in (1, 2):
        judged = judge(measured, load_edition(edition))
        assert judged[PREMISE].verdict.outcome is not Outcome.REPRODUCED
        for claim, own in judged.items():
            # Other readings of the premise itself are no premise.
            readings = own.verdict.readings[: 1 if claim == PREMISE else None]
            assert Outcome.REPRODUCED not in {reading.outcome for reading in readings}, claim


@pytest.mark.parametrize("task", ["quadratic", "rosenbrock"])
def test_a_shipped_optimizer_is_one(task: str) -> None:
    """Only the premise must hold. Whether the other claims do is a result, not a requirement."""
    (name,) = representatives([task])
    judged = judge(evidence(shipped(name).optimizer.rounded_to("float64"), task))
    assert judged[PREMISE].verdict.outcome is Outcome.REPRODUCED
    assert set(judged) == {c.name for c in claims() if task in c.tasks and not c.is_across_tasks}
    for own in judged.values():
        verdict, answer = own.verdict, own.answer
        if isinstance(answer, Estimate):
            assert verdict.low is not None
            assert verdict.high is not None
            assert verdict.low <= answer.value <= verdict.high
        else:
            assert isinstance(answer, NotApplicable)
            assert answer.reason in verdict.reason


def verdicts_over_seeds(
    evidence: list[Evidence], claim: str = "momentum", edition: int = 2
) -> dict[str, Verdict]:
    """The verdicts on seeds of one claim, by the implementations that meta-trained them."""
    return {
        " or ".join(v.implementations): v
        for v in judge_all(evidence, load_edition(edition))
        if v.claim == claim and v.scope is not Scope.CHECKPOINT
    }


def test_over_seeds_the_interval_and_four_of_five_must_agree() -> None:
    five = [0.9, 0.88, 0.91, 0.87, 0.9]
    (verdict,) = verdicts_over_seeds(
        [made_evidence(x, seed=i) for i, x in enumerate(five)]
    ).values()
    assert verdict.outcome is Outcome.REPRODUCED
    assert (verdict.n_seeds, verdict.n_reproduced) == (5, 5)
    assert verdict.value == pytest.approx(np.mean(five))
    with_outlier = [0.9, 0.88, 0.91, 0.87, 0.1]
    (verdict,) = verdicts_over_seeds(
        [made_evidence(x, seed=i) for i, x in enumerate(with_outlier)]
    ).values()
    assert verdict.n_reproduced == 4
    assert verdict.outcome is Outcome.INCONCLUSIVE  # the mean may lie below the threshold
    (verdict,) = verdicts_over_seeds(
        [made_evidence(0.1 + x / 9, seed=i) for i, x in enumerate(five)]
    ).values()
    assert verdict.outcome is Outcome.NOT_REPRODUCED


def test_the_interval_of_a_rank_correlation_is_one_of_rank_correlations() -> None:
    """The raw bootstrap interval of five seeds, one of them of opposite sign, reaches −2."""
    seeds = []
    for i, rank in enumerate((0.99, 0.9, 0.95, -0.9, 0.98)):
        ranks = made_mechanisms.adaptation(rank_correlation=np.array([rank, rank]))
        seeds.append(made_evidence(0.9, seed=i, adaptation=ranks))
    (verdict,) = verdicts_over_seeds(seeds, "adaptation", edition=1).values()
    assert verdict.low == -1
    assert verdict.high is not None
    assert 0.5 < verdict.high <= 1


def test_over_too_few_seeds_nothing_is_said() -> None:
    (verdict,) = verdicts_over_seeds([made_evidence(0.9, seed=i) for i in range(4)]).values()
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "4 of at least 5 seeds"


def test_frameworks_are_judged_together_and_apart() -> None:
    verdicts = verdicts_over_seeds(
        [made_evidence(0.9 + i / 100, seed=i) for i in range(5)]
        + [made_evidence(0.2 + i / 100, seed=i, trained_by="torch") for i in range(5)]
    )
    assert {verdict.preset for verdict in verdicts.values()} == {"quick"}
    assert {names: verdict.outcome for names, verdict in verdicts.items()} == {
        "jax or torch": Outcome.INCONCLUSIVE,
        "jax": Outcome.REPRODUCED,
        "torch": Outcome.NOT_REPRODUCED,
    }


def test_without_the_premise_nothing_is_reproduced() -> None:
    verdict = judge(made_evidence(0.9, ratio=1.5))["momentum"].verdict
    assert verdict.outcome is Outcome.NOT_REPRODUCED
    assert verdict.reason == "it does no better than gradient descent"
    assert verdict.value == 0.9
    close = made_evidence(0.9, ratio=1.0)
    assert judge(close)[PREMISE].verdict.outcome is Outcome.INCONCLUSIVE
    assert judge(close)["momentum"].verdict.outcome is Outcome.INCONCLUSIVE


def test_a_diverged_run_is_worse_than_any_baseline() -> None:
    judged = judge(made_evidence(0.9, diverged=True))
    for claim in (PREMISE, "better-than-baselines"):
        assert judged[claim].verdict.outcome is Outcome.NOT_REPRODUCED
        assert judged[claim].answer.value == np.inf
    # A median does not see one run of 64: it is another reading of the premise, and disagrees.
    by_name = {reading.statistic: reading for reading in judged[PREMISE].verdict.readings}
    assert by_name["ratio(baseline=sgd, summary=median)"].outcome is Outcome.REPRODUCED
    assert judged[PREMISE].verdict.depends_on_reading
    assert judged["better-than-baselines"].verdict.reason == INFINITE


def test_the_reason_says_what_the_interval_does() -> None:
    # A mean in the claimed range, by one seed of five that is far better than the others.
    outcome, reason = _outcome(Outcome.REPRODUCED, 5, 1, 4)
    assert outcome is Outcome.NOT_REPRODUCED
    assert reason == ("the interval lies in the claimed range, but 4 of 5 seeds speak against it")
    assert _outcome(Outcome.INCONCLUSIVE, 5, 0, 5)[1] == (
        "the interval does not decide, but 5 of 5 seeds speak against it"
    )
    assert _outcome(Outcome.REPRODUCED, 5, 4, 1) == (Outcome.REPRODUCED, "")


def test_where_a_probe_does_not_apply_the_claim_is_open_and_says_why() -> None:
    verdict = judge(made_evidence(None))["momentum"].verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "not applicable: because"
    assert verdict.robustness is None
    # The claim says that there is a convergence point, so without one it is not reproduced.
    verdict = judge(made_evidence(None))["single-convergence-point"].verdict
    assert verdict.outcome is Outcome.NOT_REPRODUCED
