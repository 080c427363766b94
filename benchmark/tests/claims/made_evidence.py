"""Evidence from synthetic records with chosen numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.claims.evidence import Evidence, evidence_of
from loptbench.discovery import oracle
from loptbench.results.frames import Contents
from loptbench.results.schema.evaluation import (
    BaselineEvaluation,
    BaselinesResult,
    Evaluation,
    LearnedResult,
    MetaTraining,
)
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.mechanisms import MechanismsResult, NotApplicable, SaturationResult
from loptbench.results.schema.records import Provenance, Record, TrialResult, TrialStatus
from loptbench.rollout.evaluation import evaluate
from loptbench.tasks import ProblemBatch, get_task
from loptbench.tests.reports import made_mechanisms as made_mechanisms_of
from loptbench.tuning.tuned_file import load_tuned

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


def tuned_baselines(batch: ProblemBatch) -> dict[str, BaselineEvaluation]:
    """The oracle's evaluations of the tuned baselines on a batch of problems, by kind."""
    task = get_task(batch.task)
    return {
        tuned.kind: BaselineEvaluation(
            **dict(evaluate(oracle(), tuned.spec, batch, task.n_steps, "float64")),
            hyperparameters={k: float(v) for k, v in tuned.spec.parameters.items()},
        )
        for tuned in load_tuned().of(task)
    }


def made_contents(
    checkpoint: str,
    task: str,
    trained_by: str,
    learned: Evaluation,
    baselines: Mapping[str, BaselineEvaluation],
    mechanisms: MechanismsResult,
    preset: str = "quick",
    seed: int | None = None,
) -> Contents:
    """The records of one checkpoint, measured by the implementation that meta-trained it."""
    settings: dict[str, Any] = {"preset": preset}
    if seed is not None:
        settings["seed"] = seed
    training = MetaTraining(implementation=trained_by, configuration=settings)
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
        n_curve_problems=len(objective),
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


def made_mechanisms(**probes: Any) -> MechanismsResult:
    """Mechanisms with these results of probes; all others do not apply."""
    return MechanismsResult(
        **dict.fromkeys(MechanismsResult.model_fields, NOT_MEASURED)
        | {"agreement": None, "views": None}
        | probes
    )


def momentum(index: float | None) -> dict[str, Any]:
    """The probe of momentum with this index; none if it is None."""
    return {} if index is None else {"momentum": made_mechanisms_of.momentum(index)}


def ratios(first: Sequence[float], later: Sequence[float], **changes: Any) -> dict[str, Any]:
    """The probe of adaptation with these ratios after T and 2 T steps, by arm."""
    by_horizon = {"T": np.array(first), "2T": np.array(later)}
    return {"adaptation": made_mechanisms_of.adaptation(ratio=by_horizon, **changes)}


def saturation(loss: float, later: float | None = None) -> dict[str, Any]:
    """The probe of clipping with this saturation loss, after T and 2 T steps."""
    by_horizon = {"T": loss, "2T": loss if later is None else later}
    sums = SaturationResult(actual=np.full(8, 1.0 - loss), linear=np.ones(8))
    probe = made_mechanisms_of.clipping().model_copy(
        update={"saturation_loss": by_horizon, "saturation": sums}
    )
    return {"clipping": probe}


def made_evidence(
    index: float | None = None,
    ratio: float = 0.5,
    seed: int | None = 0,
    trained_by: str = "jax",
    task: str = "digits",
    diverged: bool = False,
    preset: str = "quick",
    **probes: Any,
) -> Evidence:
    """Evidence with a chosen momentum index and a chosen ratio to all baselines.

    Args:
        index: the momentum index; None if momentum was not measured.
        ratio: of the meta-objectives.
        seed: the seed of the meta-training; None if it is unknown.
        trained_by: the implementation that meta-trained it.
        task: the task.
        diverged: whether one run diverged.
        preset: the preset of the meta-training.
        probes: results of other probes.
    """
    records = made_records(index, ratio, seed, trained_by, task, diverged, preset, **probes)
    (evidence,) = evidence_of(Contents(records))
    return evidence


def made_records(
    index: float | None = None,
    ratio: float = 0.5,
    seed: int | None = 0,
    trained_by: str = "jax",
    task: str = "digits",
    diverged: bool = False,
    preset: str = "quick",
    **probes: Any,
) -> list[Record]:
    """The records of `made_evidence`, with the same arguments."""
    theirs = np.random.default_rng(0).gamma(9.0, size=64)
    ours = ratio * theirs * np.random.default_rng(seed or 0).uniform(0.95, 1.05, 64)
    if diverged:
        ours[3] = np.inf
    baseline = made_evaluation(theirs)
    contents = made_contents(
        f"{task} {trained_by} {seed}",
        task,
        trained_by,
        made_evaluation(ours),
        {"sgd": baseline, "adam": baseline},
        made_mechanisms(**momentum(index) | probes),
        preset,
        seed,
    )
    return list(contents.records)
