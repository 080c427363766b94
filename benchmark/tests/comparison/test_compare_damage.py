"""Two stores side by side, one of which is damaged or incomplete."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.cli.main import main
from loptbench.comparison.stores import compare
from loptbench.results.store import MARKER
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_records import (
    IN_A,
    IN_B,
    evaluation,
    everything,
    objective,
    page_of,
    put_plan,
    verdict,
)


def test_of_older_versions_the_plan_says_which_is_meant(make: Make) -> None:
    old, new = evaluation(IN_B, code="0" * 64), evaluation(IN_A)
    a = make("a", [old, new])
    put_plan(a, [new])
    comparison = compare(a, make("b", [new]))
    assert objective(comparison).identical
    assert "1 records belong to no trial of the store's last run" in page_of(comparison).text
    unplanned = make("c", [old, new], planned=False)
    comparison = compare(unplanned, make("d", [new]))
    assert comparison.objectives.empty
    assert "2 records are of evaluation of checkpoint" in page_of(comparison).text


def test_a_store_without_a_plan_is_compared_by_all_its_records(make: Make) -> None:
    assert compare(make("a", everything(), planned=False), make("b", everything())).is_same


def test_damaged_records_are_left_out_and_named(make: Make) -> None:
    b = make("b", everything(), verdict(), planned=False)
    (b.records_folder / "zz.json").write_text("{")
    path = b.records_folder / f"{evaluation().name}.json"
    path.write_text(path.read_text().replace('"learned":', '"lost":'))
    page = page_of(compare(make("a", everything(), verdict()), b))
    assert f"B: {b.records_folder / 'zz.json'} is damaged" in page.text
    assert f"{path} is damaged: result" in page.text
    assert "not everything could be compared" in page.text
    assert [row["only in"] for row in page.rows("trials-in-one")] == ["A"]


@pytest.mark.parametrize("content", ["{", "[]", '{"verdicts": 3}', '{"verdicts": [3]}'])
def test_without_verdicts_it_says_so(make: Make, content: str) -> None:
    b = make("b", everything())
    (b.folder / "verdicts.json").write_text(content)
    page = page_of(compare(make("a", everything(), verdict()), b))
    assert "No verdict is in both. There are none in B" in page.text


def test_empty_stores_say_so(make: Make) -> None:
    empty = make("a", [], planned=False)
    assert "Both stores are empty" in page_of(compare(empty, make("b", [], planned=False))).text
    assert "B is empty" in page_of(compare(make("c", everything()), empty)).text


def test_names_with_html_in_them_are_text(make: Make) -> None:
    name = "<script>alert(1)</script>"
    ours = [evaluation(), evaluation(implementation=name)]
    page = page_of(compare(make("a", ours, verdict(preset=name)), make("b", [evaluation()])))
    assert name in page.text
    assert name not in page.html
    assert page.tags.count("script") == 1


@pytest.mark.parametrize("kind", ["missing", "foreign", "newer"])
def test_what_is_no_store_is_one_line(
    make: Make,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "other"
    reason = "does not exist"
    if kind != "missing":
        folder.mkdir()
        reason = "is not a loptbench store"
    if kind == "newer":
        (folder / MARKER).write_text(json.dumps({"format_version": 99}))
        reason = "has store format version 99"
    output = tmp_path / "page.html"
    arguments = ["compare", str(make("a", []).folder), str(folder), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["loptbench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {folder} {reason}")
    assert message.count("\n") == 1
    assert not output.exists()
