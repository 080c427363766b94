"""The agreement matrix: implementations by levels by tasks, from records or from a test session."""

import dataclasses
from collections.abc import Mapping, Sequence

from loptbench.protocol import Level
from loptbench.reports.page.elements import Cell, Table, anchor, spelled
from loptbench.tasks import TASKS

FAILED, PASSED, SKIPPED = "failed", "passed", "skipped"
NOT_RUN, NOT_OFFERED = "not run", "not offered"
WORST_FIRST = (FAILED, NOT_RUN, PASSED, SKIPPED)


@dataclasses.dataclass(frozen=True)
class CheckRow:
    """How one check of one implementation ended.

    Attributes:
        implementation: its name.
        level: the level of the protocol.
        task: the task.
        optimizer: the optimizer's label.
        dtype: what it was computed in.
        check: the check's name.
        status: "passed", "failed" or "skipped"; "not run" if it was meant to be, and is not there.
        ratio: the largest error over its bound; None where nothing was compared.
        message: why it failed or was skipped.
    """

    implementation: str
    level: int
    task: str
    optimizer: str
    dtype: str
    check: str
    status: str
    ratio: float | None = None
    message: str = ""


def agreement_matrix(rows: Sequence[CheckRow], absent: Mapping[str, tuple[str, str]]) -> Table:
    """A row for each implementation and level, a column for each task; the worst in each cell.

    Args:
        rows: the checks.
        absent: implementations that could not be used: "not installed" or "broken", and why.
    """
    tasks = [task for task in TASKS if any(row.task == task for row in rows)]
    tasks += sorted({row.task for row in rows} - set(tasks))
    names = sorted({row.implementation for row in rows} | set(absent))
    lines: list[list[Cell | str]] = []
    for name in names:
        if name in absent:
            status, reason = absent[name]
            cells = [Cell(status, status=status) for _ in tasks]
            lines.append([name, Cell("all", note=reason), *cells])
            continue
        for level in Level:
            of_level = [r for r in rows if r.implementation == name and r.level == level]
            line: list[Cell | str] = [
                Cell(name, href=f"#{anchor('implementation', name)}"),
                f"{level.value} {level.label}",
            ]
            line += [agreement_cell([r for r in of_level if r.task == task]) for task in tasks]
            lines.append(line)
    return Table(
        "agreement-matrix",
        "Agreement with the reference: the largest error over its bound, of all checks of a level "
        "on a task, in every dtype; below 1 all is well. The reference's own rows are of the "
        "checks that need nothing to compare with. A dash: the level has no checks on the task; "
        "those of an optimizer by itself are made on the first task.",
        ["implementation", "level", *tasks],
        lines,
        2,
    )


def agreement_cell(rows: Sequence[CheckRow]) -> Cell:
    """How these checks ended, as one cell: the worst of them."""
    if not rows:
        return Cell("", text="–", status="empty")
    by_status = {status: [r for r in rows if r.status == status] for status in WORST_FIRST}
    failed, missing, passed = by_status[FAILED], by_status[NOT_RUN], by_status[PASSED]
    compared = [r for r in (*failed, *passed) if r.ratio is not None]
    ratio = max((r.ratio for r in compared if r.ratio is not None), default=None)
    if failed:
        first = failed[0]
        note = f"{len(failed)} of {len(rows)} checks fail, first {first.check}, {first.dtype}"
        return Cell(ratio, status=FAILED, note=note, text=spelled(ratio) if ratio else "failed")
    if missing:
        note = f"{len(missing)} not run"
        return Cell(ratio, status=NOT_RUN, note=note, text=spelled(ratio) if ratio else "not run")
    if not passed:
        return Cell("not offered", status=NOT_OFFERED, note=rows[0].message)
    said = f"{len(passed)} checks"
    return Cell(ratio, text=f"{ratio:.2g}" if ratio is not None else "ok", status=PASSED, note=said)
