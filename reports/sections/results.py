"""The records of a store, arranged as the report shows them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.errors import StoreError
from loptbench.protocol import Level
from loptbench.reports.sections.agreement import CHECK_COLUMNS, FAILED, NOT_RUN
from loptbench.reports.sections.forms import problem_of_plan, problem_of_record
from loptbench.results.plain import PlainRecord as Record
from loptbench.results.plain import plain_plan, plain_records
from loptbench.results.store import Store


@dataclasses.dataclass(frozen=True)
class CheckRow:
    """How one check of one implementation ended."""

    implementation: str
    level: int
    task: str
    optimizer: str
    dtype: str
    check: str
    status: str
    ratio: float | None = None
    message: str = ""


def frame_of_checks(rows: Sequence[CheckRow]) -> Any:
    """The checks as a data frame."""
    import pandas as pd

    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=CHECK_COLUMNS)
    return frame.assign(ratio=frame.ratio.astype(float))


KEY = ("trial", "implementation", "optimizer", "task", "dtype")


@dataclasses.dataclass(frozen=True)
class Results:
    """What a store holds.

    Attributes:
        records: the records of the last run's plan; all records if there is no plan.
        planned: the keys of the trials of the plan.
        missing: how many trials of the plan have no record.
        older: how many records belong to no trial of the plan.
        damaged: a sentence for each file that is not a record, or none that can be read.
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
        stored, damaged = store.records()
        found = plain_records(stored)
        understood = []
        for record in found:
            problem = problem_of_record(record)
            if problem:
                damaged.append(f"record {record.name}.json: {problem}")
            else:
                understood.append(record)
        try:
            plan = plain_plan(store.plan())
            problem = problem_of_plan(plan) if plan else ""
        except StoreError as error:
            plan, problem = {}, str(error)
        if problem:
            damaged.append(f"plan.json: {problem}; so whether anything is missing is not known")
        if problem or not plan:
            names = sorted({str(record.key["implementation"]) for record in understood})
            known: list[Mapping[str, str]]
            known = [{"name": n, "availability": "installed", "reason": ""} for n in names]
            return cls(understood, [record.key for record in understood], 0, 0, damaged, known)
        by_name = {record.name: record for record in understood}
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
        """The records that failed or diverged, the failed ones first."""
        return sorted(
            (record for record in self.records if record.status != "ok"),
            key=lambda record: record.status != "failed",
        )

    def names(self) -> list[str]:
        """The implementations, in order."""
        return [one["name"] for one in self.implementations]

    def absent(self) -> dict[str, tuple[str, str]]:
        """The implementations that could not be used: how, and why."""
        return {
            one["name"]: (one["availability"], one["reason"])
            for one in self.implementations
            if one["availability"] != "installed"
        }

    def dtypes(self) -> list[str]:
        """The dtypes of the conformance trials, float64 first."""
        return sorted(
            {key["dtype"] for key in self.planned if key["trial"] == "conformance"}, reverse=True
        )

    def checks(self) -> list[CheckRow]:
        """Every check of every conformance trial of the plan, done or not."""
        by_key = {_identity(record.key): record for record in self.records}
        rows = []
        for key in self.planned:
            if key["trial"] != "conformance":
                continue
            where = (key["task"], key["optimizer"], key["dtype"])
            record = by_key.get(_identity(key))
            if record is None or not record.result:
                status = NOT_RUN if record is None else FAILED
                said = "no record" if record is None else record.message
                rows += [
                    CheckRow(key["implementation"], level, *where, "all", status, None, said)
                    for level in Level
                ]
                continue
            for check in record.result["checks"]:
                ratio = check["ratio"]
                if ratio is None and check["status"] != "skipped" and check["comparisons"]:
                    ratio = float("inf")  # what was not finite is None in a record
                rows.append(
                    CheckRow(
                        key["implementation"],
                        check["level"],
                        *where,
                        check["check"],
                        check["status"],
                        ratio,
                        check["message"],
                    )
                )
        return rows

    def observed(self) -> dict[tuple[str, str, str], float]:
        """The largest error over bound by quantity, dtype and kind of device."""
        worst: dict[tuple[str, str, str], float] = {}
        for record in self.of_kind("conformance"):
            for check in record.result["checks"]:
                for compared in check["comparisons"]:
                    device = record.key["device"].partition(":")[0]
                    key = (compared["quantity"], record.key["dtype"], device)
                    worst[key] = max(worst.get(key, 0.0), or_infinite(compared["ratio"]))
        return worst


def _identity(key: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(key.get(name)) for name in (*KEY, "seed", "device"))


def or_infinite(value: float | None) -> float:
    """A number of a record; None there was not finite: something diverged, or is beyond a bound."""
    return float("inf") if value is None else float(value)
