"""The report: self-contained, the same bytes each time, and true to its records."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.claims.catalogue import claims
from loptbench.protocol import Level
from loptbench.reports.page.elements import Figure, Table, anchor
from loptbench.reports.page.numbers import number_text
from loptbench.reports.page.render import html
from loptbench.reports.page.store import page, render
from loptbench.reports.plots import styles
from loptbench.reports.sections.agreement import agreement_matrix
from loptbench.reports.sections.glossary import LINK
from loptbench.reports.sections.implementations import implementation_sections
from loptbench.reports.sections.provenance import timings
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import preset_disagreements, summary, verdict_matrix
from loptbench.results.frames import Contents
from loptbench.results.schema.evaluation import BaselinesResult, Estimate, LearnedResult
from loptbench.results.schema.keys import OptimizerId, Role, TrialKind
from loptbench.results.schema.mechanisms import MomentumResult, NotApplicable
from loptbench.results.schema.verdicts import Outcome, Scope
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.tasks import TASKS
from loptbench.tests.reports.made_records import change, changed
from loptbench.tests.reports.pages import Page


def test_the_page_is_self_contained(store: Store) -> None:
    text = render(store)
    parsed = Page(text)
    outside = [
        reference for reference in parsed.references if not reference.startswith(("#", "data:"))
    ]
    assert outside == [LINK]
    assert f'<a href="{LINK}">' in text  # a link, not loaded
    assert parsed.tags.count("script") == 1
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(text) < 4_000_000


def test_links_and_identifiers_are_whole(store: Store) -> None:
    parsed = Page(render(store))
    assert len(set(parsed.identifiers)) == len(parsed.identifiers)
    inside = {reference[1:] for reference in parsed.references if reference.startswith("#")}
    assert inside <= set(parsed.identifiers)


def test_the_same_records_are_the_same_bytes(store: Store) -> None:
    first = render(store)
    assert render(store) == first
    assert render(Store.open(store.folder)) == first


def test_every_section_is_there(store: Store) -> None:
    parsed = Page(render(store))
    for part in ("verdicts", "agreement", "zoo", "tuning", "tolerances", "timings", "provenance"):
        assert part in parsed.identifiers
    for name in ("performance", "convergence", "momentum", "clipping", "schedule", "adaptation"):
        assert f"subject-{name}" in parsed.identifiers
    for name in ("momentum", "clipping", "schedule", "adaptation"):
        assert f"figure-{name}" in parsed.identifiers
        assert f"seeds-{name}" in parsed.identifiers
    for task in TASKS:
        assert f"curves-{task}" in parsed.identifiers
    for part in ("meta-training-quadratic", "errors-float64", "implementation-tinygrad"):
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
    assert len(figures) > 4 + len(TASKS)
    for figure in figures:
        assert len(figure.alternative) > 80
        assert "paper" in figure.caption
        assert figure.command == "loptbench report store"
        assert all(panel.svg.startswith("<svg") for panel in figure.panels)
        assert all(not table.is_empty for table in figure.tables)
        assert figure.tables
        assert figure.legend


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


def test_numbers_are_those_of_the_records(store: Store) -> None:
    contents = Contents.of(store)
    evaluations = [result for _, result in contents.evaluations()]
    text = Page(render(store)).text
    assert len(evaluations) == 1 + len(TASKS)
    for result in evaluations:
        if isinstance(result, LearnedResult):
            for ratio in result.ratios.values():
                of_means = ratio.of_means
                assert f"{of_means.value:.4g}" in text
                assert f"{of_means.low:.4g} to {of_means.high:.4g}" in text
        else:
            for evaluation in result.baselines.values():
                for name in ("objective_mean", "objective_median", "final_loss_mean"):
                    assert number_text(getattr(evaluation, name)) in text
    learned = next(
        result
        for record, result in contents.mechanisms()
        if record.key.optimizer.role is Role.CHECKPOINT
    )
    assert isinstance(learned.momentum, MomentumResult)
    assert f"{learned.momentum.index:.4g}" in text


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
    sections = implementation_sections(Report(store))
    (table,) = (
        part for part in sections[0].parts if getattr(part, "anchor", "") == "conclusions-reference"
    )
    assert isinstance(table, Table)
    assert [row[4].status for row in cells(table)] == ["passed"] * 3


def test_every_colour_has_one_for_dark_pages(store: Store) -> None:
    text = render(store)
    used = set(re.findall(r"var\(--([0-9a-f]{6}),", text))
    assert len(used) >= 8
    assert used <= set(re.findall(r"--([0-9a-f]{6}): light-dark", text))


def test_states_are_not_mixed_up(store: Store) -> None:
    passed = cell(store, "reference", Level.STEP)
    assert passed.status == "passed"
    assert float(passed.value) < 1
    assert cell(store, "tinygrad", Level.STEP).status == "not installed"
    assert "needs 'tinygrad': pip install it" in Page(render(store)).text
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


def test_each_mechanism_has_its_verdicts_under_its_figure(store: Store) -> None:
    text = render(store)
    verdicts = store.verdicts()
    assert verdicts
    for name in ("momentum", "clipping", "schedule-decays", "adaptation", "s-curve-order"):
        (claim,) = (candidate for candidate in claims() if candidate.name == name)
        assert claim.title in text
        assert claim.threshold in text
        assert claim.sentence in text
    verdict = next(v for v in verdicts if v.scope is Scope.ALL_SEEDS)
    assert verdict.outcome in text
    assert "1 of at least 5 seeds" in text


def test_where_no_learned_optimizer_is_drawn_none_is_called_thick(store: Store) -> None:
    def figure() -> str:
        return html(page(store)).partition('id="figure-momentum"')[2].partition("</figure>")[0]

    assert "Of the learned optimizers, quadratic is drawn thick" in figure()
    none = {"momentum": NotApplicable(not_applicable="there is none")}

    def without_momentum(record: Record) -> Record:
        assert record.result is not None
        return changed(record, result=record.result.model_copy(update=none))

    change(store, TrialKind.MECHANISMS, without_momentum)
    assert ">momentum</th>" in figure()
    assert "Of the learned optimizers" not in figure()


def test_the_matrix_tells_means_beside_thresholds(store: Store) -> None:
    momentum = over_seeds(store)
    title, cell = next(cells(verdict_matrix(momentum, claims())))
    assert (title.value, title.note) == ("Momentum", "at least 0.5")
    assert cell.value == "open 1/1"
    assert cell.note == f"mean {momentum.value.item():.3g}; jax"


def over_seeds(store: Store) -> pd.DataFrame:
    """The verdict on momentum over all seeds."""
    verdicts = Report(store).frame("verdicts")
    return verdicts[(verdicts.claim == "momentum") & (verdicts.scope == Scope.ALL_SEEDS)]


def test_a_claim_on_a_task_is_counted_once_whatever_presets_there_are(store: Store) -> None:
    lone = over_seeds(store)
    many = lone.assign(preset="small", n_seeds=8, outcome=Outcome.REPRODUCED.value)
    assert lone.outcome.tolist() == [Outcome.INCONCLUSIVE]
    for both in ([lone, many], [many, lone]):
        words = summary(pd.concat(both, ignore_index=True))
        assert words.startswith("of 1 claims, 1 times on a task, 1 reproduced, 0 not reproduced")


def test_what_another_preset_decides_differently_is_shown(store: Store) -> None:
    """An inconclusive verdict of another preset is not shown."""
    small = over_seeds(store).assign(
        preset="small", n_seeds=8, outcome=Outcome.NOT_REPRODUCED.value
    )

    def disagreements(outcome: Outcome) -> str:
        large = small.assign(preset="large", n_seeds=5, outcome=outcome.value)
        return preset_disagreements(pd.concat([small, large], ignore_index=True))

    words = disagreements(Outcome.REPRODUCED)
    assert words == "Momentum (quadratic) is reproduced with the preset large"
    for outcome in (Outcome.NOT_REPRODUCED, Outcome.INCONCLUSIVE):
        assert disagreements(outcome) == ""


def test_without_checks_nothing_is_said_to_agree(store: Store) -> None:
    content = json.loads((store.folder / "plan.json").read_text())
    content["trials"] = [t for t in content["trials"] if t["trial"] != "conformance"]
    (store.folder / "plan.json").write_text(json.dumps(content))
    assert "no check of agreement was run" in page(store).lead


def test_of_many_seeds_some_are_drawn_and_all_are_told(store: Store) -> None:
    """The report of many records stays readable."""
    before = len(render(store))
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
    assert text.count("The first 20 of each are drawn; 21 more are in the table.") == 6
    assert text.count("copy-39") >= 6
    assert len(text) < 3 * before


def test_the_time_that_trials_took_is_shown(store: Store) -> None:
    report = Report(store)
    trials = report.trials
    seconds = trials.seconds[(trials.trial == "evaluation") & (trials.task == "digits")].sum()
    assert seconds > 0
    (table,) = timings(report)
    assert isinstance(table, Table)
    of_digits = table.frame[table.frame.task == "digits"].set_index("trial")
    assert of_digits.loc["evaluation", "sum"] == pytest.approx(seconds)
