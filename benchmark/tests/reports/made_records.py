"""Records made up for tests, and what else a store has."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from loptbench.comparison.numbers import Objective
from loptbench.comparison.stores import StoreComparison
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.tests.reports.pages import Page

CHECKPOINT = "checkpoint quadratic-quick-jax-0"
PROBLEMS = {"name": "quadratic", "n_steps": 201}
IN_A = [1.0, 2.0, 3.0, 4.0]
IN_B = [1.5, 2.0, 6.0, 3.5]


def record(
    trial: str, optimizer: str, result: dict[str, Any], message: str = "", **key: Any
) -> Record:
    """A record of a trial; what stands in `key` replaces or adds to its usual key."""
    told = {
        "trial": trial,
        "implementation": "jax",
        "optimizer": optimizer,
        "task": "quadratic",
        "problems": PROBLEMS,
        "seed": 0,
        "dtype": "float64",
        "device": "cpu",
        "code": "a" * 64,
        "versions": {"numpy": "2.4.6"},
        "weights": "b" * 64,
    }
    provenance = {"code": "a" * 64, "commit": "c" * 40, "cores": 2, "seconds": 0.125}
    return Record(told | key, TrialStatus.OK, message, result, provenance)


def evaluation(objective: Iterable[float | None] = IN_A, **key: Any) -> Record:
    """An evaluation of a learned optimizer."""
    values = list(objective)
    return record("evaluation", CHECKPOINT, {"learned": {"objective": values}}, **key)


def baselines(objective: Iterable[float | None] = IN_A) -> Record:
    """An evaluation of tuned SGD and of momentum as theory has it."""
    one = {"objective": list(objective)}
    return record(
        "evaluation", "baselines", {"baselines": {"sgd": one, "theoretical momentum": one}}
    )


def conformance(status: str = "passed", ratio: float | None = 0.25, **key: Any) -> Record:
    """A conformance trial of two checks, of which the second ended so."""
    checks = [
        {"check": "one-step", "level": 1, "status": "passed", "ratio": 0.5, "message": ""},
        {"check": "linearize", "level": 3, "status": status, "ratio": ratio, "message": "A is off"},
    ]
    found = record("conformance", "adam", {"checks": checks}, **key)
    failed = TrialStatus.FAILED if status == "failed" else TrialStatus.OK
    return dataclasses.replace(found, status=failed)


def mechanisms(index: float = 0.875, **probes: Any) -> Record:
    """A mechanisms trial."""
    states = [
        {"where": "h0", "half_saturation": [9.0, 9.0]},
        {"where": "h*", "half_saturation": [0.5, 0.75]},
    ]
    found = {
        "momentum": {"index": index, "effective_rate": 2.0, "asymptotic_rate": 16.0},
        "clipping": {"states": states, "reach": None},
        "schedule": {"peak_step": 3},
        "adaptation": {"elasticity": [-0.5, -0.25]},
    }
    return record("mechanisms", CHECKPOINT, found | probes)


def verdict(outcome: str = "reproduced", **told: Any) -> dict[str, Any]:
    """A verdict."""
    return {
        "claim": "momentum",
        "task": "quadratic",
        "subject": "quick, meta-trained in jax",
        "scope": "all seeds",
        "outcome": outcome,
        "reason": "",
        "value": 0.75,
        "low": 0.625,
        "high": 0.8125,
    } | told


def put_plan(store: Store, records: Iterable[Record], *absent: dict[str, str]) -> None:
    """Write a store's plan of these records."""
    trials = [{**one.key, "record": one.name} for one in records]
    here = {"name": "jax", "availability": "installed", "reason": ""}
    store.put_plan({"trials": trials, "implementations": [here, *absent]})


def everything() -> list[Record]:
    """One of each."""
    return [evaluation(), baselines(), conformance(), mechanisms()]


def objective(found: StoreComparison) -> Objective:
    """The only comparison of meta-objectives."""
    (one,) = found.objectives
    return one


def page_of(found: StoreComparison) -> Page:
    """The page of two stores."""
    from loptbench.reports.page.comparison import render  # whose extra not every test asks for

    return Page(render(found))


def change(
    store: Store,
    trial: str,
    changed: Callable[[Record], Record | None],
    optimizer: str = "checkpoint",
) -> None:
    """Replace the record of an optimizer on `quadratic` by a changed one, or by none.

    Which record is the first depends on hashes, and so on every line of code.
    """
    (record,) = (
        r
        for r in store.records()[0]
        if (r.key["trial"], r.key["task"]) == (trial, "quadratic")
        and r.key["optimizer"].startswith(optimizer)
    )
    (store.records_folder / f"{record.name}.json").unlink()
    new = changed(record)
    if new is not None:
        store.put(new)
