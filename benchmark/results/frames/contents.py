"""What a store holds, read once for all frames."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loptbench.errors import StoreError
from loptbench.results.plain import PlainRecord as Record
from loptbench.results.plain import plain_plan, plain_records
from loptbench.results.store import Store


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a store holds.

    Attributes:
        records: the records of the last run's plan; all records where there is no plan.
        planned: the trials of that plan: their keys, with the names of their records.
        others: records of no trial of the plan, such as those of an earlier version.
        verdicts: the verdicts of the last run.
        problems: a sentence for each file that cannot be read.
    """

    records: Sequence[Record]
    planned: Sequence[Mapping[str, Any]] = ()
    others: Sequence[Record] = ()
    verdicts: Sequence[Mapping[str, Any]] = ()
    problems: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", plain_records(self.records))
        object.__setattr__(self, "others", plain_records(self.others))

    @classmethod
    def of(cls, store: Store) -> "Contents":
        """Read a store. A file that cannot be read is left out, with a sentence in `problems`."""
        records, problems = store.records()
        planned: Sequence[Mapping[str, Any]] = ()
        verdicts: Sequence[Mapping[str, Any]] = ()
        try:
            planned = plain_plan(store.plan()).get("trials", ())
        except StoreError as error:
            problems.append(str(error))
        try:
            verdicts = [v.model_dump(mode="json") for v in store.verdicts()]
        except StoreError as error:
            problems.append(str(error))
        if not planned:
            return cls(records, (), (), verdicts, problems)
        by_name = {record.name: record for record in records}
        names = dict.fromkeys(trial["record"] for trial in planned)
        return cls(
            [by_name[name] for name in names if name in by_name],
            planned,
            [record for name, record in by_name.items() if name not in names],
            verdicts,
            problems,
        )

    def of_kind(self, trial: str) -> Iterator[Record]:
        """The records of one kind of trial that have a result."""
        return (r for r in self.records if r.key["trial"] == trial and r.result)

    @functools.cached_property
    def meta_training(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """How each learned optimizer was meta-trained, by task and name."""
        return {
            (record.key["task"], optimizer(record.key)[1]): record.result["meta_training"]
            for record in self.of_kind("evaluation")
            if record.result.get("meta_training")
        }

    def training_columns(self, task: str, role: str, name: str) -> dict[str, Any]:
        """The columns `TRAINING` of an optimizer."""
        about = self.meta_training.get((task, name)) if role == "checkpoint" else None
        if about is None:
            return {"preset": "", "trained_by": "", "meta_seed": None}
        configuration = about.get("configuration", {})
        return {
            "preset": configuration.get("preset") or "own settings",
            "trained_by": about.get("implementation", ""),
            "meta_seed": configuration.get("seed"),
        }


def optimizer(key: Mapping[str, Any]) -> tuple[str, str]:
    """The role and the name of a trial's optimizer."""
    about = key["optimizer"]
    if isinstance(about, Mapping):
        return about["role"], about["name"]
    for role in ("checkpoint", "tuned"):
        if about.startswith(f"{role} "):
            return role, about.removeprefix(f"{role} ")
    if about == "baselines":
        return about, about
    return "case" if key["trial"] == "conformance" else "control", about


def optimizer_columns(key: Mapping[str, Any]) -> dict[str, Any]:
    """The columns `OPTIMIZER` of a trial."""
    role, name = optimizer(key)
    return {
        "implementation": key["implementation"],
        "task": key["task"],
        "role": role,
        "optimizer": name,
        "dtype": key["dtype"],
    }
