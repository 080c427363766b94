"""The contents of a store, read once for all frames."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from loptbench.errors import StoreError
from loptbench.results.schema.confirmation import Confirmation
from loptbench.results.schema.conformance import ConformanceResult
from loptbench.results.schema.evaluation import (
    AdaptedResult,
    BaselinesResult,
    LearnedResult,
    MetaTraining,
)
from loptbench.results.schema.keys import Role, TrialKey
from loptbench.results.schema.means import MeanResult
from loptbench.results.schema.mechanisms import MechanismsResult
from loptbench.results.schema.plan import Plan
from loptbench.results.schema.records import Record
from loptbench.results.schema.verdicts import Verdict


class Readable(Protocol):
    """The part of `loptbench.results.store.Store` that frames read."""

    def records(self) -> tuple[list[Record], list[str]]:
        """Every record, and a sentence for each file that holds none."""

    def plan(self) -> Plan | None:
        """The plan of the last run."""

    def verdicts(self) -> Sequence[Verdict]:
        """The verdicts of the last run."""

    def means(self) -> Sequence[MeanResult]:
        """The means of the last run's evaluations, beside the other implementations'."""

    def confirmation(self) -> Confirmation | None:
        """That the confirmation of the claims has been spent."""


_Any = TypeVar("_Any")


def _readable(read: Callable[[], _Any], problems: list[str]) -> _Any | None:
    """What a file of a store holds; None if it is damaged: why is added to the problems."""
    try:
        return read()
    except StoreError as error:
        problems.append(str(error))
        return None


@dataclasses.dataclass(frozen=True)
class Contents:
    """The contents of a store.

    Attributes:
        records: the records of the last run's plan; all records if there is no plan.
        plan: that plan; None if there is none.
        unplanned: records of no trial of the plan, such as those of an earlier version.
        verdicts: the verdicts of the last run.
        problems: a sentence for each file that cannot be read.
        means: the means of evaluations, beside the other implementations'.
        confirmation: that the confirmation of the claims has been spent; None if it has not.
    """

    records: Sequence[Record]
    plan: Plan | None = None
    unplanned: Sequence[Record] = ()
    verdicts: Sequence[Verdict] = ()
    problems: Sequence[str] = ()
    means: Sequence[MeanResult] = ()
    confirmation: Confirmation | None = None

    @classmethod
    def of(cls, store: Readable) -> "Contents":
        """Read a store. A file that cannot be read is left out, with a sentence in `problems`."""
        records, problems = store.records()
        plan = _readable(store.plan, problems)
        confirmation = _readable(store.confirmation, problems)
        verdicts = _readable(store.verdicts, problems) or ()
        means = _readable(store.means, problems) or ()
        if plan is None:
            return cls(records, None, (), verdicts, problems, means, confirmation)
        by_name = {record.name: record for record in records}
        names = dict.fromkeys(key.name for key in plan.trials)
        return cls(
            [by_name[name] for name in names if name in by_name],
            plan,
            [record for name, record in by_name.items() if name not in names],
            verdicts,
            problems,
            means,
            confirmation,
        )

    def trials(self) -> Iterator[tuple[TrialKey, Record | None]]:
        """The trials of the plan, with their records if they have one; all records without one."""
        by_name = {record.name: record for record in self.records}
        for key in self.plan.trials if self.plan else [record.key for record in self.records]:
            yield key, by_name.get(key.name)

    def conformance(self) -> Iterator[tuple[Record, ConformanceResult]]:
        """The conformance trials that have a result."""
        for record in self.records:
            if isinstance(record.result, ConformanceResult):
                yield record, record.result

    def evaluations(
        self,
    ) -> Iterator[tuple[Record, BaselinesResult | AdaptedResult | LearnedResult]]:
        """The evaluation trials that have a result."""
        for record in self.records:
            if isinstance(record.result, BaselinesResult | AdaptedResult | LearnedResult):
                yield record, record.result

    def mechanisms(self) -> Iterator[tuple[Record, MechanismsResult]]:
        """The mechanisms trials that have a result."""
        for record in self.records:
            if isinstance(record.result, MechanismsResult):
                yield record, record.result

    @functools.cached_property
    def meta_training(self) -> dict[tuple[str, str], MetaTraining]:
        """How each learned optimizer was meta-trained, by task and name."""
        return {
            (record.key.task, record.key.optimizer.name): result.meta_training
            for record, result in self.evaluations()
            if isinstance(result, LearnedResult)
        }

    def optimizer_columns(self, key: TrialKey) -> dict[str, Any]:
        """The columns `OPTIMIZER` and `TRAINING` of a trial."""
        return optimizer_columns(key) | self.training_columns(
            key.task, key.optimizer.role, key.optimizer.name
        )

    def training_columns(self, task: str, role: Role, name: str) -> dict[str, Any]:
        """The columns `TRAINING` of an optimizer."""
        about = self.meta_training.get((task, name)) if role is Role.CHECKPOINT else None
        if about is None:
            return {"preset": "", "trained_by": "", "meta_seed": None, "kind": ""}
        return {
            "preset": about.preset,
            "trained_by": about.implementation,
            "meta_seed": about.seed,
            "kind": str(about.kind),
        }


def optimizer_columns(key: TrialKey) -> dict[str, Any]:
    """The columns `OPTIMIZER` of a trial."""
    return {
        "implementation": key.implementation,
        "task": key.task,
        "role": str(key.optimizer.role),
        "optimizer": key.optimizer.name,
        "dtype": key.dtype,
    }
