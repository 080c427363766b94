"""Records as plain dictionaries, for code that does not use the typed results yet."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.plan import Plan
from loptbench.results.schema.records import Record, TrialStatus
from loptbench.results.schema.verdicts import Verdict


@dataclasses.dataclass(frozen=True)
class PlainRecord:
    """A record whose parts are dictionaries; `result` is empty if there is none."""

    key: Mapping[str, Any]
    status: TrialStatus
    message: str
    result: Mapping[str, Any]
    provenance: Mapping[str, Any]
    name: str


def plain_key(key: TrialKey) -> dict[str, Any]:
    """A key with the optimizer's role as part of its name."""
    return key.model_dump(mode="json") | {"optimizer": str(key.optimizer)}


def plain(record: "Record | PlainRecord") -> PlainRecord:
    """A record as dictionaries."""
    if isinstance(record, PlainRecord):
        return record
    result = {} if record.result is None else record.result.model_dump(mode="json")
    return PlainRecord(
        plain_key(record.key),
        record.status,
        record.message,
        result,
        record.provenance.model_dump(mode="json"),
        record.name,
    )


def plain_records(records: Iterable["Record | PlainRecord"]) -> list[PlainRecord]:
    """Records as dictionaries."""
    return [plain(record) for record in records]


def plain_plan(plan: Plan | None) -> dict[str, Any]:
    """A plan as a dictionary; empty if there is none."""
    if plan is None:
        return {}
    trials = [{**plain_key(key), "record": key.name} for key in plan.trials]
    return plan.model_dump(mode="json") | {"trials": trials}


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a dictionary, with its subject in words."""
    return verdict.model_dump(mode="json") | {"subject": verdict.subject}
