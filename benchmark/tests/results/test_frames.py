"""Every frame has the columns that it documents, and the dtypes."""

from pathlib import Path

import pandas as pd
import pytest

from loptbench.errors import StoreError
from loptbench.results.frames import FRAMES, frame
from loptbench.results.store import Store

pytestmark = pytest.mark.harness


def has_documented_columns(table: pd.DataFrame, name: str) -> bool:
    # Text is `str`, which is `object` before pandas 3.
    dtypes = {
        column: str(pd.Series(dtype=dtype).dtype)
        for column, (_, _, dtype) in FRAMES[name].columns.items()
    }
    dtypes_match = {column: str(dtype) for column, dtype in table.dtypes.items()} == dtypes
    return (
        dtypes_match
        and list(table.columns) == list(dtypes)
        and isinstance(table.index, pd.RangeIndex)
    )


@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_an_empty_store_have_their_columns(name: str, tmp_path: Path) -> None:
    table = frame(Store.create(tmp_path / "store"), name)
    assert table.empty
    assert has_documented_columns(table, name)


@pytest.mark.parametrize("name", FRAMES)
def test_every_column_says_what_it_holds(name: str) -> None:
    assert FRAMES[name].description
    assert all(column.description for column in FRAMES[name].columns.values())


def test_an_unknown_frame_is_refused_with_a_list_of_all(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    with pytest.raises(StoreError, match="no frame 'losses'; the frames are trials, evaluations"):
        frame(store, "losses")


@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_a_full_store_have_their_columns_and_rows(name: str, full_store: Path) -> None:
    table = frame(Store.open(full_store), name)
    assert table.empty == (name == "means")  # there is no other implementation
    assert has_documented_columns(table, name)
