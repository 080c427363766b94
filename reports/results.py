"""The records of a store, arranged as the report shows them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from loptbench.protocol import Level
from loptbench.records import Record, Store

NOT_RUN, NOT_INSTALLED, BROKEN = "not run", "not installed", "broken"
FAILED, DIVERGED, PASSED, NOT_OFFERED = "failed", "diverged", "passed", "not offered"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of the agreement matrix.

    Attributes:
        status: how the checks of a level ended.
        ratio: the largest error over its bound, or None where nothing was compared.
        words: what stands under the status.
    """

    status: str
    ratio: float | None = None
    words: str = ""


@dataclasses.dataclass(frozen=True)
class Results:
    """What a store holds.

    Attributes:
        records: the records of the last run's plan; all records if there is no plan.
        planned: the keys of the trials of the plan.
        missing: how many trials of the plan have no record.
        older: how many records belong to no trial of the plan.
        damaged: a sentence for each file that is not a record.
        implementations: name, availability and reason of each implementation of the plan.
    """

    records: list[Record]
    planned: list[Mapping[str, Any]]
    missing: int
    older: int
    damaged: list[str]
    implementations: list[Mapping[str, str]]

    @classmethod
    def of(cls, store: Store) -> "Results":
        """Read a store."""
        found, damaged = store.records()
        plan = store.plan()
        if not plan:
            names = sorted({str(record.key.get("implementation")) for record in found})
            known: list[Mapping[str, str]]
            known = [{"name": n, "availability": "installed", "reason": ""} for n in names]
            return cls(found, [record.key for record in found], 0, 0, damaged, known)
        by_name = {record.name: record for record in found}
        wanted = [trial["record"] for trial in plan["trials"]]
        records = [by_name[name] for name in wanted if name in by_name]
        return cls(
            records,
            plan["trials"],
            len(wanted) - len(records),
            len(by_name) - len(records),
            damaged,
            plan["implementations"],
        )

    def of_kind(self, trial: str) -> list[Record]:
        """The records of one kind of trial that have a result."""
        return [r for r in self.records if r.key["trial"] == trial and r.result]

    @property
    def failures(self) -> list[Record]:
        """The records that failed or diverged."""
        return [record for record in self.records if record.status != "ok"]

    def names(self) -> list[str]:
        """The implementations, in order."""
        return [one["name"] for one in self.implementations]

    def dtypes(self) -> list[str]:
        """The dtypes of the conformance trials, float64 first."""
        return sorted(
            {key["dtype"] for key in self.planned if key["trial"] == "conformance"}, reverse=True
        )

    def cell(self, implementation: Mapping[str, str], level: Level, dtype: str) -> Cell:
        """The verdict of all checks of one level of one implementation in one dtype."""
        if implementation["availability"] != "installed":
            return Cell(implementation["availability"], words=implementation["reason"])
        name = implementation["name"]

        def is_here(key: Mapping[str, Any]) -> bool:
            return (key["trial"], key["implementation"], key["dtype"]) == (
                "conformance",
                name,
                dtype,
            )

        planned = sum(is_here(key) for key in self.planned)
        if not planned:
            return Cell(NOT_OFFERED, words=f"does not compute in {dtype}")
        records = [record for record in self.records if is_here(record.key)]
        checks = [
            check
            for record in records
            for check in record.result.get("checks", [])
            if check["level"] == level
        ]
        failed = [check for check in checks if check["status"] == "failed"]
        passed = [check for check in checks if check["status"] == "passed"]
        ratio = max((or_infinite(c["ratio"]) for c in [*passed, *failed]), default=None)
        if failed:
            words = f"{len(failed)} of {len(checks)} checks: {failed[0]['check']}"
            return Cell(FAILED, ratio, words)
        broke = [r for r in records if r.status == "failed" and not r.result]
        if broke:
            return Cell(FAILED, None, broke[0].message)
        if len(records) < planned:
            return Cell(NOT_RUN, ratio, f"{len(records)} of {planned} trials are there")
        if not checks:
            return Cell(NOT_RUN, words="none of its checks is on the tasks of this run")
        if not passed:
            return Cell(NOT_OFFERED, words=checks[0]["message"])
        skipped = len(checks) - len(passed)
        words = f"{len(passed)} checks" + (f", {skipped} not applicable" if skipped else "")
        return Cell(PASSED, ratio, words)

    def observed(self) -> dict[tuple[str, str], float]:
        """The largest error over bound by quantity and dtype, for the table of tolerances."""
        worst: dict[tuple[str, str], float] = {}
        for record in self.of_kind("conformance"):
            for check in record.result["checks"]:
                for compared in check["comparisons"]:
                    key = (compared["quantity"], record.key["dtype"])
                    worst[key] = max(worst.get(key, 0.0), or_infinite(compared["ratio"]))
        return worst


def spelled(value: Any) -> str:
    """A value as it stands in the report; a number that was not finite is a dash."""
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, float) and value == float("inf"):
        return "∞"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def or_infinite(value: float | None) -> float:
    """A number of a record; None there was not finite: something diverged, or is beyond a bound."""
    return float("inf") if value is None else float(value)
