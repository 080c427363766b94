"""Export: the frames of a store as files, with a description of their columns."""

import enum
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from loptbench.errors import NotInstalledError, StoreError
from loptbench.results.frames import FRAMES, Contents, frame_of
from loptbench.results.store import Store
from loptbench.storage.files import write_atomically


class ExportFormat(enum.StrEnum):
    """The formats of exported frames."""

    CSV = "csv"
    PARQUET = "parquet"


def export(store: Store, folder: Path, file_format: ExportFormat) -> list[str]:
    """Write each frame of a store to a file, and `columns.csv`, which describes their columns.

    In CSV, a missing value is an empty field, and infinity is `inf`. Files of an earlier export are
    replaced.

    Args:
        store: the store.
        folder: where the files go; it is made if it does not exist.
        file_format: the format of the frames.

    Returns: a sentence for each file of the store that cannot be read, and is left out.

    Raises:
        NotInstalledError: Parquet needs pyarrow.
        StoreError: the folder cannot be made.
        LoptbenchError: a file cannot be written.
    """
    if file_format is ExportFormat.PARQUET and find_spec("pyarrow") is None:
        raise NotInstalledError(
            "Parquet files need 'pyarrow', not installed: pip install 'loptbench[export]', or "
            "export as CSV with --format csv"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make {folder}: {error.strerror}; choose another folder"
        ) from error
    contents = Contents.of(store)
    for name in FRAMES:
        table = frame_of(contents, name)
        if file_format is ExportFormat.PARQUET:
            buffer = BytesIO()
            table.to_parquet(buffer, index=False)
            content = buffer.getvalue()
        else:
            content = table.to_csv(index=False).encode(errors="backslashreplace")
        write_atomically(folder / f"{name}.{file_format}", content)
    write_atomically(folder / "columns.csv", _columns().encode())
    return list(contents.problems)


def _columns() -> str:
    """The columns of all frames as CSV: frame, column, dtype, unit, description."""
    import pandas as pd

    rows = [
        (name, column, about.dtype, about.unit, about.description)
        for name, frame in FRAMES.items()
        for column, about in frame.columns.items()
    ]
    header = ["frame", "column", "dtype", "unit", "description"]
    return str(pd.DataFrame(rows, columns=header).to_csv(index=False))
