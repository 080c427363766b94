"""Exports: the frames of a store as CSV and Parquet."""

from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from loptbench.cli.main import cli
from loptbench.errors import LoptbenchError, NotInstalledError
from loptbench.results import export as exporting
from loptbench.results.export import ExportFormat, export
from loptbench.results.frames import FRAMES
from loptbench.results.store import Store
from loptbench.tests.reports.made_records import evaluation, everything


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path / "store")
    for record in [*everything(), evaluation([1.0, None], implementation="torch")]:
        store.put(record)
    return store


def test_csv_holds_the_same_numbers(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tables"
    assert export(store, folder, ExportFormat.CSV) == []
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{name}.csv" for name in FRAMES} | {"columns.csv"}
    for name in FRAMES:
        table = store.frame(name)
        empty = {
            column: [""] for column in table.columns if FRAMES[name].columns[column].dtype != "str"
        }
        exported = pd.read_csv(
            folder / f"{name}.csv",
            dtype=table.dtypes.to_dict(),
            keep_default_na=False,
            na_values=empty,
        )
        pd.testing.assert_frame_equal(exported, table)


def test_parquet_holds_the_same_tables(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the export extra is not installed")
    export(store, tmp_path / "tables", ExportFormat.PARQUET)
    for name in FRAMES:
        exported = pd.read_parquet(BytesIO((tmp_path / "tables" / f"{name}.parquet").read_bytes()))
        pd.testing.assert_frame_equal(exported, store.frame(name))


def test_every_column_is_described(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "tables", ExportFormat.CSV)
    columns = pd.read_csv(tmp_path / "tables" / "columns.csv", keep_default_na=False)
    described = list(zip(columns["frame"], columns["column"], strict=True))
    assert described == [(name, column) for name in FRAMES for column in store.frame(name)]
    assert columns["description"].map(len).min() > 0
    (unit,) = columns.query("frame == 'schedules' and column == 'rate'")["unit"]
    assert unit == "update / gradient"


def test_the_command_prints_the_folder_and_what_is_left_out(store: Store, tmp_path: Path) -> None:
    (store.records_folder / "zz.json").write_text("{")
    folder = tmp_path / "tables"
    arguments = ["export", str(store.folder), "--output", str(folder)]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == f"{folder}\n"
    assert "left out: " in result.stderr
    assert "zz.json is damaged" in result.stderr
    assert len(pd.read_csv(folder / "trials.csv")) == 5


def test_without_pyarrow_the_message_names_the_extra(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError, match=r"pip install 'loptbench\[export\]'"):
        export(store, tmp_path / "tables", ExportFormat.PARQUET)
    assert not (tmp_path / "tables").exists()


def test_a_folder_that_cannot_be_made(store: Store) -> None:
    with pytest.raises(LoptbenchError, match=r"cannot make .*choose another folder"):
        export(store, store.folder / "loptbench-store.json" / "tables", ExportFormat.CSV)
