"""Evidence from synthetic records with chosen numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loptbench.claims.evidence import Evidence, evidence_of
from loptbench.results.frames import Contents
from loptbench.results.schema.evaluation import (
    BaselineEvaluation,
    BaselinesResult,
    Evaluation,
    LearnedResult,
    MetaTraining,
)
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    MechanismsResult,
    MomentumResult,
    NotApplicable,
)
from loptbench.results.schema.records import Provenance, Record, TrialResult, TrialStatus

PROVENANCE = Provenance(
    loptbench="0",
    code="",
    commit=None,
    dirty=None,
    python="",
    platform="",
    processor="",
    cores=1,
    seconds=1.0,
)
NOT_MEASURED = NotApplicable(not_applicable="because")
NAN_PAIR = np.full(2, np.nan)


def made_record(
    kind: TrialKind, role: Role, optimizer: str, task: str, implementation: str, result: TrialResult
) -> Record:
    """A record of a successful trial."""
    key = TrialKey(
        trial=kind,
        implementation=implementation,
        source="here",
        versions={},
        code="",
        optimizer=OptimizerId(role=role, name=optimizer),
        weights=None,
        task=task,
        problems={},
        seed=0,
        dtype="float64",
        device="cpu",
    )
    return Record(key=key, status=TrialStatus.OK, message="", result=result, provenance=PROVENANCE)


def made_contents(
    checkpoint: str,
    task: str,
    trained_by: str,
    learned: Evaluation,
    baselines: Mapping[str, BaselineEvaluation],
    mechanisms: MechanismsResult,
    preset: str = "quick",
) -> Contents:
    """The records of one checkpoint, measured by the implementation that meta-trained it."""
    training = MetaTraining(implementation=trained_by, configuration={"preset": preset})
    checkpoint_result = LearnedResult(learned=learned, ratios={}, meta_training=training)
    where = task, trained_by
    return Contents(
        [
            made_record(
                TrialKind.EVALUATION,
                Role.BASELINES,
                "baselines",
                *where,
                BaselinesResult(baselines=dict(baselines)),
            ),
            made_record(
                TrialKind.EVALUATION, Role.CHECKPOINT, checkpoint, *where, checkpoint_result
            ),
            made_record(TrialKind.MECHANISMS, Role.CHECKPOINT, checkpoint, *where, mechanisms),
        ]
    )


def made_evaluation(objective: NDArray[np.float64]) -> BaselineEvaluation:
    """An evaluation with these meta-objectives."""
    return BaselineEvaluation(
        n_problems=len(objective),
        n_diverged=int(np.sum(np.isinf(objective))),
        objective=objective,
        objective_mean=float(np.mean(objective)),
        objective_standard_error=0.0,
        objective_median=float(np.median(objective)),
        final_loss_mean=0.0,
        final_loss_median=0.0,
        curve_mean=np.ones(2),
        curve_standard_error=np.zeros(2),
        hyperparameters={},
    )


def made_mechanisms(
    index: float | None = None, ranks: Sequence[float] | None = None
) -> MechanismsResult:
    """Mechanisms with a momentum index and rank correlations only, each if given."""
    momentum: MomentumResult | NotApplicable = NOT_MEASURED
    adaptation: AdaptationResult | NotApplicable = NOT_MEASURED
    if index is not None:
        momentum = MomentumResult(
            index=index,
            effective_rate=np.nan,
            asymptotic_rate=np.nan,
            r2_near_convergence=np.nan,
            r2_whole_run=np.nan,
            impulse_response=np.zeros(0),
            modes=(),
        )
    if ranks is not None:
        none, never = np.zeros(0), np.zeros(0, bool)
        adaptation = AdaptationResult(
            gradients=none,
            rate_reference=none,
            rate_local=none,
            elasticity=np.full(2, -0.2),
            rank_correlation=np.array(ranks),
            residual=0.0,
            settled=never,
            stable=never,
            several_fixed_points=never,
            branch_ends=NAN_PAIR,
            curve=np.zeros((0, 3)),
            variance=none,
            order=np.nan,
        )
    return MechanismsResult(
        convergence_point=NOT_MEASURED,
        momentum=momentum,
        clipping=NOT_MEASURED,
        schedule=NOT_MEASURED,
        adaptation=adaptation,
    )


def made_evidence(
    index: float | None,
    ratio: float = 0.5,
    seed: int = 0,
    trained_by: str = "jax",
    task: str = "digits",
    ranks: Sequence[float] | None = None,
    diverged: bool = False,
) -> Evidence:
    """Evidence with a chosen momentum index and a chosen ratio to all baselines."""
    theirs = np.random.default_rng(0).gamma(9.0, size=64)
    ours = ratio * theirs * np.random.default_rng(seed).uniform(0.95, 1.05, 64)
    if diverged:
        ours[3] = np.inf
    baseline = made_evaluation(theirs)
    contents = made_contents(
        f"{trained_by} {seed}",
        task,
        trained_by,
        made_evaluation(ours),
        {"sgd": baseline, "adam": baseline},
        made_mechanisms(index, ranks),
    )
    (evidence,) = evidence_of(contents)
    return evidence
