"""The path of a report, in `run` and `report`."""

from pathlib import Path

import pytest

from loptbench.results.store import Store
from loptbench.tests.fixture_types import Command
from loptbench.tests.reports.made_records import everything, put_plan

pytest.importorskip("matplotlib", reason="the report extra is not installed")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere/report.html", "cannot write nowhere/report.html: No such file or directory"),
        ("file/report.html", "cannot write file/report.html: Not a directory"),
        (".", "cannot write .: it is there and not a file"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    path: str, message: str, command: Command
) -> None:
    Path("file").touch()
    code, _, err = command("run", "--report", path)
    assert code == 2
    assert message in err
    assert not Path("loptbench-results").exists()


def test_a_folder_may_have_a_space_and_an_accent(command: Command) -> None:
    folder = Path("été à la mer")
    folder.mkdir()
    store = Store.create(folder / "ma boîte")
    for record in everything():
        store.put(record)
    put_plan(store, everything())
    code, out, err = command("report", str(store.folder), "--output", f"{folder}/a b.html")
    assert code == 0, err
    assert out.splitlines()[-1] == str((folder / "a b.html").resolve())
    assert "ma boîte" in (folder / "a b.html").read_text("utf-8")
