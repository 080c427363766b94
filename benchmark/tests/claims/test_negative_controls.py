"""Networks that have not learned anything: random, fresh and shuffled. All probes run on them.

`test_random_weights` judges a thousand, with made-up mechanisms.
"""

import numpy as np
import pytest

from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.discovery import oracle
from loptbench.mechanisms.analysis import measure
from loptbench.optimizers import OptimizerSpec, fresh_gru, random_gru, shuffled
from loptbench.results.frames import Contents
from loptbench.results.schema.records import Record
from loptbench.results.schema.verdicts import Outcome
from loptbench.rollout.evaluation import evaluate
from loptbench.tasks import get_task
from loptbench.tests.claims.made_evidence import made_contents, tuned_baselines
from loptbench.zoo.catalogue import shipped

pytestmark = pytest.mark.harness

N_PROBLEMS = 16


def controls(task: str) -> dict[str, OptimizerSpec]:
    learned = shipped(f"{task}-quick-jax-0").optimizer.rounded_to("float64")
    return {
        "random": random_gru(8, 0, *get_task(task).checks.scales),
        "fresh": fresh_gru(8, 0, *get_task(task).checks.scales),
        "shuffled": shuffled(learned, 0),
    }


@pytest.mark.parametrize("task", ["quadratic", "rosenbrock"])
def test_nothing_is_reproduced_where_nothing_was_learned(task: str) -> None:
    problem = get_task(task)
    batch = problem.sample("evaluate", 0, range(N_PROBLEMS))
    baselines = tuned_baselines(batch)
    records: dict[str, Record] = {}
    for name, spec in controls(task).items():
        with np.errstate(all="ignore"):
            evaluation = evaluate(oracle(), spec, batch, problem.n_steps, "float64")
        optimizer = oracle().optimizer(spec, "float64", "cpu")
        analysis = measure(optimizer, task, 0, oracle(), n_problems=2).analysis
        contents = made_contents(name, task, "reference", evaluation, baselines, analysis)
        records |= {record.name: record for record in contents.records}
    verdicts = judge_all(evidence_of(Contents(list(records.values()))))
    assert {verdict.checkpoint for verdict in verdicts} >= set(controls(task))
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.REPRODUCED]
