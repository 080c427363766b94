"""The report of a store with failures, gaps and damage."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.comparison.store_view import read
from loptbench.protocol import Level
from loptbench.reports.page.render import html
from loptbench.reports.page.store import page, render
from loptbench.reports.sections.results import Results
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.tests.reports.made_records import change
from loptbench.tests.reports.pages import Page
from loptbench.tests.reports.test_report import cell


def test_a_failure_stands_first(store: Store) -> None:
    def fail(record: Record) -> Record:
        result = json.loads(json.dumps(record.result))
        wrong = next(check for check in result["checks"] if check["level"] == Level.STEP)
        wrong |= {"status": "failed", "message": "W_c is off", "ratio": 17.0}
        return dataclasses.replace(
            record, status=TrialStatus.FAILED, message="W_c is off", result=result
        )

    change(store, "conformance", fail)
    text = render(store)
    assert text.index('id="failures"') < text.index('id="agreement"')
    assert "W_c is off" in text
    assert "disagreement with the reference in reference" in text
    failed = cell(store, "reference", Level.STEP)
    assert (failed.status, failed.value) == ("failed", "17")


def test_mechanisms_that_disagree_are_no_agreement(store: Store) -> None:
    def fail(record: Record) -> Record:
        return dataclasses.replace(record, status=TrialStatus.FAILED, message="index is off")

    change(store, "mechanisms", fail)
    assert "disagreement with the reference in reference" in page(store).lead


def test_a_trial_that_raised_is_a_failure(store: Store) -> None:
    change(
        store,
        "conformance",
        lambda r: dataclasses.replace(
            r, status=TrialStatus.FAILED, message="raised ValueError: no", result={}
        ),
    )
    assert cell(store, "reference", Level.STEP).status == "failed"
    assert "raised ValueError: no" in render(store)


def test_a_partial_store_says_how_complete_it_is(store: Store) -> None:
    change(store, "conformance", lambda _: None)
    change(store, "evaluation", lambda _: None, "checkpoint quadratic")
    text = render(store)
    assert "2 planned trials are missing: this report is partial" in text
    n = len(Results.of(store).planned)
    assert f"2 of {n} planned trials have no record" in text
    assert cell(store, "reference", Level.STEP).status == "not run"
    assert 'id="best-quadratic"' not in text
    assert "Loss curves: tuned baselines" in text


def test_a_damaged_record_is_left_out_and_named(store: Store) -> None:
    path = next(store.records_folder.glob("*.json"))
    path.write_text("{")
    text = render(store)
    assert f"left out: {path}" in text


def test_an_empty_store(tmp_path: Path) -> None:
    text = render(Store.create(tmp_path / "store"))
    assert "This store holds no results yet" in text


def test_names_with_html_in_them_are_text(store: Store) -> None:
    plan_file = store.folder / "plan.json"
    content = json.loads(plan_file.read_text())
    content["implementations"][1]["name"] = "<script>alert(1)</script>"
    plan_file.write_text(json.dumps(content))
    found = Page(render(store))
    assert found.tags.count("script") == 1
    assert "<script>alert(1)</script>" in found.text


def test_a_store_without_verdicts_says_so(store: Store) -> None:
    (store.folder / "verdicts.json").unlink()
    assert "no verdicts" in render(store)


def test_verdicts_of_another_version_are_left_out_and_counted(store: Store) -> None:
    path = store.folder / "verdicts.json"
    content = json.loads(path.read_text())
    for one in content["verdicts"][:3]:
        del one["scope"]
    content["verdicts"].append({"claim": "flies", "outcome": "maybe"})
    path.write_text(json.dumps(content))
    assert "4 verdicts are of another version" in render(store)


def test_verdicts_of_records_that_were_made_again_are_flagged(store: Store) -> None:
    assert "drawn from other records" not in html(page(store))
    change(
        store,
        "mechanisms",
        lambda r: dataclasses.replace(r, provenance={**r.provenance, "seconds": 0.5}),
    )
    assert "drawn from other records" in html(page(store))
    assert any("drawn from other records" in one for one in read(store).left_out)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: dataclasses.replace(r, key={**r.key, "trial": "divination"}),
        lambda r: dataclasses.replace(r, key={k: v for k, v in r.key.items() if k != "task"}),
        lambda r: dataclasses.replace(r, result={"of": "a later version"}),
    ],
)
def test_a_record_of_another_version_is_left_out_and_named(store: Store, change: Any) -> None:
    record = next(r for r in store.records()[0] if r.key["optimizer"] == "tuned sgd")
    store.put(change(record))
    text = render(store)
    assert f"left out: record {change(record).name}.json: " in text
    assert 'id="figure-momentum"' in text


def at(value: Any, *path: str | int) -> Any:
    """A copy of a record's result with something in a place deep inside; the path's last is it."""
    *way, name, new = path
    copied = json.loads(json.dumps(value))
    inner = copied
    for step in way:
        inner = inner[step]
    inner[name] = new
    return copied


@pytest.mark.parametrize(
    ("trial", "path"),
    [
        ("conformance", ("checks", None)),
        ("conformance", ("checks", 0, "level", 99)),
        ("conformance", ("checks", 0, "status", "exploded")),
        ("conformance", ("checks", 0, "ratio", "large")),
        ("evaluation", ("learned", "curve_mean", [])),
        ("evaluation", ("learned", "objective_mean", "small")),
        ("evaluation", ("ratios", None)),
        ("evaluation", ("meta_training", "log", 3)),
        ("mechanisms", ("momentum", None)),
        ("mechanisms", ("momentum", "index", 10**400)),
        ("mechanisms", ("clipping", "states", [])),
        ("mechanisms", ("adaptation", "elasticity", [0.1])),
    ],
)
def test_one_bad_record_is_named_and_takes_nothing_along(
    store: Store, trial: str, path: tuple[Any, ...]
) -> None:
    (record,) = (
        r
        for r in store.records()[0]
        if r.key["trial"] == trial
        and r.key["optimizer"].startswith("checkpoint ")
        and r.key["task"] == "quadratic"
    )
    store.put(dataclasses.replace(record, result=at(record.result, *path)))
    (sentence,) = Results.of(store).damaged
    assert sentence.startswith(f"record {record.name}.json: ")
    found = page(store)
    titles = {section.title for group in found.groups for section in group.sections}
    assert not any("not shown" in title for title in titles)
    assert {"What reproduces", "Do the implementations agree", "quadratic", "Momentum"} <= titles


@pytest.mark.parametrize("content", ["{", "[1]", '{"verdicts": 5}', "[" * 100_000])
def test_damaged_verdicts_are_named(store: Store, content: str) -> None:
    (store.folder / "verdicts.json").write_text(content)
    found = html(page(store))
    assert "verdicts.json is damaged" in found
    assert 'id="agreement-matrix"' in found


@pytest.mark.parametrize("content", ["{", '{"trials": [1], "implementations": []}'])
def test_with_a_damaged_plan_nobody_knows_what_is_missing(store: Store, content: str) -> None:
    (store.folder / "plan.json").write_text(content)
    (sentence,) = Results.of(store).damaged
    assert sentence.startswith("plan.json: ")
    assert "whether anything is missing is not known" in sentence


def test_mixed_provenance_is_flagged(store: Store) -> None:
    assert "mixed provenance" not in render(store)
    change(
        store,
        "mechanisms",
        lambda r: dataclasses.replace(r, provenance={**r.provenance, "commit": "of yesterday"}),
        "checkpoint",
    )
    text = render(store)
    assert "its records are of mixed provenance" in text
    assert "commit of yesterday" in text
    assert 'id="mixed-records"' in text
