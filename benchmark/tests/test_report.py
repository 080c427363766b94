"""The report: self-contained, the same bytes each time, and true to its records."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("seaborn", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench import mechanism_trials, runner
from loptbench.claims import claims
from loptbench.protocol import Level
from loptbench.records import Record, Store, TrialStatus
from loptbench.registry import Availability, Entry, get_implementation
from loptbench.reports.page import render
from loptbench.reports.results import Results
from loptbench.runner import plan, run_trials
from loptbench.tasks import TASKS
from loptbench.tuned import load_tuned
from loptbench.verdicts import Scope, evidence_of, judge_all
from loptbench.zoo import shipped


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the reference, with one implementation that is not installed."""
    entries = [
        Entry(
            "reference",
            "here",
            Availability.INSTALLED,
            implementation=get_implementation("reference"),
        ),
        Entry("tinygrad", "there", Availability.MISSING, "needs 'tinygrad': pip install it"),
    ]
    folder = tmp_path_factory.mktemp("full") / "store"
    store = Store.create(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "N_EVALUATION", 6)
        patch.setattr(mechanism_trials, "N_ANALYSIS", 2)
        trials = plan(entries, {"quadratic": shipped("quadratic-quick-jax-0")}, load_tuned(), 0)
        records = run_trials(trials, store, entries)
        store.put_verdicts([one.as_dict() for one in judge_all(evidence_of(records))])
    return folder


@pytest.fixture
def store(full: Path, tmp_path: Path) -> Store:
    """A copy of it, to be changed."""
    shutil.copytree(full, tmp_path / "store")
    return Store.open(tmp_path / "store")


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.identifiers: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "xlink:href", "action", "data") and value:
                self.references.append(value)
            if name == "id" and value:
                self.identifiers.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained(store: Store) -> None:
    html = render(store)
    page = Page(html)
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\((?!#)", html)
    assert len(html) < 4_000_000


def test_links_and_identifiers_are_whole(store: Store) -> None:
    page = Page(render(store))
    assert len(set(page.identifiers)) == len(page.identifiers)
    inside = {reference[1:] for reference in page.references if reference.startswith("#")}
    assert inside <= set(page.identifiers)


def test_the_same_records_are_the_same_bytes(store: Store) -> None:
    first = render(store)
    assert render(store) == first
    assert render(Store.open(store.folder)) == first


def test_every_section_is_there(store: Store) -> None:
    page = Page(render(store))
    for anchor in ("claims", "agreement", "comparison", "errors-float64"):
        assert anchor in page.identifiers
    for anchor in ("points", "tuning", "tolerances", "provenance"):
        assert anchor in page.identifiers
    for task in TASKS:
        assert f"compare-{task}" in page.identifiers
    assert "meta-training-quadratic" in page.identifiers
    for mechanism in ("momentum", "clipping", "schedule", "adaptation"):
        assert f"mechanism-{mechanism}" in page.identifiers
    assert page.tags.count("svg") == 6 + len(TASKS)


def test_numbers_are_those_of_the_records(store: Store) -> None:
    results = Results.of(store)
    evaluations = results.of_kind("evaluation")
    text = Page(render(store)).text
    assert len(evaluations) == 1 + len(TASKS)
    for evaluation in evaluations:
        for ratio in evaluation.result.get("ratios", {}).values():
            assert f"{ratio['ratio']:.4g} [{ratio['low']:.4g}, {ratio['high']:.4g}]" in text
        for one in evaluation.result.get("baselines", {}).values():
            for number in ("objective_mean", "objective_median", "final_loss_mean"):
                assert (f"{one[number]:.4g}" if one[number] is not None else "∞") in text
    learned = next(
        r for r in results.of_kind("mechanisms") if r.key["optimizer"].startswith("checkpoint")
    )
    assert f"{learned.result['momentum']['index']:.4g}" in text


def test_a_baseline_that_diverged_is_named_and_its_mean_is_infinite(store: Store) -> None:
    """Tuned to the edge of stability, some do on new problems; the median tells what is usual."""
    results = Results.of(store)
    assert {record.status for record in results.failures} <= {"diverged"}
    one = next(
        r for r in results.of_kind("evaluation") if r.key["optimizer"] == "baselines"
    ).result["baselines"]["sgd"]

    def diverge(record: Record) -> Record:
        changed_one = {**one, "n_diverged": 3, "objective_mean": None}
        result = {"baselines": {**record.result["baselines"], "sgd": changed_one}}
        return dataclasses.replace(record, status=TrialStatus.DIVERGED, result=result)

    changed(store, "evaluation", diverge, "baselines")
    page = Page(render(store))
    assert "∞" in page.text
    assert "failures" in page.identifiers


def test_states_are_not_mixed_up(store: Store) -> None:
    results = Results.of(store)
    here, missing = results.implementations
    assert results.cell(here, Level.STEP, "float64").status == "passed"
    assert results.cell(here, Level.STEP, "float32").status == "not offered"
    cell = results.cell(missing, Level.STEP, "float64")
    assert (cell.status, cell.words) == ("not installed", "needs 'tinygrad': pip install it")
    broken = {**missing, "availability": "broken"}
    assert results.cell(broken, Level.STEP, "float64").status == "broken"


def test_a_level_whose_checks_are_on_other_tasks_was_not_run(store: Store) -> None:
    """Without the first task there are no checks of an optimizer alone; it may well offer them."""
    content = json.loads((store.folder / "plan.json").read_text())
    content["trials"] = [t for t in content["trials"] if t["task"] == "rosenbrock"]
    (store.folder / "plan.json").write_text(json.dumps(content))
    results = Results.of(store)
    here = results.implementations[0]
    assert results.cell(here, Level.LINEARIZE, "float64").status == "not run"
    assert results.cell(here, Level.UNROLL, "float64").status == "passed"


def changed(store: Store, trial: str, change: Any, optimizer: str = "") -> None:
    """Replace a record of that kind of trial by a changed one."""
    record = next(
        r for r in store.records()[0] if r.key["trial"] == trial and optimizer in r.key["optimizer"]
    )
    (store.records_folder / f"{record.name}.json").unlink()
    new = change(record)
    if new is not None:
        store.put(new)


def test_a_failure_stands_first(store: Store) -> None:
    def fail(record: Record) -> Record:
        result = json.loads(json.dumps(record.result))
        result["checks"][1] |= {"status": "failed", "message": "W_c is off", "ratio": 17.0}
        return dataclasses.replace(
            record, status=TrialStatus.FAILED, message="W_c is off", result=result
        )

    changed(store, "conformance", fail)
    html = render(store)
    assert html.index('id="failures"') < html.index('id="agreement"')
    assert "W_c is off" in html
    assert "disagreement with the reference in reference" in html
    results = Results.of(store)
    cell = results.cell(results.implementations[0], Level.STEP, "float64")
    assert (cell.status, cell.ratio) == ("failed", 17.0)


def test_a_trial_that_raised_is_a_failure(store: Store) -> None:
    changed(
        store,
        "conformance",
        lambda r: dataclasses.replace(
            r, status=TrialStatus.FAILED, message="raised ValueError: no", result={}
        ),
    )
    results = Results.of(store)
    cell = results.cell(results.implementations[0], Level.STEP, "float64")
    assert (cell.status, cell.words) == ("failed", "raised ValueError: no")
    assert "raised ValueError: no" in render(store)


def test_a_partial_store_says_how_complete_it_is(store: Store) -> None:
    changed(store, "conformance", lambda _: None)
    changed(store, "evaluation", lambda _: None, "checkpoint quadratic")
    html = render(store)
    assert "2 planned trials are missing: this report is partial" in html
    n = len(Results.of(store).planned)
    assert f"2 of {n} planned trials have no record" in html
    results = Results.of(store)
    assert results.cell(results.implementations[0], Level.STEP, "float64").status == "not run"
    assert 'id="comparison"' not in html
    assert "quadratic: tuned baselines" in html


def test_a_damaged_record_is_left_out_and_named(store: Store) -> None:
    path = next(store.records_folder.glob("*.json"))
    path.write_text("{")
    html = render(store)
    assert f"left out: {path}" in html


def test_an_empty_store(tmp_path: Path) -> None:
    html = render(Store.create(tmp_path / "store"))
    assert "This store holds no results yet" in html


def test_names_with_html_in_them_are_text(store: Store) -> None:
    plan_file = store.folder / "plan.json"
    content = json.loads(plan_file.read_text())
    content["implementations"][1]["name"] = "<script>alert(1)</script>"
    plan_file.write_text(json.dumps(content))
    page = Page(render(store))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_a_run_that_diverged_is_counted_and_shown(store: Store) -> None:
    def diverge(record: Record) -> Record:
        result = json.loads(json.dumps(record.result))
        result["learned"] |= {"n_diverged": 2, "objective_mean": None}
        result["learned"]["curve_mean"][-1] = None
        for ratio in result["ratios"].values():
            ratio |= {"ratio": None, "low": None, "high": None}
        message = "2 of 128 runs diverged"
        return dataclasses.replace(
            record, status=TrialStatus.DIVERGED, message=message, result=result
        )

    changed(store, "evaluation", diverge, "checkpoint")
    html = render(store)
    assert "2 of 128 runs diverged" in html


def test_each_mechanism_has_its_verdicts_under_its_figure(store: Store) -> None:
    html = render(store)
    verdicts = store.verdicts()
    assert verdicts
    for name in ("momentum", "clipping-spared", "schedule-decays", "adaptation"):
        (claim,) = (one for one in claims() if one.name == name)
        assert claim.title in html
        assert claim.threshold in html
        assert claim.sentence in html
    over_seeds = next(v for v in verdicts if v["scope"] == Scope.ALL_SEEDS)
    assert over_seeds["outcome"] in html
    assert "1 of at least 5 seeds" in html


def test_a_store_without_verdicts_says_so(store: Store) -> None:
    (store.folder / "verdicts.json").unlink()
    assert "no verdicts" in render(store)
