"""What the sections of a store's report read."""

import dataclasses
import functools
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loptbench.errors import StoreError
from loptbench.protocol import Level
from loptbench.reports.sections.agreement import FAILED, NOT_RUN
from loptbench.reports.sections.forms import problem_of_plan, problem_of_record
from loptbench.results.frames import FRAMES, Contents, frame_of
from loptbench.results.store import Store

if TYPE_CHECKING:
    import pandas as pd

WHOLE_TRIAL = "the whole trial"
"""The name of a check that stands for a trial without a result."""


class Report:
    """A store as its report shows it; every frame is made once.

    Attributes:
        store: the store.
        contents: its records, plan and verdicts, without what is damaged.
        damaged: a sentence for each file that cannot be read, or whose content is not valid.
        implementations: name, availability and reason of each implementation of the plan.
        name: the name of the store's folder.
        command: what makes the report again.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        contents = Contents.of(store)
        self.damaged = list(contents.problems)
        for record in (*contents.records, *contents.others):
            problem = problem_of_record(record)
            if problem:
                self.damaged.append(f"record {record.name}.json: {problem}")
        self.contents = dataclasses.replace(
            contents,
            records=[record for record in contents.records if not problem_of_record(record)],
            others=[record for record in contents.others if not problem_of_record(record)],
        )
        self.implementations = self._implementations()
        self.name = store.folder.resolve().name
        self.command = f"loptbench report {shlex.quote(self.name)}"

    def _implementations(self) -> list[Mapping[str, str]]:
        """Those of the plan; where it cannot be read, those of the records."""
        try:
            plan = self.store.plan()
            problem = problem_of_plan(plan) if plan else ""
        except StoreError as error:
            plan, problem = {}, str(error)
        if problem:
            self.damaged = [one for one in self.damaged if one != problem]
            unknown = "so whether anything is missing is not known"
            self.damaged.append(f"plan.json: {problem}; {unknown}")
            self.contents = dataclasses.replace(self.contents, planned=())
        if plan and not problem:
            return list(plan["implementations"])
        names = sorted(set(self.frame("trials").implementation))
        return [{"name": name, "availability": "installed", "reason": ""} for name in names]

    @functools.cache  # noqa: B019  # a report lives as long as it is written
    def frame(self, name: str) -> "pd.DataFrame":
        """One of the frames of the store; see `loptbench.results.frames`."""
        frame = frame_of(self.contents, name)
        return _with_subjects(frame, self.contents.verdicts) if name == "verdicts" else frame

    @functools.cached_property
    def trials(self) -> "pd.DataFrame":
        """The trials of the last run's plan; where there is no plan, those that have a record."""
        trials = self.frame("trials")
        return trials[trials.planned] if trials.planned.any() else trials

    @property
    def n_records(self) -> int:
        """The number of records that the report shows."""
        return len(self.contents.records)

    @property
    def n_missing(self) -> int:
        """The number of planned trials without a record."""
        return int((self.trials.status == NOT_RUN).sum())

    @property
    def names(self) -> list[str]:
        """The names of the implementations."""
        return [one["name"] for one in self.implementations]

    @property
    def absent(self) -> dict[str, tuple[str, str]]:
        """The implementations that could not be used: their availability, and the reason."""
        return {
            one["name"]: (one["availability"], one["reason"])
            for one in self.implementations
            if one["availability"] != "installed"
        }

    @functools.cached_property
    def checks(self) -> "pd.DataFrame":
        """The checks, with one row per level for a conformance trial that has no result."""
        import pandas as pd

        checks = self.frame("checks")
        trials = self.trials[self.trials.trial == "conformance"]
        without = trials[~trials.record.isin(checks.record)]
        if without.empty:
            return checks
        rows = without.merge(pd.DataFrame({"level": [int(level) for level in Level]}), how="cross")
        rows = rows.assign(
            check=WHOLE_TRIAL,
            ratio=float("nan"),
            status=rows.status.where(rows.status == NOT_RUN, FAILED),
        )
        return pd.concat([checks, rows[checks.columns].astype(checks.dtypes)], ignore_index=True)

    @functools.cached_property
    def dtypes(self) -> list[str]:
        """The dtypes of the conformance trials, float64 first."""
        return sorted(set(self.trials.dtype[self.trials.trial == "conformance"]), reverse=True)


def _with_subjects(verdicts: "pd.DataFrame", stored: Any) -> "pd.DataFrame":
    """Verdicts whose subject is prose, until they are stored with a checkpoint or a preset."""
    if not any("subject" in one for one in stored):
        return verdicts
    subjects = [str(one.get("subject", "")) for one in stored]
    parts = [subject.partition(", meta-trained in ") for subject in subjects]
    single = verdicts.scope == "checkpoint"
    names = [subject.removeprefix("checkpoint ") for subject in subjects]
    return verdicts.assign(
        checkpoint=[n if one else "" for n, one in zip(names, single, strict=True)],
        preset=["" if one else p[0] for p, one in zip(parts, single, strict=True)],
        implementations=[
            "" if one else p[2].replace(" or ", " ") for p, one in zip(parts, single, strict=True)
        ],
    )


def about(name: str) -> dict[str, tuple[str, str]]:
    """Description and unit of each column of a frame, for a table made from it."""
    return {
        column: (description.description, description.unit)
        for column, description in FRAMES[name].columns.items()
    }


def fact_list(values: "pd.Series[Any]") -> str:
    """Different values as one text."""
    return ", ".join(dict.fromkeys(map(str, values)))
