"""What counts as evidence: only what was measured together, and what did not fail."""

import itertools

import numpy as np
import pytest

from loptbench.claims.evidence import evidence_of
from loptbench.results.frames import Contents
from loptbench.results.schema.evaluation import AdaptedResult, BaselinesResult
from loptbench.results.schema.keys import Role, TrialKind
from loptbench.results.schema.records import Record, TrialStatus
from loptbench.tests.claims.made_evidence import made_evaluation, made_record, made_records

pytestmark = pytest.mark.harness


def ratio(records: list[Record]) -> float:
    """The mean of the learned optimizer over that of SGD, from its evidence."""
    [evidence] = evidence_of(Contents(records))
    return float(np.mean(evidence.of_problems("objective")) / sgd(records))


def sgd(records: list[Record]) -> float:
    [evidence] = evidence_of(Contents(records))
    return float(np.mean(evidence.of_problems("objective", "sgd")))


def with_seed(seed: int, records: list[Record]) -> list[Record]:
    return [
        record.model_copy(update={"key": record.key.model_copy(update={"seed": seed})})
        for record in records
    ]


def test_an_adapted_optimizer_beside_it_changes_nothing() -> None:
    records = made_records(0.5)
    result = AdaptedResult(adapted=made_evaluation(np.full(64, 3.0)), ratios={})
    key = TrialKind.EVALUATION, Role.ADAPTED, "optax:lion", "digits", "jax"
    for more in ([*records, made_record(*key, result)], [made_record(*key, result), *records]):
        assert ratio(more) == ratio(records)


def test_problems_of_different_seeds_are_not_paired() -> None:
    """A store of which the plan is lost may hold runs on other problems."""
    first, second = with_seed(0, made_records(0.5)), with_seed(1, made_records(0.5))
    others = made_evaluation(np.full(64, 1000.0))
    result = BaselinesResult(baselines={"sgd": others, "adam": others})
    # The learned optimizer of seed 1 is missing; baselines of seed 1 stand alone.
    second = [record.model_copy(update={"result": result}) for record in second[:1]]
    for records in itertools.permutations([*first, *second]):
        assert sgd(list(records)) == sgd(first)


@pytest.mark.parametrize("kind", [TrialKind.EVALUATION, TrialKind.MECHANISMS])
def test_what_failed_is_no_evidence(kind: TrialKind) -> None:
    records = [
        record.model_copy(update={"status": TrialStatus.FAILED})
        if record.key.trial is kind and record.key.optimizer.role is Role.CHECKPOINT
        else record
        for record in made_records(0.5)
    ]
    assert evidence_of(Contents(records)) == []
