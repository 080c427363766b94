"""The report of a store with failures, gaps and damage."""

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
from loptbench.reports.sections import figures
from loptbench.reports.sections.report import Report
from loptbench.results.frames import Contents
from loptbench.results.schema.conformance import ConformanceResult
from loptbench.results.schema.keys import Role, TrialKind
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.tests.reports.made_records import change, changed
from loptbench.tests.reports.pages import Page
from loptbench.tests.reports.test_report import cell


@pytest.fixture
def words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures of the sections, which take most of the time.

    For tests of what a report says; the others here draw them from the damaged records.
    """
    for name in ("agreement", "mechanism", "seeds", "readings", "meta_training"):
        monkeypatch.setattr(figures, name, lambda *_: [])


def with_provenance(record: Record, **facts: Any) -> Record:
    """The record with other facts in its provenance."""
    return changed(record, provenance=record.provenance.model_copy(update=facts))


@pytest.mark.usefixtures("words_only")
def test_a_failure_stands_first(store: Store) -> None:
    def fail(record: Record) -> Record:
        assert isinstance(record.result, ConformanceResult)
        checks = list(record.result.checks)
        place = next(i for i, check in enumerate(checks) if check.level == Level.STEP)
        update = {"status": "failed", "message": "W_c is off", "ratio": 17.0}
        checks[place] = checks[place].model_copy(update=update)
        result = record.result.model_copy(update={"checks": tuple(checks)})
        return changed(record, status=TrialStatus.FAILED, message="W_c is off", result=result)

    change(store, TrialKind.CONFORMANCE, fail)
    text = render(store)
    assert text.index('id="failures"') < text.index('id="agreement"')
    assert "W_c is off" in text
    assert "disagreement with the reference in reference" in text
    failed = cell(store, "reference", Level.STEP)
    assert (failed.status, failed.value) == ("failed", "17")


@pytest.mark.usefixtures("words_only")
def test_mechanisms_that_disagree_are_no_agreement(store: Store) -> None:
    def fail(record: Record) -> Record:
        return changed(record, status=TrialStatus.FAILED, message="index is off")

    change(store, TrialKind.MECHANISMS, fail)
    assert "disagreement with the reference in reference" in render(store)


@pytest.mark.usefixtures("words_only")
def test_a_trial_that_raised_is_a_failure(store: Store) -> None:
    change(
        store,
        TrialKind.CONFORMANCE,
        lambda record: changed(
            record, status=TrialStatus.FAILED, message="raised ValueError: no", result=None
        ),
    )
    assert cell(store, "reference", Level.STEP).status == "failed"
    text = render(store)
    assert "raised ValueError: no" in text
    assert "disagreement with the reference" not in text  # nothing was compared


@pytest.mark.usefixtures("words_only")
def test_a_partial_store_says_how_complete_it_is(store: Store) -> None:
    change(store, TrialKind.CONFORMANCE, lambda _: None)
    change(store, TrialKind.EVALUATION, lambda _: None)
    text = render(store)
    assert "this report is partial" in text
    n = len(Report(store).trials)
    assert f"2 of {n} planned trials have no record" in text
    assert cell(store, "reference", Level.STEP).status == "not run"
    assert "Loss curves: tuned baselines" in text


@pytest.mark.usefixtures("words_only")
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
    parsed = Page(render(store))
    assert parsed.tags.count("script") == 1
    assert "<script>alert(1)</script>" in parsed.text


@pytest.mark.usefixtures("words_only")
def test_a_store_without_verdicts_says_so(store: Store) -> None:
    (store.folder / "verdicts.json").unlink()
    assert "No claim is judged yet" in render(store)


@pytest.mark.usefixtures("words_only")
def test_verdicts_on_unknown_claims_are_left_out_and_counted(store: Store) -> None:
    verdicts = list(store.verdicts())
    for i in range(3):
        verdicts[i] = verdicts[i].model_copy(update={"claim": "flies"})
    store.put_verdicts(verdicts, Contents.of(store).records)
    assert "3 verdicts are of another version" in render(store)


@pytest.mark.usefixtures("words_only")
def test_verdicts_of_another_version_are_named(store: Store) -> None:
    path = store.folder / "verdicts.json"
    content = json.loads(path.read_text())
    del content["verdicts"][0]["scope"]
    path.write_text(json.dumps(content))
    text = render(store)
    assert "verdicts.json is damaged" in text
    assert "scope" in text[text.index("verdicts.json is damaged") :][:200]


@pytest.mark.usefixtures("words_only")
def test_verdicts_of_records_that_were_made_again_are_flagged(
    store: Store, full_page: Path
) -> None:
    assert "drawn from other records" not in full_page.read_text()
    change(
        store,
        TrialKind.MECHANISMS,
        lambda record: with_provenance(record, seconds=0.5),
    )
    assert "drawn from other records" in html(page(store))
    assert any("drawn from other records" in sentence for sentence in read(store).left_out)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content["key"].update(trial="divination"),
        pytest.param(lambda content: content["key"].pop("task"), marks=pytest.mark.slow),
        pytest.param(
            lambda content: content.update(result={"of": "a later version"}),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_record_of_another_version_is_left_out_and_named(store: Store, damage: Any) -> None:
    record = next(r for r in store.records()[0] if str(r.key.optimizer) == "tuned sgd")
    path = store.records_folder / f"{record.name}.json"
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    text = render(store)
    assert f"left out: {path} is damaged: " in text
    assert 'id="figure-momentum"' in text


def at(value: Any, *path: str | int) -> Any:
    """A copy with one nested value replaced: `path` is the keys, then the new value."""
    *folders, name, new = path
    copied = json.loads(json.dumps(value))
    inner = copied
    for step in folders:
        inner = inner[step]
    inner[name] = new
    return copied


BAD_VALUES = [
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
]


def spoil(store: Store, trial: str, path: tuple[Any, ...]) -> Path:
    """Write a bad value into the result of the checkpoint on `quadratic`; returns the file."""
    (record,) = (
        record
        for record in store.records()[0]
        if (record.key.trial, record.key.task) == (trial, "quadratic")
        and record.key.optimizer.role is Role.CHECKPOINT
    )
    file = store.records_folder / f"{record.name}.json"
    file.write_text(json.dumps(at(json.loads(file.read_text()), "result", *path)))
    return file


@pytest.mark.parametrize(("trial", "path"), BAD_VALUES)
def test_one_bad_record_is_named(store: Store, trial: str, path: tuple[Any, ...]) -> None:
    file = spoil(store, trial, path)
    (sentence,) = Report(store).damaged
    what = "the number '1000" if 10**400 in path else "result"
    assert sentence.startswith(f"{file} is damaged: {what}")


@pytest.mark.parametrize(("trial", "path"), BAD_VALUES[::4])
def test_one_bad_record_takes_nothing_along(
    store: Store, trial: str, path: tuple[Any, ...]
) -> None:
    """A bad record is left out when it is read, so one of each kind of trial is enough."""
    spoil(store, trial, path)
    report_page = page(store)
    titles = {section.title for group in report_page.groups for section in group.sections}
    assert not any("not shown" in title for title in titles)
    assert {"Overview", "Do the implementations agree?", "Momentum", "Tables"} <= titles


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        *(pytest.param(text, marks=pytest.mark.slow) for text in ("{", "[1]", '{"verdicts": 5}')),
    ],
)
def test_damaged_verdicts_are_named(store: Store, content: str) -> None:
    (store.folder / "verdicts.json").write_text(content)
    text = html(page(store))
    assert "verdicts.json is damaged" in text
    assert 'id="agreement-matrix"' in text


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    "content",
    [
        '{"trials": [1], "implementations": []}',
        pytest.param("{", marks=pytest.mark.slow),
    ],
)
def test_with_a_damaged_plan_nobody_knows_what_is_missing(store: Store, content: str) -> None:
    (store.folder / "plan.json").write_text(content)
    (sentence,) = Report(store).damaged
    assert "plan.json is damaged: " in sentence
    assert "whether anything is missing is not known" in render(store)


def test_what_a_part_left_out_is_told(store: Store) -> None:
    told = "Left out, and measured with --full: optimizers of 256 units."
    assert told not in render(store)
    plan = store.plan()
    assert plan is not None
    store.put_plan(plan.model_copy(update={"left_out": "optimizers of 256 units"}))
    assert told in render(store)


@pytest.mark.usefixtures("words_only")
def test_mixed_provenance_is_flagged(store: Store, full_page: Path) -> None:
    assert "mixed provenance" not in full_page.read_text()
    change(
        store,
        TrialKind.MECHANISMS,
        lambda record: with_provenance(record, commit="of yesterday"),
    )
    text = render(store)
    assert "The records are of mixed provenance" in text
    assert "commit of yesterday" in text
    assert 'id="mixed-records"' in text
