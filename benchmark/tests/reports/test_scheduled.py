"""The report sets learned optimizers beside the best baseline with a learning-rate schedule."""

import io

import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.optimizers import baseline
from loptbench.reports.page.store import render
from loptbench.results.frames import best_baselines
from loptbench.results.schema.evaluation import (
    BaselineEvaluation,
    BaselinesResult,
    LearnedResult,
    MetaTraining,
)
from loptbench.results.schema.keys import OptimizerId, Role, TrialKind
from loptbench.results.schema.records import Record
from loptbench.results.store import Store
from loptbench.rollout.evaluation import paired_ratios
from loptbench.storage.weights import weights_hash
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_records import CHECKPOINT, evaluated, record
from loptbench.tests.reports.pages import Page

SGD = baseline("sgd", alpha=0.1)
OBJECTIVES = {
    "sgd": [0.4, 0.8],
    "cosine_sgd": [0.3, 0.5],
    "exponential_sgd": [0.3, 0.7],
    "theoretical momentum": [0.1, 0.1],
}


@pytest.fixture
def store(make: Make) -> Store:
    return store_with(make, 1.0)


def store_with(make: Make, sign: float) -> Store:
    """A store in which all last losses have this sign."""
    evaluations = {
        name: BaselineEvaluation(
            **dict(evaluated(values)) | {"final_loss_mean": sign * values[0] / 10},
            hyperparameters={"alpha": 0.1},
        )
        for name, values in OBJECTIVES.items()
    }
    learned = evaluated([0.2, 0.4])
    learned = type(learned)(**dict(learned) | {"final_loss_mean": sign * learned.final_loss_mean})
    about = MetaTraining(
        implementation="jax", configuration={"preset": "quick", "seed": 0, "task": "quadratic"}
    )
    ratios = {name: paired_ratios(learned, other) for name, other in evaluations.items()}
    records: list[Record] = [
        record(
            TrialKind.EVALUATION,
            OptimizerId(role=Role.BASELINES, name="baselines"),
            BaselinesResult(baselines=evaluations),
            weights=None,
            baselines=dict.fromkeys(OBJECTIVES, weights_hash(SGD)),
        ),
        record(
            TrialKind.EVALUATION,
            CHECKPOINT,
            LearnedResult(learned=learned, ratios=ratios, meta_training=about),
        ),
    ]
    return make("with schedules", records)


def test_each_family_has_its_best(store: Store) -> None:
    evaluations = store.frame("evaluations")
    roles = evaluations.set_index("optimizer")["role"]
    assert roles["cosine_sgd"] == roles["exponential_sgd"] == "scheduled"
    assert (roles["sgd"], roles["theoretical momentum"]) == ("tuned", "control")
    assert best_baselines(evaluations)["optimizer"].tolist() == ["sgd"]
    assert best_baselines(evaluations, Role.SCHEDULED)["optimizer"].tolist() == ["cosine_sgd"]


def test_the_report_has_both_ratios_and_those_of_the_last_losses(store: Store) -> None:
    parsed = Page(render(store))
    table = pd.read_csv(io.StringIO(parsed.data["evaluations-table"]))
    (row,) = table[table["role"] == "checkpoint"].itertuples()
    assert (row.best, row.best_scheduled) == ("sgd", "cosine_sgd")
    assert row.ratio == pytest.approx(0.3 / 0.6)
    assert row.ratio_scheduled == pytest.approx(0.3 / 0.4)
    assert row.last_ratio == pytest.approx(0.5 / 0.04)
    assert row.last_ratio_scheduled == pytest.approx(0.5 / 0.03)


def test_there_is_no_ratio_of_last_losses_that_rounding_made_negative(make: Make) -> None:
    parsed = Page(render(store_with(make, -1.0)))
    table = pd.read_csv(io.StringIO(parsed.data["evaluations-table"]))
    (row,) = table[table["role"] == "checkpoint"].itertuples()
    assert row.final_loss_mean < 0
    assert pd.isna(row.last_ratio)
    assert pd.isna(row.last_ratio_scheduled)
