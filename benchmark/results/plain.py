"""Records as plain dictionaries, for code that does not use the typed results yet."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.plan import Plan
from loptbench.results.schema.records import Record, TrialStatus
from loptbench.results.schema.verdicts import Scope, Verdict


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
    """A verdict with its subject in words."""
    values = verdict.model_dump(mode="json")
    checkpoint, preset = values.pop("checkpoint"), values.pop("preset")
    implementations = values.pop("implementations")
    subject = f"checkpoint {checkpoint}"
    if verdict.scope is not Scope.CHECKPOINT:
        subject = f"{preset}, meta-trained in {' or '.join(implementations)}"
    return values | {"subject": subject}


def typed_verdict(values: Mapping[str, Any]) -> Verdict:
    """The opposite of `plain_verdict`."""
    others = {name: value for name, value in values.items() if name != "subject"}
    subject = str(values["subject"])
    if values["scope"] == Scope.CHECKPOINT:
        return Verdict(**others, checkpoint=subject.removeprefix("checkpoint "))
    preset, _, implementations = subject.rpartition(", meta-trained in ")
    return Verdict(**others, preset=preset, implementations=tuple(implementations.split(" or ")))
