"""The data of a store's report, which its sections read."""

import dataclasses
import functools
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.claims.catalogue import LATEST, SHIPPED, Claim, load_edition
from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.protocol import Level
from loptbench.reference_results.comparison import ReferenceComparison, compare_contents
from loptbench.reports.plots.styles import NO_PRESET
from loptbench.reports.sections.agreement import FAILED, NOT_RUN
from loptbench.reports.sections.verdicts import known_verdicts
from loptbench.results.frames import FRAMES, Contents, frame_of
from loptbench.results.schema.plan import ImplementationState
from loptbench.results.store import Store

if TYPE_CHECKING:
    import pandas as pd

INSTALLED = "installed"
WHOLE_TRIAL = "the whole trial"
"""The name of a check that stands for a trial without a result."""


class Report:
    """The content of a store as its report shows it; every frame is made once.

    Attributes:
        store: the store.
        contents: its records, plan and verdicts, without what is damaged.
        damaged: a sentence for each file that cannot be read, or whose content is not valid.
        name: the name of the store's folder.
        command: the command that makes the report again.
        edition: the claims that its verdicts are on.
        are_stored: whether its verdicts are those of the store, not drawn anew.

    Args:
        store: the store.
        claims: the edition of the claims, or a file of claims, whose verdicts are shown; edition 2
            if None. Verdicts that the store does not hold are drawn anew from its records.
    """

    def __init__(self, store: Store, claims: int | str | Path | None = None) -> None:
        self.store = store
        self.edition = load_edition(LATEST if claims is None else claims)
        self.contents = Contents.of(store)
        self.damaged = list(self.contents.problems)
        self.name = store.folder.resolve().name
        self.command = f"loptbench report {shlex.quote(self.name)}"
        if claims is not None:
            self.command += f" --claims {shlex.quote(str(claims))}"
        editions = {verdict.edition for verdict in self.contents.verdicts}
        has_none = not editions and claims is None
        has_these = editions == {self.edition.name} and self.edition.name in SHIPPED
        self.are_stored = has_none or has_these
        if not self.are_stored:
            verdicts = judge_all(evidence_of(self.contents), self.edition)
            self.contents = dataclasses.replace(self.contents, verdicts=verdicts)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims that the verdicts are on."""
        return self.edition.claims

    @functools.cached_property
    def verdicts(self) -> "pd.DataFrame":
        """The frame `verdicts`, as far as it is on these claims, confirmatory verdicts first."""
        return known_verdicts(self.frame("verdicts"), self.claims)

    @functools.cached_property
    def reference(self) -> ReferenceComparison:
        """These results beside the shipped reference results."""
        return compare_contents(self.contents)

    @functools.cached_property
    def sizes(self) -> tuple[str, ...]:
        """The sizes of the learned optimizers, by their presets.

        The one of most tasks comes first; of as many tasks, the one of most seeds.
        """
        checkpoints = self.frame("checkpoints")
        presets = checkpoints.preset.replace("", NO_PRESET)
        sizes = checkpoints.task.groupby(presets, sort=False).agg(["nunique", "count"])
        return tuple(sizes.sort_values(["nunique", "count"], ascending=False, kind="stable").index)

    @functools.cached_property
    def implementations(self) -> list[ImplementationState]:
        """The implementations of the plan; without a plan, those of the records."""
        if self.contents.plan is not None:
            return list(self.contents.plan.implementations)
        names = sorted(set(self.frame("trials").implementation))
        return [ImplementationState(name=name, availability=INSTALLED, reason="") for name in names]

    @functools.cache  # noqa: B019  # a report lives only while it is written
    def frame(self, name: str) -> "pd.DataFrame":
        """One of the frames of the store; see `loptbench.results.frames`."""
        return frame_of(self.contents, name)

    @functools.cached_property
    def trials(self) -> "pd.DataFrame":
        """The trials of the last run's plan; where there is no plan, those that have a record."""
        trials = self.frame("trials")
        return trials[trials.planned] if trials.planned.any() else trials

    @functools.cached_property
    def provenance(self) -> "pd.DataFrame":
        """The frame `provenance`; the facts on versions say what they are of."""
        frame = self.frame("provenance")
        is_version = frame.fact == "version"
        return frame.assign(fact=frame.fact.where(~is_version, "version of " + frame["of"]))

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
        return [state.name for state in self.implementations]

    @property
    def absent(self) -> dict[str, tuple[str, str]]:
        """The implementations that could not be used: their availability, and the reason."""
        return {
            state.name: (state.availability, state.reason)
            for state in self.implementations
            if state.availability != INSTALLED
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


def about(name: str) -> dict[str, tuple[str, str]]:
    """Description and unit of each column of a frame, for a table made from it."""
    return {
        column: (description.description, description.unit)
        for column, description in FRAMES[name].columns.items()
    }
