"""What the report says of each implementation, and how its errors lie against their bounds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.agreement.tolerances import TABLE
from loptbench.protocol import Level
from loptbench.reports.page.cells import Cell, table_of_cells
from loptbench.reports.page.elements import Figure, Part, Prose, Section, Table, anchor
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles as looks
from loptbench.reports.plots.drawing import Canvas, numbers
from loptbench.reports.sections.agreement import FAILED, NOT_RUN, PASSED, SKIPPED
from loptbench.reports.sections.results import CheckRow, Results, or_infinite
from loptbench.results.plain import PlainRecord as Record

QUANTITIES = ("loss", "parameters", "gradient", "state", "update")
RUNS = ("teacher-forced", "free-running")


def implementation_sections(results: Results) -> list[Section]:
    """A section for each implementation, also for those that could not be used."""
    checks = results.checks()
    sections = []
    for one in results.implementations:
        name = one["name"]
        parts: list[Part]
        if one["availability"] != "installed":
            parts = [Prose(f"{name} is {one['availability']}: {one['reason']}")]
        else:
            parts = _installed(name, results, [row for row in checks if row.implementation == name])
        sections.append(Section(anchor("implementation", name), name, parts))
    return sections


def _installed(name: str, results: Results, checks: Sequence[CheckRow]) -> list[Part]:
    own = [record for record in results.records if record.key["implementation"] == name]
    versions: Mapping[str, str] = own[0].key.get("versions", {}) if own else {}
    said = ", ".join(f"{k} {v}" for k, v in versions.items()) or "no records, so no versions"
    dtypes = sorted({str(record.key["dtype"]) for record in own}, reverse=True)
    parts: list[Part] = [Prose(f"{len(own)} trials, {' and '.join(dtypes) or 'none'}; {said}.")]
    names = dict.fromkeys((row.level, row.check) for row in checks)
    lines: list[list[Any]] = []
    for level, check in sorted(names):
        rows = [row for row in checks if (row.level, row.check) == (level, check)]
        failed = [row for row in rows if row.status == FAILED]
        compared = [row for row in rows if row.ratio is not None]
        worst = max(compared, key=lambda row: row.ratio or 0.0, default=None)
        n = {status: sum(row.status == status for row in rows) for status in (SKIPPED, NOT_RUN)}
        n_passed = sum(row.status == PASSED for row in rows)
        status = FAILED if failed else "not run" if n[NOT_RUN] else ""
        lines.append(
            [
                f"{level} {Level(level).label}",
                check,
                n_passed,
                Cell(len(failed), status=status, note=failed[0].message if failed else ""),
                n[SKIPPED],
                n[NOT_RUN],
                worst.ratio if worst else None,
                f"{worst.optimizer}, {worst.task}, {worst.dtype}" if worst and worst.ratio else "",
            ]
        )
    if lines:
        parts.append(
            table_of_cells(
                anchor("checks", name),
                "Its checks, over all optimizers, tasks and dtypes; where its largest error over "
                "bound is.",
                [
                    "level",
                    "check",
                    "passed",
                    "failed",
                    "not applicable",
                    "not run",
                    "largest error / bound",
                    "where",
                ],
                lines,
                2,
            )
        )
    held = _conclusions(name, results.of_kind("mechanisms"))
    return [*parts, held] if held is not None else parts


def _conclusions(name: str, records: Sequence[Record]) -> Table | None:
    """How the mechanism numbers agree with the reference's."""
    lines: list[list[Any]] = []
    for record in records:
        if record.key["implementation"] == name and record.result.get("agreement"):
            ratios = [or_infinite(c["ratio"]) for c in record.result["agreement"]]
            top = record.result["agreement"][int(np.argmax(ratios))]
            status = "passed" if max(ratios) <= 1 else FAILED
            lines.append(
                [
                    record.key["optimizer"],
                    record.key["task"],
                    len(ratios),
                    Cell(max(ratios), status=status),
                    top["quantity"],
                ]
            )
    if not lines:
        return None
    return table_of_cells(
        anchor("conclusions", name),
        "The mechanisms as it measures them itself, beside the reference's measurements: not only "
        "trajectories must agree, but what is concluded from them.",
        ["optimizer", "task", "numbers compared", "largest error / bound", "which"],
        lines,
    )


def errors_figure(results: Results, optimizer: str, dtype: str, command: str) -> Figure | None:
    """Observed error against its bound, over the steps of a run."""
    found: dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]] = {}
    for record in results.of_kind("conformance"):
        if record.key["optimizer"] == optimizer and record.key["dtype"] == dtype:
            for check in record.result["checks"]:
                for compared in check["comparisons"]:
                    if "error_by_step" in compared and compared["quantity"] in QUANTITIES:
                        at = (check["check"], compared["quantity"], record.key["implementation"])
                        errors, bounds = (
                            np.array(compared[key], float)
                            for key in ("error_by_step", "bound_by_step")
                        )
                        found.setdefault(at, (errors, bounds))
    if not found:
        return None
    names = sorted({name for _, _, name in found})
    floor = float(np.finfo(dtype).eps) / 100
    canvases: list[Canvas] = []
    lines: list[list[Any]] = []
    for check in RUNS:
        for quantity in QUANTITIES:
            curves = {n: found[check, quantity, n] for n in names if (check, quantity, n) in found}
            if not curves:
                continue
            canvas = Canvas(f"{check}: {quantity}")
            for name, (errors, bounds) in curves.items():
                look = looks.implementation(name, results.names())
                canvas.line(np.arange(errors.size), errors.clip(min=floor), look, name)
                worst = float(np.max(errors / bounds))
                lines.append([check, quantity, name, float(errors.max()), worst])
            limits = np.min([bounds for _, bounds in curves.values()], axis=0)
            canvas.line(np.arange(limits.size), limits, looks.BOUND, "bound")
            canvas.labels("inner step", "scaled error")
            canvas.log("y")
            canvases.append(canvas)
    top = max(lines, key=lambda line: float(line[-1]))
    here = f"errors-{dtype}"
    table = table_of_cells(
        f"{here}-worst",
        "The largest errors, and over their bounds.",
        ["check", "quantity", "implementation", "largest error", "largest error / bound"],
        lines,
        3,
    )
    shown = [looks.implementation(name, results.names()) for name in names]
    return Figure(
        here,
        f"{optimizer.removeprefix('checkpoint ')}, {dtype}",
        f"Scaled error of each implementation against inner step, one panel for each check and "
        f"each of {', '.join(QUANTITIES)}, with a dashed line, the bound. The largest error is "
        f"{number_text(top[4])} of its bound: {top[1]}, {top[0]}, {top[2]}.",
        "Errors are relative to the size of the terms that were added up. Errors of exactly zero "
        f"are drawn at {floor:.0e}. Bounds of free-running grow with the growth of small errors "
        "that the reference itself measures. No figure of the paper shows this.",
        [canvas.panel(f"{here}-{i}") for i, canvas in enumerate(canvases)],
        looks.keys([*shown, looks.BOUND]),
        [table, *numbers(here, "Scaled error", canvases)],
        command,
    )


def tolerances_table(results: Results) -> Table:
    """Every bound, why it is what it is, and how near to it errors came."""
    observed, dtypes = results.observed(), results.dtypes()
    lines: list[list[Any]] = []
    for device, table in TABLE.items():
        for quantity, entry in table.items():
            worst: list[float | None] = []
            for dtype in dtypes:
                ratios = [
                    ratio
                    for (name, in_dtype, on), ratio in observed.items()
                    if (in_dtype, on) == (dtype, device) and _covers(quantity, name)
                ]
                worst.append(max(ratios, default=None))
            lines.append([quantity, device, entry.multiple, *worst, entry.scale, entry.derivation])
    return table_of_cells(
        "tolerances-table",
        "Bounds in machine epsilons, why, and the largest error observed, as a share of the bound; "
        "a dash where nothing was compared.",
        [
            "quantity",
            "device",
            "bound (epsilons)",
            *(f"observed / bound, {dtype}" for dtype in dtypes),
            "relative to",
            "derivation",
        ],
        lines,
    )


def _covers(quantity: str, name: str) -> bool:
    return name == quantity or name.startswith((f"{quantity} of ", f"{quantity}:"))
