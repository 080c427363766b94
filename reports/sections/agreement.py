"""The agreement matrix: implementations by levels by tasks, from a store or from a test session."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from loptbench.protocol import Level
from loptbench.reports.page.elements import Table, anchor
from loptbench.reports.page.numbers import MISSING, number_text
from loptbench.tasks import in_order

if TYPE_CHECKING:
    import pandas as pd

FAILED, PASSED, SKIPPED = "failed", "passed", "skipped"
NOT_RUN, NOT_OFFERED = "not run", "not offered"
PLACE = ["implementation", "level", "task"]
CHECK_COLUMNS = [*PLACE, "optimizer", "dtype", "check", "status", "ratio", "message"]
"""The columns of a frame of checks that this module reads."""


def level_text(level: int) -> str:
    """A level's number and its name.

    >>> level_text(1)
    '1 step'
    """
    return f"{level} {Level(level).label}" if level in set(Level) else str(level)


def tasks_in_order(names: "pd.Series[str]") -> list[str]:
    """Each task once, in the order of `loptbench.tasks`."""
    return in_order(names)


def agreement_cells(checks: "pd.DataFrame") -> "pd.DataFrame":
    """How the checks of each implementation, level and task ended: `text`, `status` and `note`.

    Args:
        checks: a row for each check, with the columns `CHECK_COLUMNS`.
    """
    import pandas as pd

    rows = [[*place, *_cell(group)] for place, group in checks.groupby(PLACE)]
    return pd.DataFrame(rows, columns=[*PLACE, "text", "status", "note"]).set_index(PLACE)


def _cell(checks: "pd.DataFrame") -> tuple[str, str, str]:
    """The worst of these checks, as text, status and note."""
    n = checks.status.value_counts()
    n_failed, n_missing, n_passed = (n.get(status, 0) for status in (FAILED, NOT_RUN, PASSED))
    ratio = checks.ratio[checks.status.isin([FAILED, PASSED])].max()
    known = not math.isnan(ratio)
    if n_failed:
        first = checks[checks.status == FAILED].iloc[0]
        note = f"{n_failed} of {len(checks)} checks fail, first {first.check}, {first['dtype']}"
        return number_text(ratio) if known else FAILED, FAILED, note
    if n_missing:
        return number_text(ratio) if known else NOT_RUN, NOT_RUN, f"{n_missing} not run"
    if not n_passed:
        return NOT_OFFERED, NOT_OFFERED, checks.message.iloc[0]
    return number_text(ratio, 2) if known else "ok", PASSED, f"{n_passed} checks"


def agreement_matrix(checks: "pd.DataFrame", absent: Mapping[str, tuple[str, str]]) -> Table:
    """A row for each implementation and level, a column for each task; the worst in each cell.

    Args:
        checks: a row for each check, with the columns `CHECK_COLUMNS`.
        absent: implementations that could not be used: "not installed" or "broken", and why.
    """
    import pandas as pd

    tasks = tasks_in_order(checks.task)
    present = sorted(set(checks.implementation) - set(absent))
    rows = pd.MultiIndex.from_product([present, [int(level) for level in Level]], names=PLACE[:2])
    cells = agreement_cells(checks)
    parts = {}
    for name, missing in (("text", MISSING), ("status", "empty"), ("note", "")):
        part = cells[name].unstack("task").reindex(index=rows, columns=tasks).fillna(missing)
        part = part.rename(index=level_text, level="level")
        for implementation, (status, _) in absent.items():
            part.loc[(implementation, "all"), :] = "" if name == "note" else status
        parts[name] = part.sort_index(level="implementation", sort_remaining=False).reset_index()
    frame = parts["text"]
    reasons = [absent[name][1] if name in absent else "" for name in frame.implementation]
    links = [f"#{anchor('implementation', name)}" for name in frame.implementation]
    return Table(
        "agreement-matrix",
        "Agreement with the reference: the largest error over its bound, over all checks of a "
        "level on a task, in every dtype. Below 1 the check passes. The reference's own rows are "
        "of checks that need nothing to compare with. A dash: the level has no checks on this "
        "task. Checks of an optimizer without a task run on the first task.",
        frame,
        2,
        status=parts["status"][tasks],
        note={**parts["note"][tasks], "level": reasons},
        link={"implementation": links},
    )
