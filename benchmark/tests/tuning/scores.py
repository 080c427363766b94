"""Scores of baselines, computed one optimizer at a time; entries of files of tuned baselines."""

from typing import Any

import numpy as np

from loptbench.agreement.trajectories import oracle_run
from loptbench.discovery import oracle
from loptbench.optimizers import baseline
from loptbench.rollout.trajectory import meta_objective
from loptbench.tasks import Task, definition
from loptbench.tuning.search import Settings
from loptbench.tuning.tuned_file import TunedBaseline


def direct_score(
    kind: str, values: dict[str, float], task: Any, chosen: Settings, disturbance: float = 0.0
) -> float:
    """The score by the oracle's own runs, one optimizer at a time."""
    batch = task.sample("tune", chosen.seed, range(chosen.n_problems))
    batch = batch.starting_at(batch.initial_parameters * (1 + disturbance))
    with np.errstate(all="ignore"):
        spec = baseline(kind, n_steps=task.n_steps, **values)
        run = oracle_run(oracle(), spec, batch, task.n_steps)
        score = float(np.mean(meta_objective(run.loss)))
    return score if np.isfinite(score) else np.inf


def made_entry(task: Task, kind: str, score: float, **values: float) -> TunedBaseline:
    """A tuned baseline of which only its task, kind, score and hyperparameters matter."""
    return TunedBaseline(
        kind=kind,
        task=definition(task),
        settings={},
        hyperparameters=values,
        score=score,
        draw=0,
        places={},
        n_complete=1,
        n_diverged=0,
        best=[values],
    )
