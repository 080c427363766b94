"""Claims that compare two tasks, on pairs of seeds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loptbench.claims.catalogue import load_edition
from loptbench.claims.evidence import Evidence
from loptbench.claims.pairs import compare, pairs_of
from loptbench.claims.verdicts import judge_all
from loptbench.results.schema.verdicts import EvidenceKind, Outcome, Scope, Verdict
from loptbench.tests.claims.made_evidence import made_evidence, saturation

pytestmark = pytest.mark.harness

TASKS = ("rosenbrock", "quadratic")
CLAIM = "clipping-used-more"


def optimizers(task: str, losses: list[float], later: float | None = None) -> list[Evidence]:
    """Optimizers of a task with these saturation losses, a seed each."""
    return [
        made_evidence(task=task, seed=i, **saturation(loss, later)) for i, loss in enumerate(losses)
    ]


def verdicts(evidence: list[Evidence]) -> list[Verdict]:
    return [verdict for verdict in judge_all(evidence) if verdict.claim == CLAIM]


def over_seeds(evidence: list[Evidence]) -> Verdict:
    (verdict,) = (v for v in verdicts(evidence) if v.scope is Scope.ALL_SEEDS)
    return verdict


HIGH, LOW = [0.4, 0.42, 0.38, 0.41, 0.39], [0.1, 0.11, 0.09, 0.1, 0.1]


def test_the_means_over_seeds_are_compared() -> None:
    verdict = over_seeds(optimizers("rosenbrock", HIGH) + optimizers("quadratic", LOW))
    assert verdict.task == "rosenbrock and quadratic"
    assert verdict.value == pytest.approx(4.0)
    assert verdict.low is not None
    assert verdict.high is not None
    assert 2 < verdict.low < 4 < verdict.high
    assert verdict.outcome is Outcome.REPRODUCED
    assert (verdict.n_seeds, verdict.n_reproduced) == (5, 5)
    by_name = {reading.statistic: reading for reading in verdict.readings}
    difference = by_name["saturation_loss(compared=difference)"]
    assert difference.value == pytest.approx(0.3)
    assert difference.outcome is Outcome.REPRODUCED


def test_the_other_way_round_it_is_not_reproduced() -> None:
    verdict = over_seeds(optimizers("rosenbrock", LOW) + optimizers("quadratic", HIGH))
    assert verdict.outcome is Outcome.NOT_REPRODUCED
    assert (verdict.n_reproduced, verdict.n_against) == (0, 5)


def test_each_pair_has_a_verdict_of_its_own() -> None:
    evidence = optimizers("rosenbrock", HIGH) + optimizers("quadratic", LOW)
    singles = [v for v in verdicts(evidence) if v.scope is Scope.CHECKPOINT]
    assert [v.seeds for v in singles] == [(0,), (1,), (2,), (3,), (4,)]
    assert singles[0].checkpoint == "rosenbrock jax 0 and quadratic jax 0"
    assert [v.value for v in singles] == pytest.approx(
        [a / b for a, b in zip(HIGH, LOW, strict=True)]
    )


def test_fewer_than_five_pairs_are_too_few() -> None:
    verdict = over_seeds(optimizers("rosenbrock", HIGH) + optimizers("quadratic", LOW[:4]))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "4 of at least 5 seeds"


def test_pairs_have_the_same_seed_preset_and_implementation() -> None:
    evidence = [
        made_evidence(task="rosenbrock", seed=0),
        made_evidence(task="rosenbrock", seed=1, trained_by="torch"),
        made_evidence(task="rosenbrock", seed=2, preset="paper"),
        made_evidence(task="rosenbrock", seed=None),
        made_evidence(task="quadratic", seed=2),
        made_evidence(task="quadratic", seed=1),
        made_evidence(task="quadratic", seed=0),
        made_evidence(task="quadratic", seed=None),
    ]
    (pair,) = pairs_of(evidence, TASKS)
    assert [item.seed for item in pair] == [0, 0]
    assert [item.task for item in pair] == list(TASKS)
    assert pairs_of(evidence, TASKS[::-1])[0].first.task == "quadratic"


def test_both_optimizers_of_a_pair_must_optimize() -> None:
    bad = [
        made_evidence(task="quadratic", seed=i, ratio=1.5, **saturation(loss))
        for i, loss in enumerate(LOW)
    ]
    verdict = over_seeds(optimizers("rosenbrock", HIGH) + bad)
    assert verdict.outcome is Outcome.NOT_REPRODUCED
    assert verdict.robustness is None
    assert {reading.outcome for reading in verdict.readings} <= {
        Outcome.NOT_REPRODUCED,
        Outcome.INCONCLUSIVE,
    }


def test_the_second_horizon_is_compared_as_the_first() -> None:
    verdict = over_seeds(
        optimizers("rosenbrock", HIGH, later=0.15) + optimizers("quadratic", LOW, later=0.1)
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.value == pytest.approx(4.0)
    assert verdict.reason == "after 2 T steps it is 1.5"


def test_what_one_task_does_not_use_at_all_the_other_uses_more() -> None:
    """A loss below zero, where the update grows faster than the gradient, is no use of clipping."""
    verdict = over_seeds(optimizers("rosenbrock", HIGH) + optimizers("quadratic", [-0.01] * 5))
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.value is None
    assert verdict.reason == "the ratio is infinite: it is zero on the second task"
    verdict = over_seeds(optimizers("rosenbrock", [-0.02] * 5) + optimizers("quadratic", LOW))
    assert verdict.outcome is Outcome.NOT_REPRODUCED
    neither = over_seeds(optimizers("rosenbrock", [0.0] * 5) + optimizers("quadratic", [0.0] * 5))
    assert neither.outcome is Outcome.INCONCLUSIVE


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_ratio_is_never_negative(first: float, second: float) -> None:
    ratio = compare("ratio", first, second)
    assert math.isnan(ratio) == (first <= 0 and second <= 0)
    assert not ratio < 0
    assert compare("difference", first, second) == first - second


def test_where_one_task_was_not_measured_it_is_open() -> None:
    unmeasured = [made_evidence(task="quadratic", seed=i) for i in range(5)]
    verdict = over_seeds(optimizers("rosenbrock", HIGH) + unmeasured)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "of 5 seeds there is no number, or it is infinite"
    assert verdict.robustness is None


def test_pairs_of_seen_and_of_new_optimizers_are_judged_apart() -> None:
    new = [
        made_evidence(task=task, seed=10 + i, **saturation(loss))
        for task, losses in zip(TASKS, (LOW, HIGH), strict=True)
        for i, loss in enumerate(losses)
    ]
    old = optimizers("rosenbrock", HIGH) + optimizers("quadratic", LOW)
    by_kind = {v.kind: v for v in verdicts(old + new) if v.scope is Scope.ALL_SEEDS}
    assert by_kind[EvidenceKind.EXPLORATORY].outcome is Outcome.REPRODUCED
    assert by_kind[EvidenceKind.CONFIRMATORY].outcome is Outcome.NOT_REPRODUCED
    assert load_edition(2).by_name[CLAIM].is_across_tasks
