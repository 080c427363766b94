"""Write reports as HTML files."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.errors import NotInstalledError
from loptbench.results.store import Store
from loptbench.storage.files import require_writable, write_atomically

if TYPE_CHECKING:
    from loptbench.comparison.stores import StoreComparison


def report(
    store: Store | Path | str,
    path: Path | str = "loptbench-report.html",
    claims: int | str | Path | None = None,
) -> Path:
    """Write the HTML report of the results in a store.

        report("loptbench-results", "report.html")

    Args:
        store: a store, or its folder.
        path: the file to write.
        claims: the claims whose verdicts are shown: edition 1 or 2, or a file of claims; edition 2
            if None. Verdicts that the store does not hold are drawn anew from its records.

    Returns:
        The absolute path of the file.

    Raises:
        StoreError: the folder is not a store.
        ClaimsError: the claims cannot be read, or one of them cannot be judged.
        NotInstalledError: the extra `report` is not installed.
        LoptbenchError: the file cannot be written.
    """
    store = store if isinstance(store, Store) else Store.open(Path(store))
    try:
        from loptbench.reports.page.store import render
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            f"the report needs {error.name!r}, not installed: pip install 'loptbench[report]'"
        ) from error
    return _write(render(store, claims), Path(path))


def require_report(path: Path) -> None:
    """Refuse a report that could not be written, before the work of hours.

    Args:
        path: the file to be written.

    Raises:
        NotInstalledError: the extra `report` is not installed.
        LoptbenchError: the file cannot be written.
    """
    for module in ("jinja2", "matplotlib", "seaborn"):
        if importlib.util.find_spec(module) is None:
            raise NotInstalledError(
                f"the report needs {module!r}, not installed: pip install 'loptbench[report]'"
            )
    require_writable(path)


def report_comparison(comparison: "StoreComparison", path: Path | str) -> Path:
    """Write the HTML page of two stores side by side; arguments and errors are those of `report`.

    Args:
        comparison: what `loptbench.compare` returned.
        path: the file to write.
    """
    try:
        from loptbench.reports.page.comparison import render
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            f"the page needs {error.name!r}, not installed: pip install 'loptbench[report]'"
        ) from error
    return _write(render(comparison), Path(path))


def _write(page: str, path: Path) -> Path:
    write_atomically(path, page.encode(errors="backslashreplace"))
    return path.resolve()
