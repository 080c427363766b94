"""One of two stores that are compared: its trials, by what they are, and its verdicts."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from loptbench.errors import StoreError
from loptbench.results.plain import PlainRecord as Record
from loptbench.results.plain import plain_plan, plain_records, plain_verdict
from loptbench.results.store import Store

NOT_RUN = "not run"


class Match(NamedTuple):
    """What a trial is, whatever code and versions ran it: trials of two stores match by this."""

    trial: str
    implementation: str
    optimizer: str
    task: str
    seed: str
    dtype: str
    device: str

    @property
    def words(self) -> str:
        """The trial in a few words."""
        return (
            f"{self.trial} of {self.optimizer} on {self.task} in {self.implementation}, "
            f"{self.dtype}, seed {self.seed}, {self.device}"
        )


class VerdictMatch(NamedTuple):
    """What a verdict is on."""

    claim: str
    task: str
    subject: str
    scope: str


class Check(NamedTuple):
    """How one check of a conformance trial ended; `ratio` is its largest error over its bound."""

    level: int
    status: str
    ratio: float
    message: str


@dataclasses.dataclass(frozen=True)
class Side:
    """What a store holds, as far as it can be compared.

    Attributes:
        name: its folder, as it was given.
        records: the records of the last run's plan, by what their trials are.
        planned: the trials of that plan, in order; those without a record were not run.
        absent: why implementations of the plan could not be used, by name.
        verdicts: by what they are on, in the store's order.
        left_out: a sentence for whatever is not compared.
    """

    name: str
    records: Mapping[Match, Record]
    planned: Sequence[Match]
    absent: Mapping[str, str]
    verdicts: Mapping[VerdictMatch, Mapping[str, Any]]
    left_out: Sequence[str]

    def checks(self) -> dict[tuple[Match, str], Check]:
        """The checks of all conformance trials, by trial and the check's name."""
        found = {}
        for match, record in self.records.items():
            for one in sequence(record.result.get("checks")):
                if isinstance(one, Mapping) and isinstance(one.get("level"), int):
                    # A ratio that is not a number in JSON was not finite: beyond any bound.
                    ratio = number(one.get("ratio"))
                    found[match, str(one.get("check"))] = Check(
                        one["level"],
                        str(one.get("status")),
                        math.inf if ratio is None else ratio,
                        str(one.get("message", "")),
                    )
        return found


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping; else an empty one: a record may lack what is looked for."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """The value if it is a list; else an empty one."""
    return value if isinstance(value, list | tuple) else []


def number(value: Any) -> float | None:
    """The value if it is a finite number; else None, as which records hold what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer that no float is as large as
        return None


def read(store: Store) -> Side:
    """What a store holds; what cannot be read or told apart is left out, and said to be."""
    stored, left_out = store.records()
    found = plain_records(stored)
    try:
        plan = plain_plan(store.plan())
    except StoreError as error:
        plan = {}
        left_out.append(str(error))
    wanted = [one for one in sequence(plan.get("trials")) if "record" in mapping(one)]
    if wanted:
        names = [str(one["record"]) for one in wanted]
        by_name = {record.name: record for record in found}
        chosen = [by_name[name] for name in names if name in by_name]
        if n := len(set(by_name) - set(names)):
            left_out.append(
                f"{n} records belong to no trial of the store's last run: they are of other "
                "versions, or of another selection"
            )
    else:
        chosen = found
    usable = [record for record in chosen if _usable(record, left_out)]
    by_match: dict[Match, list[Record]] = {}
    for record in usable:
        match = _match(record.key)
        if match is not None:
            by_match.setdefault(match, []).append(record)
    records = {}
    for match, same in by_match.items():
        if len(same) > 1:
            left_out.append(
                f"{len(same)} records are of {match.words}, and nothing says which is meant"
            )
        else:
            records[match] = same[0]
    planned = {match: None for one in wanted if (match := _match(one)) is not None}
    absent = {
        str(one.get("name")): f"{one.get('availability')}: {one.get('reason')}"
        for one in map(mapping, sequence(plan.get("implementations")))
        if one.get("availability") != "installed"
    }
    verdicts = dict(_verdicts(store, chosen, left_out))
    return Side(str(store.folder), records, list(planned or records), absent, verdicts, left_out)


def _usable(record: Record, left_out: list[str]) -> bool:
    """Whether a record says what it is of; if not, a sentence of it is added to `left_out`."""
    lacking = [name for name in Match._fields if name not in record.key]
    if lacking:
        left_out.append(f"record {record.name}: its key lacks {', '.join(lacking)}")
    return not lacking


def _match(key: Mapping[str, Any]) -> Match | None:
    if not all(name in key for name in Match._fields):
        return None
    return Match(*(str(key[name]) for name in Match._fields))


def _verdicts(
    store: Store, records: Sequence[Record], left_out: list[str]
) -> Iterator[tuple[VerdictMatch, Mapping[str, Any]]]:
    lacking = 0
    try:
        stored = [plain_verdict(verdict) for verdict in store.verdicts()]
        if stored and not store.verdicts_are_of(records):
            left_out.append(
                "the verdicts were drawn from other records than those that are compared; "
                "'loptbench run' draws them again"
            )
    except StoreError as error:
        stored = []
        left_out.append(str(error))
    for one in map(mapping, stored):
        if all(name in one for name in (*VerdictMatch._fields, "outcome")):
            yield VerdictMatch(*(str(one[name]) for name in VerdictMatch._fields)), one
        else:
            lacking += 1
    if lacking:
        left_out.append(f"{lacking} verdicts do not say what they are on, or what came out")
