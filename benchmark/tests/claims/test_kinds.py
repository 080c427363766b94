"""Exploratory and confirmatory verdicts: seeds below 10, and from 10 on, are never mixed.

All numbers here are made up: no optimizer with a seed of 10 or more is measured.
"""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loptbench.claims.verdicts import judge, judge_all
from loptbench.results.schema.evaluation import MetaTraining
from loptbench.results.schema.verdicts import EvidenceKind, Outcome, Scope, Verdict
from loptbench.tests.claims.made_evidence import made_evidence

pytestmark = pytest.mark.harness

NEW, SEEN = EvidenceKind.CONFIRMATORY, EvidenceKind.EXPLORATORY
seeds_of_any_kind = st.one_of(st.none(), st.integers(0, 9), st.integers(10, 10_000))


def verdict(**fields: Any) -> Verdict:
    usual: dict[str, Any] = {
        "claim": "momentum",
        "task": "quadratic",
        "scope": Scope.ALL_SEEDS,
        "preset": "quick",
        "implementations": ("jax",),
        "outcome": Outcome.INCONCLUSIVE,
    }
    return Verdict(**usual | fields)


@given(st.lists(seeds_of_any_kind, min_size=1, max_size=6), st.sampled_from(EvidenceKind))
def test_a_verdict_on_seeds_of_both_kinds_is_impossible(
    seeds: list[int | None], kind: EvidenceKind
) -> None:
    def make() -> Verdict:
        return verdict(kind=kind, seeds=tuple(seeds), n_seeds=len(seeds))

    if all((seed is not None and seed >= 10) == (kind is NEW) for seed in seeds):
        assert make().kind is kind
    else:
        with pytest.raises(ValidationError, match="has seeds of another kind"):
            make()


def test_a_confirmatory_verdict_names_its_seeds() -> None:
    with pytest.raises(ValidationError, match="does not name its seeds"):
        verdict(kind=NEW, n_seeds=5)
    with pytest.raises(ValidationError, match="is on 3 seeds, but names 2"):
        verdict(kind=NEW, seeds=(10, 11), n_seeds=3)


def test_a_mixed_verdict_cannot_be_read_back() -> None:
    written = verdict(kind=NEW, seeds=(10, 11), n_seeds=2).model_dump_json()
    mixed = re.sub(r"\[10,\s*11\]", "[1,11]", written)
    assert mixed != written
    assert Verdict.model_validate_json(written).seeds == (10, 11)
    with pytest.raises(ValidationError, match="another kind"):
        Verdict.model_validate_json(mixed)


def test_the_kind_comes_from_the_seed_that_the_checkpoint_records() -> None:
    for seed, kind in ((0, SEEN), (9, SEEN), (10, NEW), ("12", SEEN), (None, SEEN)):
        assert MetaTraining(configuration={"seed": seed}).kind is kind
    assert MetaTraining().kind is SEEN


@pytest.mark.parametrize(("seed", "kind"), [(None, SEEN), (9, SEEN), (10, NEW)])
def test_evidence_and_verdicts_carry_the_kind(seed: int | None, kind: EvidenceKind) -> None:
    evidence = made_evidence(0.9, seed=seed)
    assert evidence.kind is kind
    judged = judge(evidence)["momentum"].verdict
    assert (judged.kind, judged.seeds) == (kind, (seed,))
    assert set(evidence.frames["problems"].query("role == 'checkpoint'")["kind"]) == {kind}
    assert set(evidence.frames["problems"].query("role != 'checkpoint'")["kind"]) == {""}


def test_seeds_of_both_kinds_are_judged_apart_confirmatory_first() -> None:
    """Five that were seen have momentum, five new ones do not."""
    seen = [made_evidence(0.9 + i / 100, seed=i) for i in range(5)]
    new = [made_evidence(0.1 + i / 100, seed=10 + i) for i in range(5)]
    both = [
        v for v in judge_all(seen + new) if v.claim == "momentum" and v.scope is Scope.ALL_SEEDS
    ]
    assert [v.kind for v in both] == [NEW, SEEN]
    assert [v.outcome for v in both] == [Outcome.NOT_REPRODUCED, Outcome.REPRODUCED]
    assert [v.seeds for v in both] == [(10, 11, 12, 13, 14), (0, 1, 2, 3, 4)]


def test_seen_seeds_do_not_help_new_ones_to_five() -> None:
    mixed = [made_evidence(0.9, seed=seed) for seed in (6, 7, 8, 9, 10, 11, 12)]
    reasons = {
        v.kind: v.reason
        for v in judge_all(mixed)
        if v.claim == "momentum" and v.scope is Scope.ALL_SEEDS
    }
    assert reasons == {NEW: "3 of at least 5 seeds", SEEN: "4 of at least 5 seeds"}


@settings(max_examples=10)
@given(st.lists(st.sampled_from([None, 0, 9, 10, 25]), min_size=1, max_size=4))
def test_no_verdict_mixes_kinds_whatever_seeds_there_are(seeds: list[int | None]) -> None:
    for judged in judge_all([made_evidence(0.9, seed=seed) for seed in seeds]):
        kinds = {EvidenceKind.of_seed(seed) for seed in judged.seeds}
        assert kinds == {judged.kind}
