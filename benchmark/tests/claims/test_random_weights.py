"""A thousand networks with random weights: nothing is reproduced on them, whatever they look like.

Their mechanisms are made up, and are those of an optimizer of which every claim holds. So it is the
premise alone, that an optimizer does better than gradient descent, that must refuse them.
"""

import numpy as np
import pytest

from loptbench.claims.catalogue import PREMISE, load_edition
from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.discovery import oracle
from loptbench.optimizers import random_gru
from loptbench.results.frames import Contents
from loptbench.results.schema.records import Record
from loptbench.results.schema.verdicts import Outcome, Scope
from loptbench.rollout.evaluation import evaluate
from loptbench.tasks import get_task
from loptbench.tests.claims.made_evidence import made_contents, made_mechanisms, tuned_baselines
from loptbench.tests.reports import made_mechanisms as probes

pytestmark = [pytest.mark.harness, pytest.mark.slow]

N_PROBLEMS = 16
N_OPTIMIZERS = 500


@pytest.mark.parametrize("task", ["quadratic", "rosenbrock"])
def test_nothing_is_reproduced_on_random_weights(task: str) -> None:
    problem = get_task(task)
    batch = problem.sample("evaluate", 0, range(N_PROBLEMS))
    baselines = tuned_baselines(batch)
    perfect = made_mechanisms(
        convergence_point=probes.convergence_point(),
        momentum=probes.momentum(0.9),
        clipping=probes.clipping(),
        schedule=probes.schedule(25),
        adaptation=probes.adaptation(),
    )
    records: list[Record] = []
    for seed in range(N_OPTIMIZERS):
        spec = random_gru(8, seed, *problem.checks.scales)
        with np.errstate(all="ignore"):
            learned = evaluate(oracle(), spec, batch, problem.n_steps, "float64")
        records += made_contents(f"{seed}", task, "jax", learned, baselines, perfect).records
    unique = {record.name: record for record in records}
    for edition in (1, 2):
        verdicts = judge_all(evidence_of(Contents(list(unique.values()))), load_edition(edition))
        assert {verdict.n_seeds for verdict in verdicts} >= {1, N_OPTIMIZERS}
        for verdict in verdicts:
            assert verdict.outcome is not Outcome.REPRODUCED, verdict
            if verdict.claim != PREMISE:
                assert all(r.outcome is not Outcome.REPRODUCED for r in verdict.readings)
        over_seeds = [verdict for verdict in verdicts if verdict.scope is Scope.ALL_SEEDS]
        assert {verdict.n_reproduced for verdict in over_seeds} == {0}
