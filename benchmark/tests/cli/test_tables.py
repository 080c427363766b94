"""Tables in the terminal."""

import pandas as pd
import pytest

from loptbench.cli.tables import print_table

pytestmark = pytest.mark.harness


def test_a_table_has_its_headings_and_one_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"name": ["a [b]", "c"], "time (s)": [1.23456, float("nan")], "n": [3, 4]})
    print_table(frame, {"time (s)": ".2f"})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["name", "time", "(s)", "n"]
    assert lines[2:] == [["a", "[b]", "1.23", "3"], ["c", "–", "4"]]


def test_a_wide_table_is_not_broken_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(pd.DataFrame({f"column {i}": [f"{i:09}"] for i in range(12)}))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "000000011" in line]
    assert "000000000" in row
