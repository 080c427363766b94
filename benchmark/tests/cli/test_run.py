"""`loptbench run`: what it refuses, what it prints at the end, and the quick run."""

from pathlib import Path

import pytest

from loptbench.cli.claims_table import print_claims, print_numbers
from loptbench.results.frames import Contents, frame_of
from loptbench.results.store import Store
from loptbench.study.early_verdicts import EarlyVerdicts
from loptbench.tests.claims.made_evidence import made_records
from loptbench.tests.reports.made_records import verdict

pytestmark = pytest.mark.harness


def test_the_end_of_a_run_is_one_table_of_claims_by_tasks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdicts = frame_of(
        Contents(
            [],
            verdicts=[
                verdict(title="Momentum", n_seeds=8, n_reproduced=8),
                verdict("not reproduced", title="Momentum", preset="paper", n_seeds=5),
                verdict("inconclusive", title="Clips more", task="rosenbrock and quadratic"),
                verdict(
                    title="No schedule",
                    task="rosenbrock",
                    n_seeds=3,
                    n_reproduced=2,
                    robustness=0.5,
                ),
                verdict(title="Momentum", checkpoint="quadratic-quick-jax-0"),
            ],
        ),
        "verdicts",
    )
    print_claims(verdicts)
    out = capsys.readouterr().out
    lines = [line.rstrip() for line in out.splitlines()]
    assert [line.split() for line in lines[:1] + lines[2:5]] == [
        ["claim", "quadratic", "rosenbrock"],
        ["Momentum", "✓", "8/8", "✗", "0/5"],
        ["Clips", "more", "?", "0/1", "–"],
        ["No", "schedule", "✓*", "2/3", "–"],
    ]
    assert lines[0].index("rosenbrock") == lines[3].index("?") == lines[4].index("✓")
    assert lines[-1] == "seeds: quick, exploratory; then paper, exploratory"
    assert len(lines) == 7
    print_numbers(verdicts)
    assert "exploratory, paper: the verdict, seeds for the " in capsys.readouterr().out
    print_claims(verdicts[:0])
    assert capsys.readouterr().out == ""


def test_the_first_learned_optimizer_of_a_task_is_judged_once(folder: Path) -> None:
    store = Store.create(folder / "store")
    records = [record for seed in (0, 1) for record in made_records(0.9, seed=seed)]
    early = EarlyVerdicts([record.key for record in records], store, 2)
    for record in records[:2]:
        store.put(record)
    assert early.sentences() == []
    store.put(records[2])
    [sentence] = early.sentences()
    assert sentence.startswith("first verdicts on digits, digits jax 0: reproduced: ")
    assert "Momentum" in sentence
    for record in records[3:]:
        store.put(record)
    assert early.sentences() == []
