"""The report: self-contained, the same bytes each time, and true to its records."""

import dataclasses
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.claims.catalogue import claims
from loptbench.protocol import Level
from loptbench.reports.page.elements import Data, Figure, Section, Table, anchor
from loptbench.reports.page.store import page, render
from loptbench.reports.plots import styles
from loptbench.reports.plots.styles import NO_PRESET
from loptbench.reports.sections.agreement import agreement_matrix
from loptbench.reports.sections.glossary import LINK
from loptbench.reports.sections.implementations import implementation_sections
from loptbench.reports.sections.overview import _notes, answer, verdict_matrix
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import of_size
from loptbench.results.frames import Contents
from loptbench.results.schema.evaluation import BaselinesResult, Estimate, LearnedResult
from loptbench.results.schema.keys import OptimizerId, Role, TrialKind
from loptbench.results.schema.mechanisms import MomentumResult, NotApplicable
from loptbench.results.schema.verdicts import Outcome, Scope
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.tasks import TASKS
from loptbench.tests.reports.made_records import change, changed
from loptbench.tests.reports.pages import Page


def test_the_page_is_self_contained(full_page: Path) -> None:
    text = full_page.read_text()
    parsed = Page(text)
    outside = [
        reference for reference in parsed.references if not reference.startswith(("#", "data:"))
    ]
    assert outside == [LINK]
    assert f'<a href="{LINK}">' in text  # a link, not loaded
    assert parsed.tags.count("script") == 1
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(text) < 4_000_000


def test_links_and_identifiers_are_whole(full_page: Path) -> None:
    parsed = Page(full_page.read_text())
    assert len(set(parsed.identifiers)) == len(parsed.identifiers)
    inside = {reference[1:] for reference in parsed.references if reference.startswith("#")}
    assert inside <= set(parsed.identifiers)


def test_the_same_records_are_the_same_bytes(store: Store, full_page: Path) -> None:
    first = render(store)
    assert render(store) == first
    assert full_page.read_text() == first


def test_every_section_is_there(full_page: Path) -> None:
    parsed = Page(full_page.read_text())
    for part in (
        "verdicts",
        "agreement",
        "tables",
        "zoo",
        "tuning",
        "tolerances",
        "timings",
        "provenance",
    ):
        assert part in parsed.identifiers
    for name in ("performance", "convergence", "momentum", "clipping", "schedule", "adaptation"):
        assert f"subject-{name}" in parsed.identifiers
    for name in ("momentum", "clipping", "schedule", "adaptation"):
        assert f"figure-{name}" in parsed.identifiers
        assert f"seeds-{name}" in parsed.identifiers
    for part in ("curves", "figure-meta-training", "figure-agreement", "implementation-tinygrad"):
        assert part in parsed.identifiers
    for claim in claims():
        if "quadratic" in claim.places:
            assert f"claim-{claim.name}" in parsed.identifiers


def test_every_figure_has_words_numbers_and_its_command(store: Store) -> None:
    figures = [
        part
        for group in page(store).groups
        for section in group.sections
        for part in section.parts
        if isinstance(part, Figure)
    ]
    assert len(figures) > 12
    for figure in figures:
        assert len(figure.alternative) > 80
        assert "paper" in figure.caption
        assert figure.command == "loptbench report store"
        assert all(panel.svg.startswith("<svg") for panel in figure.panels)
        assert not figure.data.empty
        assert figure.csv().count("\n") == 1 + len(figure.data)


def test_colours_can_be_seen_on_both_pages() -> None:
    """A contrast of at least 3 with the background, as WCAG 2.2 asks of graphics."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(a: str, b: str) -> float:
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for style in (*styles.OPTIMIZERS, *styles.IMPLEMENTATIONS, styles.BOUND):
        assert contrast(style.light, "#ffffff") >= 3, style
        assert contrast(style.dark, "#10151b") >= 3, style
    for family in (styles.OPTIMIZERS, styles.IMPLEMENTATIONS):
        assert len({style.marker for style in family}) == len(family)
        assert len({style.light for style in family}) == len(family)


def test_numbers_are_those_of_the_records(store: Store, full_page: Path) -> None:
    contents = Contents.of(store)
    evaluations = [result for _, result in contents.evaluations()]
    data = Page(full_page.read_text()).data
    table = pd.read_csv(io.StringIO(data["evaluations-table"]))
    assert len(evaluations) == 1 + len(TASKS)
    columns = ["objective_mean", "objective_median", "final_loss_mean"]
    for result in evaluations:
        if isinstance(result, LearnedResult):
            (row,) = table[table.role == "checkpoint"].itertuples()
            of_means = result.ratios[row.best].of_means
            exact = [of_means.value, of_means.low, of_means.high]
            assert [row.ratio, row.low, row.high] == pytest.approx(exact)
            measured = [result.learned]
        else:
            assert isinstance(result, BaselinesResult)
            measured = list(result.baselines.values())
        for evaluation in measured:
            exact = [getattr(evaluation, name) for name in columns]
            assert np.isclose(table[columns], exact, rtol=1e-8).all(axis=1).any()
    learned = next(
        result
        for record, result in contents.mechanisms()
        if record.key.optimizer.role is Role.CHECKPOINT
    )
    assert isinstance(learned.momentum, MomentumResult)
    numbers = pd.read_csv(io.StringIO(data["mechanisms-table"]))
    index = numbers[(numbers.role == "checkpoint") & (numbers.quantity == "index")]
    assert index.value.tolist() == pytest.approx([learned.momentum.index])


def test_a_baseline_that_diverged_is_named_and_its_mean_is_infinite(store: Store) -> None:
    """Baselines are tuned to the edge of stability, so some diverge on new problems."""
    assert {record.status for record in store.records()[0]} <= {"ok", "diverged"}

    def diverge(record: Record) -> Record:
        assert isinstance(record.result, BaselinesResult)
        baselines = dict(record.result.baselines)
        update = {"n_diverged": 3, "objective_mean": math.inf}
        baselines["sgd"] = baselines["sgd"].model_copy(update=update)
        result = BaselinesResult(baselines=baselines)
        return changed(record, status=TrialStatus.DIVERGED, result=result)

    change(store, TrialKind.EVALUATION, diverge, Role.BASELINES)
    parsed = Page(render(store))
    assert "∞" in parsed.text
    assert "diverged" in parsed.identifiers


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    value: Any
    status: str
    note: str


def cells(table: Table) -> Iterator[list[Cell]]:
    """The rows of a table, by cells."""
    columns = [
        [
            Cell(*of_row)
            for of_row in zip(
                table.frame[name],
                table.marks(table.status, name),
                table.marks(table.note, name),
                strict=True,
            )
        ]
        for name in table.frame.columns
    ]
    yield from (list(row) for row in zip(*columns, strict=True))


def cell(store: Store, implementation: str, level: int, task: str = "quadratic") -> Cell:
    """A cell of the agreement matrix."""
    report = Report(store)
    matrix = agreement_matrix(report.checks, report.absent)
    column = list(matrix.frame.columns).index(task)
    for row in cells(matrix):
        if row[0].value == implementation and row[1].value.split(" ")[0] in (str(level), "all"):
            return row[column]
    raise AssertionError("no such row")


def test_conclusions_that_agree_to_the_last_bit_have_passed(store: Store) -> None:
    """An error of exactly 0 is not missing."""
    of_reference = implementation_sections(Report(store))[0]
    # Nothing failed, so the page builds the table when it is opened.
    (table,) = (
        part
        for part in of_reference.parts
        if isinstance(part, Data) and part.anchor == "conclusions-reference"
    )
    assert table.frame["largest error / bound"].tolist() == [0.0] * 3


def test_every_colour_has_one_for_dark_pages(full_page: Path) -> None:
    text = full_page.read_text()
    used = set(re.findall(r"var\(--([0-9a-f]{6}),", text))
    assert len(used) >= 8
    assert used <= set(re.findall(r"--([0-9a-f]{6}): light-dark", text))


def test_states_are_not_mixed_up(store: Store, full_page: Path) -> None:
    passed = cell(store, "reference", Level.STEP)
    assert passed.status == "passed"
    assert float(passed.value) < 1
    assert cell(store, "tinygrad", Level.STEP).status == "not installed"
    assert "needs 'tinygrad': pip install it" in Page(full_page.read_text()).text
    plan = json.loads((store.folder / "plan.json").read_text())
    plan["implementations"][1] |= {"availability": "broken", "reason": "raised"}
    (store.folder / "plan.json").write_text(json.dumps(plan))
    assert cell(store, "tinygrad", Level.STEP).status == "broken"


def test_a_level_whose_checks_are_on_other_tasks_is_not_called_passed(store: Store) -> None:
    """Checks of an optimizer without a task run on the first task only."""
    assert cell(store, "reference", Level.LINEARIZE, "rosenbrock").status == "empty"
    assert cell(store, "reference", Level.UNROLL, "rosenbrock").status == "passed"


def test_names_have_identifiers_of_their_own() -> None:
    names = ("a-b", "a b", "a/b", "a--b", "ab", "<a>", "a")
    identifiers = {anchor("implementation", name) for name in names}
    assert len(identifiers) == len(names)
    assert all(re.fullmatch(r"implementation-[\w.:-]+", identifier) for identifier in identifiers)


def test_a_run_that_diverged_is_counted_and_shown(store: Store) -> None:
    def diverge(record: Record) -> Record:
        assert isinstance(record.result, LearnedResult)
        curve = record.result.learned.curve_mean.copy()
        curve[-1] = np.nan
        update = {"n_diverged": 2, "objective_mean": math.inf, "curve_mean": curve}
        update["final_loss_mean"] = math.inf
        learned = record.result.learned.model_copy(update=update)
        none = Estimate(value=math.nan, low=math.nan, high=math.nan)
        ratios = {
            name: ratio.model_copy(update={"of_means": none})
            for name, ratio in record.result.ratios.items()
        }
        result = record.result.model_copy(update={"learned": learned, "ratios": ratios})
        return changed(
            record, status=TrialStatus.DIVERGED, message="2 of 128 runs diverged", result=result
        )

    change(store, TrialKind.EVALUATION, diverge)
    text = render(store)
    assert "2 of 128 runs diverged" in text
    # The only seed: a median that left it out would have no number, or that of others.
    words = " ".join(_notes(Report(store))["quadratic"].values())  # type: ignore[union-attr]
    assert re.search(r"mean loss ∞ × \w+'s \(1 seed, 1 with runs that diverged\)", words), words


def test_each_mechanism_has_its_claims_in_words(store: Store, full_page: Path) -> None:
    text = Page(full_page.read_text()).text
    verdicts = store.verdicts()
    assert verdicts
    for name in ("momentum", "clipping", "schedule-decays", "adaptation", "s-curve-order"):
        (claim,) = (candidate for candidate in claims() if candidate.name == name)
        assert f"{claim.title}. {claim.sentence}" in text
        assert f"claimed: {claim.threshold}." in text
    verdict = next(v for v in verdicts if v.scope is Scope.ALL_SEEDS)
    assert verdict.outcome in text
    assert "1 of at least 5 seeds" in text


@pytest.mark.slow
def test_the_legend_has_what_is_drawn(store: Store) -> None:
    def legend() -> list[str]:
        figures = (part for section in sections(store) for part in section.parts)
        (figure,) = (part for part in figures if getattr(part, "anchor", "") == "figure-momentum")
        assert isinstance(figure, Figure)
        assert ("Thick: the first seed" in figure.caption) == ("learned" in legend_of(figure))
        return legend_of(figure)

    assert "learned" in legend()
    none = {"momentum": NotApplicable(not_applicable="there is none")}

    def without_momentum(record: Record) -> Record:
        assert record.result is not None
        return changed(record, result=record.result.model_copy(update=none))

    change(store, TrialKind.MECHANISMS, without_momentum)
    assert "momentum" in legend()
    assert "learned" not in legend()


def legend_of(figure: Figure) -> list[str]:
    return [key.name for key in figure.legend]


def sections(store: Store) -> list[Section]:
    return [section for group in page(store).groups for section in group.sections]


def test_the_matrix_tells_what_was_measured(store: Store) -> None:
    momentum = over_seeds(store)
    matrix = verdict_matrix(momentum, claims(), momentum.iloc[:0])
    ((title, link, cells),) = matrix.rows
    ((mark,),) = (marks for marks in cells if marks)
    assert (title, link) == ("Momentum", "#claim-momentum")
    assert (mark.outcome, mark.text) == ("inconclusive", "1/1")
    assert f"mean {momentum.value.item():.3g}" in mark.words


def test_the_answer_is_short_and_counts_the_chosen_size(store: Store) -> None:
    report = Report(store)
    words = answer(report)
    assert not isinstance(words, str)
    for size, sentence in words.items():
        assert len(sentence.split()) <= 20
        assert (
            f"of {len(of_size(report.verdicts, size))} verdicts" in sentence or "any of" in sentence
        )
    many = report.verdicts.assign(outcome=Outcome.REPRODUCED.value)
    (small,) = set(many.preset[many.scope == Scope.ALL_SEEDS])
    both = pd.concat([many, many.assign(preset="large", outcome=Outcome.NOT_REPRODUCED.value)])
    report.verdicts = both
    report.sizes = (small, "large")
    words = answer(report)
    assert not isinstance(words, str)
    assert words[small].startswith("Yes: ")
    assert words["large"].startswith("No: ")


def over_seeds(store: Store) -> pd.DataFrame:
    """The verdict on momentum over all seeds."""
    verdicts = Report(store).frame("verdicts")
    return verdicts[(verdicts.claim == "momentum") & (verdicts.scope == Scope.ALL_SEEDS)]


@pytest.mark.slow
def test_of_many_seeds_some_are_drawn_and_all_are_told(store: Store, full_page: Path) -> None:
    """The report of many records stays readable."""
    before = len(full_page.read_text())
    plan = store.plan()
    assert plan is not None
    keys = list(plan.trials)
    for record in store.records()[0]:
        of_learned = record.key.optimizer.role is Role.CHECKPOINT
        if of_learned and record.key.trial is not TrialKind.CONFORMANCE:
            for seed in range(40):
                name = OptimizerId(role=Role.CHECKPOINT, name=f"copy-{seed}")
                copy = changed(record, key=record.key.model_copy(update={"optimizer": name}))
                store.put(copy)
                keys.append(copy.key)
    store.put_plan(plan.model_copy(update={"trials": tuple(keys)}))
    text = render(store)
    assert text.count("The first 20 of each size are drawn; 21 more are in the table.") == 6
    assert text.count("copy-39") >= 6
    assert len(text) < 3 * before


def test_the_size_of_most_tasks_comes_first_then_that_of_most_seeds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = {"large": ["quadratic"] * 9, "": ["digits"], "small": ["digits", "quadratic"]}
    rows = [(preset, task) for preset, tasks in seeds.items() for task in tasks]
    checkpoints = pd.DataFrame(rows, columns=["preset", "task"])
    report = Report(store)
    monkeypatch.setattr(Report, "frame", lambda _, name: {"checkpoints": checkpoints}[name])
    assert report.sizes == ("small", "large", NO_PRESET)
