"""Two stores side by side: what changed stands first."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.cli.main import cli
from loptbench.comparison.stores import compare
from loptbench.reports.page.comparison import render
from loptbench.results.schema.keys import OptimizerId, Role
from loptbench.results.schema.plan import ImplementationState
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_records import (
    CHECKPOINT,
    IN_B,
    PROVENANCE,
    baselines,
    changed,
    conformance,
    evaluation,
    everything,
    mechanisms,
    page_of,
    put_plan,
    verdict,
)


def test_identical_stores_say_that_nothing_differs(make: Make) -> None:
    comparison = compare(make("a", everything(), verdict()), make("b", everything(), verdict()))
    assert comparison.is_same
    assert comparison.headline() == ["nothing differs, in 4 trials and 1 verdicts"]
    page = page_of(comparison)
    assert "Nothing differs, in 4 trials and 1 verdicts." in page.text
    shown = {"verdicts-changed", "trials-changed", "checks-changed", "only-in-one"}
    shown |= {"meta-objectives", "mechanisms-changed", "provenance-differs", "verdict-values"}
    assert not shown & set(page.identifiers)
    assert [row["mean"] for row in page.rows("meta-objectives-identical")] == ["2.5"] * 3


def test_a_store_beside_itself_is_the_same(make: Make) -> None:
    store = make("a", everything(), verdict())
    assert compare(store, store).is_same


@pytest.mark.parametrize(
    "records",
    [
        [evaluation(IN_B), baselines(), conformance(), mechanisms()],
        [evaluation(), baselines(), conformance("failed"), mechanisms()],
        [evaluation(), baselines(), conformance(), mechanisms(0.5)],
        [evaluation(), baselines(), conformance()],
        [evaluation(code="d" * 64), baselines(), conformance(), mechanisms()],
    ],
    ids=["objective", "check", "mechanism", "trial", "code"],
)
def test_whatever_differs_the_stores_are_not_the_same(make: Make, records: list[Record]) -> None:
    comparison = compare(make("a", everything(), verdict()), make("b", records, verdict()))
    assert not comparison.is_same
    assert "nothing differs" not in "".join(comparison.headline())


def test_a_time_that_was_measured_is_no_difference(make: Make) -> None:
    slower = changed(evaluation(), provenance=PROVENANCE.model_copy(update={"seconds": 7.5}))
    assert compare(make("a", [evaluation()]), make("b", [slower])).is_same


def test_a_changed_verdict_stands_first(make: Make) -> None:
    single = {"checkpoint": CHECKPOINT.name}
    a = make("a", everything(), verdict(**single), verdict(), verdict(claim="clipping"))
    numbers = {"value": 0.25, "low": 0.125, "high": 0.375}
    b = make(
        "b",
        [evaluation(IN_B), baselines(), conformance("failed"), mechanisms(0.5)],
        verdict("inconclusive", reason="1 of at least 5 seeds", **single),
        verdict("not reproduced", **numbers),
        verdict(claim="clipping"),
    )
    page = page_of(compare(a, b))
    order = ["verdicts-changed", "trials-changed", "meta-objectives", "mechanisms-changed"]
    assert [identifier for identifier in page.identifiers if identifier in order] == order
    first, second = page.rows("verdicts-changed")
    assert first["subject"] == "quick, meta-trained in jax|all seeds"
    assert second["outcome in B"] == "inconclusive|1 of at least 5 seeds"
    expected = {
        "outcome in A": "reproduced",
        "outcome in B": "not reproduced",
        "value in A": "0.75",
        "95 % interval in A": "0.625 to 0.8125",
        "value in B": "0.25",
        "95 % interval in B": "0.125 to 0.375",
    }
    assert {name: first[name] for name in expected} == expected
    (value,) = page.rows("verdict-values")
    assert value["difference B − A"] == "-0.5"
    assert [row["claim"][:8] for row in page.rows("verdict-values-same")] == ["clipping"]


def test_a_check_that_fails_now_is_named_under_its_trial(make: Make) -> None:
    comparison = compare(make("a", [conformance()]), make("b", [conformance("failed", 17.0)]))
    page = page_of(comparison)
    (trial,) = page.rows("trials-changed")
    assert (trial["in A"], trial["in B"]) == ("ok", "failed")
    (check,) = page.rows("checks-changed")
    assert (check["check"], check["in A"]) == ("linearize", "passed|A is off")
    assert check["in B"] == "failed|A is off"
    first, second = page.rows("agreement-in-both")
    assert (first["level"], first["in A"][:4]) == ("3 linearize", "0.25")
    assert first["in B"].startswith("17|")
    assert (second["level"], second["in A"]) == ("1 step", second["in B"])


def test_a_trial_that_raised_or_was_not_run_is_so_at_every_level(make: Make) -> None:
    passed = conformance()
    raised = changed(passed, status=TrialStatus.FAILED, message="raised: no", result=None)
    page = page_of(compare(make("a", [passed]), make("b", [raised])))
    assert page.rows("trials-changed")[0]["in B"] == "failed|raised: no"
    assert {row["in B"].split("|")[0] for row in page.rows("agreement-in-both")} == {"failed"}
    store = make("c", [])
    put_plan(store, [passed])
    page = page_of(compare(make("d", [passed]), store))
    assert page.rows("trials-changed")[0]["in B"].startswith("not run|")
    assert {row["in B"].split("|")[0] for row in page.rows("agreement-in-both")} == {"not run"}


def test_the_worst_in_b_stands_first(make: Make) -> None:
    ours = [evaluation(), conformance(), mechanisms()]
    endings = (TrialStatus.DIVERGED, TrialStatus.FAILED, TrialStatus.FAILED)
    theirs = [changed(r, status=s) for r, s in zip(ours, endings, strict=True)]
    rows = page_of(compare(make("a", ours), make("b", theirs))).rows("trials-changed")
    assert [row["in B"] for row in rows] == ["failed", "failed", "diverged"]


def test_what_only_one_has(make: Make) -> None:
    checkpoint = OptimizerId(role=Role.CHECKPOINT, name="quadratic-quick-jax-1")
    extra = evaluation(optimizer=checkpoint, task="digits")
    a = make("a", [evaluation(), evaluation(implementation="torch")], verdict())
    b = make("b", [evaluation(), extra], verdict(claim="clipping"))
    missing = ImplementationState(
        name="torch", availability="not installed", reason="needs 'torch'"
    )
    put_plan(b, [evaluation(), extra], missing)
    page = page_of(compare(a, b))
    rows = {(row["kind"], row["name"]): row for row in page.rows("only-in-one")}
    torch = rows["implementation", "torch"]
    assert torch["in A"] == "there"
    assert torch["in B"] == "missing|in B not installed: needs 'torch'"
    (torch,) = (row for row in page_of(compare(b, a)).rows("only-in-one") if row["name"] == "torch")
    assert torch["in A"] == "missing|in A not installed: needs 'torch'"
    assert rows["checkpoint", "quadratic-quick-jax-1"]["in B"] == "there"
    assert rows["task", "digits"]["in A"] == "missing"
    assert len(rows) == 3
    assert [row["only in"] for row in page.rows("trials-in-one")] == ["A", "B"]
    assert [row["only in"] for row in page.rows("verdicts-in-one")] == ["A", "B"]


def test_facts_that_differ_and_facts_that_do_not(make: Make) -> None:
    ours = [evaluation(), conformance()]
    theirs = [evaluation(code="d" * 64, versions={"numpy": "2.5.0"}), conformance()]
    page = page_of(compare(make("a", ours), make("b", theirs)))
    rows = {row["fact"]: (row["in A"], row["in B"]) for row in page.rows("provenance-differs")}
    assert rows == {
        "code": ("aaaaaaaaaaaa…", "aaaaaaaaaaaa…, dddddddddddd…"),
        "version of numpy": ("2.4.6", "2.4.6, 2.5.0"),
    }
    unchanged = {row["fact"]: row["in A"] for row in page.rows("provenance-same")}
    assert unchanged["cores"] == "2"
    assert "seconds" not in unchanged


def test_identifiers_are_unique_and_the_same_stores_are_the_same_bytes(make: Make) -> None:
    a = make("a", everything(), verdict(), verdict(claim="clipping"))
    records = [evaluation(IN_B), baselines(), conformance("failed"), mechanisms(0.5)]
    b = make("b", records, verdict("inconclusive", value=0.5), verdict(claim="optimizes"))
    page = page_of(compare(a, b))
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
    expected = [
        f"A is {a.folder}: 4 trials, 1 verdicts",
        "1 of 1 verdicts changed",
        "  momentum, quadratic, quick, meta-trained in jax: reproduced -> inconclusive",
        "1 of 4 trials in both ended otherwise",
        "  linearize, conformance of adam on quadratic in jax, float64, seed 0, cpu: "
        "passed -> failed",
    ]
    for line in expected:
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
