"""Two stores side by side: what changed stands first, and only what is paired has an interval."""

import dataclasses
import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.cli import cli, main
from loptbench.comparing import StoreComparison, compare
from loptbench.comparing_numbers import Objective
from loptbench.records import MARKER, Record, Store, TrialStatus
from loptbench.reports.two_stores import render
from loptbench.statistics import Sample, over_problems

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


Make = Callable[..., Store]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a store of records and verdicts, with their plan unless told not to."""

    def made(
        name: str, records: Iterable[Record], *verdicts: dict[str, Any], planned: bool = True
    ) -> Store:
        store = Store.create(tmp_path / name)
        known = list(records)
        for one in known:
            store.put(one)
        if planned:
            plan(store, known)
        if verdicts:
            store.put_verdicts(verdicts, known)
        return store

    return made


def plan(store: Store, records: Iterable[Record], *absent: dict[str, str]) -> None:
    """Write a store's plan of these records."""
    trials = [{**one.key, "record": one.name} for one in records]
    here = {"name": "jax", "availability": "installed", "reason": ""}
    store.put_plan({"trials": trials, "implementations": [here, *absent]})


class Page(HTMLParser):
    """A page's identifiers, tags and text, and its tables, as rows of what cells show and note."""

    def __init__(self, found: StoreComparison) -> None:
        super().__init__()
        self.html = render(found)
        self.identifiers: list[str] = []
        self.tags: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._cell = False
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append(tag)
        if told.get("id"):
            self.identifiers.append(str(told["id"]))
        if told.get("class") == "tabular":
            self.tables[self.identifiers[-1]] = []
        if tag == "tr":
            self.tables[list(self.tables)[-1]].append([])
        if tag in ("td", "th"):
            self._cell = True
            self.tables[list(self.tables)[-1]][-1].append("")
        if tag == "small" and self._cell:
            self.handle_data("|")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell:
            self.tables[list(self.tables)[-1]][-1][-1] += data

    def rows(self, table: str) -> list[dict[str, str]]:
        """The rows of a table, by its headings."""
        head, *body = self.tables[table]
        return [dict(zip(head, row, strict=True)) for row in body]


def objective(found: StoreComparison) -> Objective:
    """The only comparison of meta-objectives."""
    (one,) = found.objectives
    return one


def everything() -> list[Record]:
    return [evaluation(), baselines(), conformance(), mechanisms()]


def test_identical_stores_say_that_nothing_differs(make: Make) -> None:
    found = compare(make("a", everything(), verdict()), make("b", everything(), verdict()))
    assert found.is_same
    assert found.headline() == ["nothing differs, in 4 trials and 1 verdicts"]
    page = Page(found)
    assert "Nothing differs, in 4 trials and 1 verdicts." in page.text
    shown = {"verdicts-changed", "trials-changed", "checks-changed", "only-in-one"}
    shown |= {"meta-objectives", "mechanisms-changed", "provenance-differs", "verdict-values"}
    assert not shown & set(page.identifiers)
    assert [row["mean"] for row in page.rows("meta-objectives-identical")] == ["2.5"] * 3


def test_a_store_beside_itself_is_the_same(make: Make) -> None:
    store = make("a", everything(), verdict())
    assert compare(store, store).is_same


@pytest.mark.parametrize(
    "other",
    [
        [evaluation(IN_B), baselines(), conformance(), mechanisms()],
        [evaluation(), baselines(), conformance("failed"), mechanisms()],
        [evaluation(), baselines(), conformance(), mechanisms(0.5)],
        [evaluation(), baselines(), conformance()],
        [evaluation(code="d" * 64), baselines(), conformance(), mechanisms()],
    ],
    ids=["objective", "check", "mechanism", "trial", "code"],
)
def test_whatever_differs_the_stores_are_not_the_same(make: Make, other: list[Record]) -> None:
    found = compare(make("a", everything(), verdict()), make("b", other, verdict()))
    assert not found.is_same
    assert "nothing differs" not in "".join(found.headline())


def test_a_time_that_was_measured_is_no_difference(make: Make) -> None:
    slower = dataclasses.replace(
        evaluation(), provenance=dict(evaluation().provenance) | {"seconds": 7.5}
    )
    assert compare(make("a", [evaluation()]), make("b", [slower])).is_same


def test_a_changed_verdict_stands_first(make: Make) -> None:
    one = {"scope": "checkpoint", "subject": CHECKPOINT}
    a = make("a", everything(), verdict(**one), verdict(), verdict(claim="clipping"))
    changed = {"value": 0.25, "low": 0.125, "high": 0.375}
    b = make(
        "b",
        [evaluation(IN_B), baselines(), conformance("failed"), mechanisms(0.5)],
        verdict("inconclusive", reason="1 of at least 5 seeds", **one),
        verdict("not reproduced", **changed),
        verdict(claim="clipping"),
    )
    page = Page(compare(a, b))
    order = ["verdicts-changed", "trials-changed", "meta-objectives", "mechanisms-changed"]
    assert [one for one in page.identifiers if one in order] == order
    first, second = page.rows("verdicts-changed")
    assert first["subject"] == "quick, meta-trained in jax|all seeds"
    assert second["outcome in B"] == "inconclusive|1 of at least 5 seeds"
    wanted = {
        "outcome in A": "reproduced",
        "outcome in B": "not reproduced",
        "value in A": "0.75",
        "95 % interval in A": "0.625 to 0.8125",
        "value in B": "0.25",
        "95 % interval in B": "0.125 to 0.375",
    }
    assert {name: first[name] for name in wanted} == wanted
    (value,) = page.rows("verdict-values")
    assert value["difference B − A"] == "-0.5"
    assert [row["claim"][:8] for row in page.rows("verdict-values-same")] == ["clipping"]


def test_the_ratio_is_paired_over_problems(make: Make) -> None:
    """By hand: the means are 10/4 and 13/4, so the ratio is 13/10."""
    one = objective(compare(make("a", [evaluation(IN_A)]), make("b", [evaluation(IN_B)])))
    assert (one.a.value, one.b.value) == (2.5, 3.25)
    assert one.ratio == pytest.approx(1.3)
    wanted = over_problems(Sample(np.array(IN_B), np.array(IN_A)))
    assert (one.low, one.high) == (wanted.low, wanted.high)
    assert one.why == ""


def test_pairing_narrows_the_interval_to_the_ratio_that_every_problem_has(make: Make) -> None:
    b = make("b", [evaluation([2 * x for x in IN_A])])
    one = objective(compare(make("a", [evaluation(IN_A)]), b))
    assert [one.low, one.high] == pytest.approx([2.0, 2.0])
    (row,) = Page(compare(make("c", [evaluation(IN_A)]), b)).rows("meta-objectives")
    wanted = {"mean in A": "2.5", "mean in B": "5", "ratio B / A": "2", "95 % interval": "2 to 2"}
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("other", "ratio", "why"),
    [
        (evaluation(IN_B, seed=1), 1.3, "seed 0 in A, 1 in B"),
        (evaluation(IN_B, problems={"name": "quadratic", "n_steps": 7}), None, "defined otherwise"),
        (evaluation([2.0, 3.0]), 1.0, "4 in A, 2 in B"),
        (evaluation([1.0, None, 3.0, 4.0]), None, "diverged: 0 of 4 runs in A, 1 of 4 runs in B"),
        (evaluation([]), None, "B has no meta-objectives"),
        (record("evaluation", CHECKPOINT, {"learned": "lost"}), None, "B has no meta-objectives"),
    ],
    ids=["seed", "definition", "number", "diverged", "none", "foreign"],
)
def test_what_is_not_paired_has_no_interval_and_says_why(
    make: Make, other: Record, ratio: float | None, why: str
) -> None:
    found = compare(make("a", [evaluation(IN_A)]), make("b", [other]))
    one = objective(found)
    assert (one.low, one.high) == (None, None)
    assert one.ratio == (None if ratio is None else pytest.approx(ratio))
    assert why in one.why
    (row,) = Page(found).rows("meta-objectives")
    assert row["95 % interval"] == f"–|no paired interval: {one.why}"


def test_diverged_runs_are_counted_and_their_mean_is_infinite(make: Make) -> None:
    b = make("b", [evaluation([None, None, 3.0, 4.0])])
    found = compare(make("a", [evaluation()]), b)
    assert objective(found).b.value == math.inf
    (row,) = Page(found).rows("meta-objectives")
    assert (row["diverged in A"], row["diverged in B"]) == ("0 of 4", "2 of 4")
    assert row["mean in B"] == "∞"


def test_one_problem_and_a_mean_of_zero_have_no_interval(make: Make) -> None:
    found = compare(make("a", [evaluation([1.0])]), make("b", [evaluation([2.0])]))
    assert (objective(found).ratio, objective(found).low) == (2.0, None)
    found = compare(make("c", [evaluation([0.0, 0.0])]), make("d", [evaluation([1.0, 1.0])]))
    assert (objective(found).ratio, objective(found).why) == (None, "the mean in A is 0")


def test_what_four_digits_cannot_show_is_not_marked(make: Make) -> None:
    found = compare(make("a", [evaluation()]), make("b", [evaluation([x + 1e-9 for x in IN_A])]))
    one = objective(found)
    assert not one.identical
    assert not one.differs
    assert 'class="n changed"' not in Page(found).html
    found = compare(make("c", [evaluation()]), make("d", [evaluation([x * 1.01 for x in IN_A])]))
    assert objective(found).differs
    assert 'class="n changed"' in Page(found).html


def test_baselines_are_compared_one_by_one(make: Make) -> None:
    found = compare(make("a", [baselines()]), make("b", [baselines(IN_B)]))
    told = {one.match.optimizer: one.ratio for one in found.objectives}
    wanted = {"tuned sgd": pytest.approx(1.3), "theoretical momentum": pytest.approx(1.3)}
    assert told == wanted


def test_other_weights_of_the_same_name_are_told(make: Make) -> None:
    found = compare(make("a", [evaluation()]), make("b", [evaluation(IN_B, weights="d" * 64)]))
    page = Page(found)
    (row,) = page.rows("meta-objectives")
    assert row["optimizer"].endswith("|other weights or hyperparameters of the same name")
    facts = {row["fact"]: row for row in page.rows("provenance-differs")}
    fact = facts[f"weights of {CHECKPOINT} on quadratic"]
    assert (fact["in A"], fact["in B"]) == ("bbbbbbbbbbbb…", "dddddddddddd…")


def test_a_check_that_fails_now_is_named_under_its_trial(make: Make) -> None:
    found = compare(make("a", [conformance()]), make("b", [conformance("failed", 17.0)]))
    page = Page(found)
    (trial,) = page.rows("trials-changed")
    assert (trial["in A"], trial["in B"]) == ("ok", "failed")
    (check,) = page.rows("checks-changed")
    assert (check["check"], check["in A"]) == ("linearize", "passed|A is off")
    assert check["in B"] == "failed|A is off"
    first, second = page.rows("agreement-in-both")
    assert (first["level"], first["in A"][:4]) == ("3 linearize", "0.25")
    assert first["in B"].startswith("17|")
    assert (second["level"], second["in A"]) == ("1 step", second["in B"])


def test_an_error_that_is_not_finite_is_beyond_any_bound(make: Make) -> None:
    found = compare(make("a", [conformance()]), make("b", [conformance("failed", None)]))
    assert Page(found).rows("agreement-in-both")[0]["in B"].startswith("∞")


def test_a_trial_that_raised_or_was_not_run_is_so_at_every_level(make: Make) -> None:
    one = conformance()
    raised = dataclasses.replace(one, status=TrialStatus.FAILED, message="raised: no", result={})
    page = Page(compare(make("a", [one]), make("b", [raised])))
    assert page.rows("trials-changed")[0]["in B"] == "failed|raised: no"
    assert {row["in B"].split("|")[0] for row in page.rows("agreement-in-both")} == {"failed"}
    store = make("c", [])
    plan(store, [one])
    page = Page(compare(make("d", [one]), store))
    assert page.rows("trials-changed")[0]["in B"].startswith("not run|")
    assert {row["in B"].split("|")[0] for row in page.rows("agreement-in-both")} == {"not run"}


def test_the_worst_in_b_stands_first(make: Make) -> None:
    ours = [evaluation(), conformance(), mechanisms()]
    endings = (TrialStatus.DIVERGED, TrialStatus.FAILED, TrialStatus.FAILED)
    theirs = [dataclasses.replace(r, status=s) for r, s in zip(ours, endings, strict=True)]
    rows = Page(compare(make("a", ours), make("b", theirs))).rows("trials-changed")
    assert [row["in B"] for row in rows] == ["failed", "failed", "diverged"]


def test_what_only_one_has(make: Make) -> None:
    other = "checkpoint quadratic-quick-jax-1"
    extra = record("evaluation", other, {"learned": {"objective": IN_A}}, task="digits")
    a = make("a", [evaluation(), evaluation(implementation="torch")], verdict())
    b = make("b", [evaluation(), extra], verdict(claim="clipping"))
    missing = {"name": "torch", "availability": "not installed", "reason": "needs 'torch'"}
    plan(b, [evaluation(), extra], missing)
    page = Page(compare(a, b))
    rows = {(row["kind"], row["name"]): row for row in page.rows("only-in-one")}
    torch = rows["implementation", "torch"]
    assert torch["in A"] == "there"
    assert torch["in B"] == "missing|in B not installed: needs 'torch'"
    (torch,) = (row for row in Page(compare(b, a)).rows("only-in-one") if row["name"] == "torch")
    assert torch["in A"] == "missing|in A not installed: needs 'torch'"
    assert rows["checkpoint", "quadratic-quick-jax-1"]["in B"] == "there"
    assert rows["task", "digits"]["in A"] == "missing"
    assert len(rows) == 3
    assert [row["only in"] for row in page.rows("trials-in-one")] == ["A", "B"]
    assert [row["only in"] for row in page.rows("verdicts-in-one")] == ["A", "B"]


def test_numbers_of_mechanisms_side_by_side(make: Make) -> None:
    absent = {"not_applicable": "no S-curve"}
    b = make("b", [mechanisms(0.5, adaptation=absent, schedule={"peak_step": 9})])
    found = compare(make("a", [mechanisms()]), b)
    page = Page(found)
    rows = {row["number"]: row for row in page.rows("mechanisms-changed")}
    index = rows["momentum index"]
    assert (index["in A"], index["in B"], index["difference B − A"]) == ("0.875", "0.5", "-0.375")
    assert rows["peak step"]["difference B − A"] == "6"
    elasticity = rows["elasticity, g < 0"]
    assert (elasticity["in A"], elasticity["in B"]) == ("-0.5", "–|not applicable: no S-curve")
    assert elasticity["difference B − A"] == "–"
    same = {row["number"]: row["in A"] for row in page.rows("mechanisms-same")}
    assert same["half-saturation at h*, g > 0"] == "0.75"
    assert same["asymptotic rate"] == "16"
    assert "reach" not in same.keys() | rows.keys()  # in neither


def test_facts_that_differ_and_facts_that_do_not(make: Make) -> None:
    ours = [evaluation(), conformance()]
    theirs = [evaluation(code="d" * 64, versions={"numpy": "2.5.0"}), conformance()]
    page = Page(compare(make("a", ours), make("b", theirs)))
    rows = {row["fact"]: (row["in A"], row["in B"]) for row in page.rows("provenance-differs")}
    assert rows == {
        "code": ("aaaaaaaaaaaa…", "aaaaaaaaaaaa…, dddddddddddd…"),
        "version of numpy": ("2.4.6", "2.4.6, 2.5.0"),
    }
    same = {row["fact"]: row["in A"] for row in page.rows("provenance-same")}
    assert same["cores"] == "2"
    assert "seconds" not in same


def test_of_older_versions_the_plan_says_which_is_meant(make: Make) -> None:
    old, new = evaluation(IN_B, code="0" * 64), evaluation(IN_A)
    a = make("a", [old, new])
    plan(a, [new])
    found = compare(a, make("b", [new]))
    assert objective(found).identical
    assert "1 records belong to no trial of the store's last run" in Page(found).text
    unplanned = make("c", [old, new], planned=False)
    found = compare(unplanned, make("d", [new]))
    assert not found.objectives
    assert "2 records are of evaluation of checkpoint" in Page(found).text


def test_a_store_without_a_plan_is_compared_by_all_its_records(make: Make) -> None:
    assert compare(make("a", everything(), planned=False), make("b", everything())).is_same


def test_damaged_and_foreign_records_are_left_out_and_named(make: Make) -> None:
    b = make("b", everything(), verdict(), {"claim": "momentum"}, planned=False)
    (b.records_folder / "zz.json").write_text("{")
    lacking = Record({"trial": "evaluation"}, TrialStatus.OK, "", {}, {})
    listed = Record(evaluation().key, TrialStatus.OK, "", [], {})  # type: ignore[arg-type]
    b.put(lacking)
    b.put(listed)
    page = Page(compare(make("a", everything(), verdict()), b))
    assert f"B: {b.records_folder / 'zz.json'} is damaged" in page.text
    assert f"record {lacking.name}: its key lacks implementation, optimizer" in page.text
    assert f"{listed.name}.json is not a record (its result is no object)" in page.text
    assert "1 verdicts do not say what they are on" in page.text
    assert "not everything could be compared" in page.text
    assert [row["only in"] for row in page.rows("trials-in-one")] == ["A"]


@pytest.mark.parametrize(
    "result",
    [
        {"checks": [{"level": "one"}, 3, {}]},
        {"baselines": {"sgd": None}, "learned": {"objective": ["x"]}},
        {"momentum": 3, "clipping": {"states": [None]}, "adaptation": {"elasticity": 1}},
    ],
)
@pytest.mark.parametrize("trial", ["conformance", "evaluation", "mechanisms"])
def test_results_of_another_shape_do_no_harm(make: Make, trial: str, result: Any) -> None:
    foreign = record(trial, CHECKPOINT, result)
    whole = {"conformance": conformance(), "evaluation": evaluation(), "mechanisms": mechanisms()}
    usual = dataclasses.replace(foreign, result=whole[trial].result)
    found = compare(make("a", [usual]), make("b", [foreign]))
    assert "1 trials differ somewhere in their results" in Page(found).text


@pytest.mark.parametrize("content", ["{", "[]", '{"verdicts": 3}', '{"verdicts": [3]}'])
def test_without_verdicts_it_says_so(make: Make, content: str) -> None:
    b = make("b", everything())
    (b.folder / "verdicts.json").write_text(content)
    page = Page(compare(make("a", everything(), verdict()), b))
    assert "No verdict is in both. There are none in B" in page.text


def test_empty_stores_say_so(make: Make) -> None:
    empty = make("a", [], planned=False)
    assert "Both stores are empty" in Page(compare(empty, make("b", [], planned=False))).text
    assert "B is empty" in Page(compare(make("c", everything()), empty)).text


def test_names_with_html_in_them_are_text(make: Make) -> None:
    name = "<script>alert(1)</script>"
    ours = [evaluation(), evaluation(implementation=name)]
    page = Page(compare(make("a", ours, verdict(subject=name)), make("b", [evaluation()])))
    assert name in page.text
    assert name not in page.html
    assert page.tags.count("script") == 1


def test_identifiers_are_unique_and_the_same_stores_are_the_same_bytes(make: Make) -> None:
    a = make("a", everything(), verdict(), verdict(claim="clipping"))
    other = [evaluation(IN_B), baselines(), conformance("failed"), mechanisms(0.5)]
    b = make("b", other, verdict("inconclusive", value=0.5), verdict(claim="optimizes"))
    page = Page(compare(a, b))
    assert len(set(page.identifiers)) == len(page.identifiers)
    assert page.html == render(compare(Store.open(a.folder), Store.open(b.folder)))
    assert set(re.findall(r'href="#([^"]+)"', page.html)) <= set(page.identifiers)


def test_the_command_prints_a_summary_and_last_the_page(make: Make, tmp_path: Path) -> None:
    a = make("a", everything(), verdict())
    b = make(
        "b",
        [evaluation(IN_B), baselines(), conformance("failed"), mechanisms()],
        verdict("inconclusive"),
    )
    output = tmp_path / "page.html"
    arguments = ["compare", str(a.folder), str(b.folder), "--output", str(output)]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[-1] == str(output)
    assert output.read_text() == render(compare(a, b))
    said = [
        f"A is {a.folder}: 4 trials, 1 verdicts",
        "1 of 1 verdicts changed",
        "  momentum, quadratic, quick, meta-trained in jax: reproduced -> inconclusive",
        "1 of 4 trials in both ended otherwise",
        "  linearize, conformance of adam on quadratic in jax, float64, seed 0, cpu: "
        "passed -> failed",
    ]
    for line in said:
        assert line in lines
    (ratio,) = [line for line in lines if "meta-objective of" in line]
    assert "B / A = 1.3 [" in ratio


def test_the_command_says_of_identical_stores_that_nothing_differs(
    make: Make, tmp_path: Path
) -> None:
    store = make("a", everything(), verdict())
    arguments = ["compare", *2 * [str(store.folder)], "--output", str(tmp_path / "page.html")]
    lines = CliRunner().invoke(cli, arguments, catch_exceptions=False).output.splitlines()
    assert lines[2:-1] == ["nothing differs, in 4 trials and 1 verdicts"]


@pytest.mark.parametrize("kind", ["missing", "foreign", "newer"])
def test_what_is_no_store_is_one_line(
    make: Make,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other"
    wanted = "does not exist"
    if kind != "missing":
        other.mkdir()
        wanted = "is not a loptbench store"
    if kind == "newer":
        (other / MARKER).write_text(json.dumps({"format_version": 99}))
        wanted = "has store format version 99"
    output = tmp_path / "page.html"
    arguments = ["compare", str(make("a", []).folder), str(other), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["loptbench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {other} {wanted}")
    assert told.count("\n") == 1
    assert not output.exists()
