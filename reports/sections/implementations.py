"""How each implementation agrees with the reference, and the bounds of its errors."""

from typing import TYPE_CHECKING

from loptbench.agreement.tolerances import TABLE
from loptbench.reports.page.elements import Folded, Part, Prose, Section, Table, anchor
from loptbench.reports.sections.agreement import FAILED, NOT_RUN, PASSED, SKIPPED, level_text
from loptbench.reports.sections.report import INSTALLED, Report, about

if TYPE_CHECKING:
    import pandas as pd

MECHANISMS = "mechanisms"
"""The name of the check that compares what probes measure."""


def implementation_sections(report: Report) -> list[Section]:
    """A section for each implementation, also for those that could not be used."""
    sections = []
    for state in report.implementations:
        name = state.name
        parts: list[Part]
        if state.availability == INSTALLED:
            parts = [_facts(report, name), *_agreement(report, name)]
        else:
            parts = [Prose(f"{name} is {state.availability}: {state.reason}")]
        sections.append(Section(anchor("implementation", name), name, parts))
    return sections


def _agreement(report: Report, name: str) -> list[Part]:
    """Its tables behind a click; where nothing failed, they are built when they are opened."""
    checks, conclusions = _checks(report, name), _conclusions(report, name)
    if any(FAILED in marks for table in checks + conclusions for marks in table.status.values()):
        return [Folded(f"How {name} agrees", [*checks, *conclusions])]
    return [
        *(table.as_data(f"The checks of {name}") for table in checks),
        *(table.as_data(f"The mechanisms as {name} measures them") for table in conclusions),
    ]


def _facts(report: Report, name: str) -> Prose:
    """How many trials it ran, in which dtypes, with which versions."""
    own = report.trials[(report.trials.implementation == name) & (report.trials.status != NOT_RUN)]
    facts = report.provenance
    facts = facts[facts.record.isin(own.record[:1]) & facts.fact.str.startswith("version of ")]
    versions = facts.fact.str.removeprefix("version of ") + " " + facts.value
    dtypes = sorted(set(own.dtype), reverse=True)
    words = ", ".join(versions) or "no records, so no versions"
    return Prose(f"{len(own)} trials, {' and '.join(dtypes) or 'none'}; {words}.")


def _checks(report: Report, name: str) -> list[Table]:
    """Its checks over all optimizers, tasks and dtypes, and where the largest error is."""
    import pandas as pd

    own = report.checks[report.checks.implementation == name]
    if own.empty:
        return []
    key = ["level", "check"]
    rows = pd.crosstab([own.level, own.check], own.status).reindex(
        columns=[PASSED, FAILED, SKIPPED, NOT_RUN], fill_value=0
    )
    compared = own[own.ratio.notna()]
    worst = compared.loc[compared.groupby(key).ratio.idxmax()]
    where = worst.optimizer + ", " + worst.task + ", " + worst.dtype
    worst = worst.assign(where=where.where(worst.ratio > 0, "")).set_index(key)
    rows = rows.join(worst[["ratio", "where"]]).fillna({"where": ""})
    failed = own[own.status == FAILED].drop_duplicates(key).set_index(key)
    notes = rows.join(failed.message).message.fillna("")
    status = (
        pd.Series("", rows.index).mask(rows[NOT_RUN] > 0, NOT_RUN).mask(rows[FAILED] > 0, FAILED)
    )
    frame = rows.reset_index()
    frame["level"] = frame.level.map(level_text)
    return [
        Table(
            anchor("checks", name),
            "Its checks, over all optimizers, tasks and dtypes, and where its largest error over "
            "its bound is.",
            frame,
            2,
            headings={SKIPPED: "not applicable", "ratio": "largest error / bound"},
            about=about("checks"),
            status={FAILED: status.tolist()},
            note={FAILED: notes.tolist()},
        )
    ]


def _conclusions(report: Report, name: str) -> list[Table]:
    """The agreement of its measured mechanisms with those of the reference."""
    compared = report.frame("comparisons")
    own = compared[(compared.implementation == name) & (compared.check == MECHANISMS)]
    if own.empty:
        return []
    worst = own.loc[own.groupby("record", sort=False).ratio.idxmax()]
    n_compared = worst.record.map(own.groupby("record").size())
    frame = worst.assign(n_compared=n_compared)
    status = [FAILED if ratio > 1 else PASSED for ratio in frame.ratio]
    return [
        Table(
            anchor("conclusions", name),
            "The mechanisms as it measures them itself, beside the reference's measurements: not "
            "only trajectories must agree, but also the conclusions from them.",
            frame[["optimizer", "role", "task", "n_compared", "ratio", "quantity"]],
            headings={
                "n_compared": "numbers compared",
                "ratio": "largest error / bound",
                "quantity": "which",
            },
            about=about("comparisons"),
            status={"ratio": status},
        )
    ]


def tolerances_table(report: Report) -> list[Table]:
    """Every bound, its derivation, and how near errors came to it."""
    import pandas as pd

    if not report.dtypes:
        return []
    compared = report.frame("comparisons")
    compared = compared[compared.check != MECHANISMS]
    compared = compared.assign(device=compared.device.str.partition(":")[0])
    rows = []
    for device, bounds in TABLE.items():
        for quantity, bound in bounds.items():
            own = compared[(compared.device == device) & _covers(quantity, compared.quantity)]
            worst = own.groupby("dtype").ratio.max().reindex(report.dtypes)
            rows.append([quantity, device, bound.multiple, *worst, bound.scale, bound.derivation])
    observed = [f"observed / bound, {dtype}" for dtype in report.dtypes]
    columns = ["quantity", "device", "bound (epsilons)", *observed, "relative to", "derivation"]
    return [
        Table(
            "tolerances-table",
            "Bounds in machine epsilons, their derivation, and the largest observed error as a "
            "share of the bound. A dash: nothing was compared.",
            pd.DataFrame(rows, columns=columns),
        )
    ]


def _covers(quantity: str, names: "pd.Series[str]") -> "pd.Series[bool]":
    """Whether the bound of a quantity holds for the quantities of these names."""
    return (names == quantity) | names.str.startswith((f"{quantity} of ", f"{quantity}:"))
