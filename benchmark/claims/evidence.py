"""The evidence on each learned optimizer: the rows of a store's frames that are about it."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loptbench.results.frames import Contents, frame_of
from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.records import TrialStatus
from loptbench.results.schema.verdicts import EvidenceKind

if TYPE_CHECKING:
    from pandas import DataFrame

OF_PROBES = (
    "mechanisms",
    "modes",
    "impulse_responses",
    "update_functions",
    "schedules",
    "adaptation",
)
"""The frames of what the probes measure."""

FRAMES = ("evaluations", "problems", "tuning", *OF_PROBES)

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is known of one checkpoint, all measured by the same implementation.

    Attributes:
        checkpoint: the checkpoint's name.
        task: its task.
        preset: the preset of its meta-training; seeds of the same preset are replicates.
        trained_by: the implementation that meta-trained it.
        seed: the seed of its meta-training; None if it is unknown.
        frames: by name, `evaluations` and `tuning` of the task's baselines, `problems` of the
            checkpoint and of the baselines, and the frames `OF_PROBES` of the checkpoint.
    """

    checkpoint: str
    task: str
    preset: str
    trained_by: str
    seed: int | None
    frames: "Mapping[str, DataFrame]"

    @property
    def kind(self) -> EvidenceKind:
        """Whether it is exploratory or confirmatory."""
        return EvidenceKind.of_seed(self.seed)

    def of_problems(self, quantity: str, baseline: str = "") -> Floats:
        """A quantity of each problem, (n_problems,); no problems if it was not measured.

        Args:
            quantity: the quantity, as in the frame `problems`.
            baseline: the tuned baseline; the checkpoint if empty.
        """
        role, name = ("tuned", baseline) if baseline else ("checkpoint", self.checkpoint)
        return self._by_quantity.get((quantity, role, name), np.zeros(0))

    @functools.cached_property
    def _by_quantity(self) -> dict[tuple[str, str, str], Floats]:
        groups = self.frames["problems"].groupby(["quantity", "role", "optimizer"], sort=False)
        return {name: rows["value"].to_numpy(np.float64) for name, rows in groups}

    def of_probe(self, probe: str, quantity: str, horizon: str = "") -> tuple[Floats, str]:
        """A quantity that a probe measures, and the reason if it has no value.

        Args:
            probe: the probe.
            quantity: the quantity, as in the frame `mechanisms`.
            horizon: after how many steps; empty for a quantity with a single number of steps.

        Returns: the values, (1,), or (2,) for a quantity with one value for each sign of the
            gradient; then the reason, empty if all values are finite.
        """
        values, reasons = self._of_probes[probe, quantity, horizon]
        return np.array(values, np.float64), max(reasons)

    @functools.cached_property
    def _of_probes(self) -> dict[tuple[str, str, str], tuple[list[float], list[str]]]:
        numbers: dict[tuple[str, str, str], tuple[list[float], list[str]]] = {}
        columns = ["probe", "quantity", "horizon", "value", "reason"]
        for *name, value, reason in self.frames["mechanisms"][columns].itertuples(index=False):
            values, reasons = numbers.setdefault((name[0], name[1], name[2]), ([], []))
            values.append(value)
            reasons.append(reason)
        return numbers

    def rates(self, states: str) -> Floats:
        """The learning rate at each step, (n_steps,); no steps if it was not measured.

        Args:
            states: autonomous or met, as in the frame `schedules`.
        """
        rows = self.frames["schedules"]
        return np.asarray(rows[rows["states"] == states]["rate"], np.float64)


def _place(key: TrialKey) -> tuple[str, ...]:
    """What trials share that stand beside each other: who computes, and which problems."""
    problems = json.dumps(key.problems, sort_keys=True)
    return key.implementation, key.task, problems, str(key.seed), key.code


def evidence_of(contents: Contents) -> list[Evidence]:
    """The evidence on each learned optimizer, by the implementation that meta-trained it.

    If that implementation did not measure it, another one's measurements are the evidence. A
    checkpoint has no evidence if its evaluation, its mechanisms or its baselines are missing. What
    failed, as it is not the reference's, is no evidence; nor is an evaluation whose mean deviates.
    Only what was measured on the same problems belongs together.
    """
    import pandas as pd

    deviating = {mean.record for mean in contents.means if mean.deviation}
    contents = dataclasses.replace(
        contents,
        records=[
            record
            for record in contents.records
            if record.status is not TrialStatus.FAILED and record.name not in deviating
        ],
    )
    tables = {name: frame_of(contents, name) for name in FRAMES}
    by_record = {
        name: dict(list(table.groupby("record", sort=False))) for name, table in tables.items()
    }
    evaluations, mechanisms = tables["evaluations"], tables["mechanisms"]
    is_learned = evaluations["role"] == "checkpoint"
    places = {record.name: _place(record.key) for record in contents.records}
    tuned = evaluations[evaluations["role"] == "tuned"]
    baseline_records = {places[name]: name for name in tuned["record"].unique()}
    probed = mechanisms[mechanisms["role"] == "checkpoint"]
    probe_records = {(places[row.record], row.optimizer): row.record for row in probed.itertuples()}
    evidence: dict[tuple[str, str], Evidence] = {}
    for row in evaluations[is_learned].itertuples():
        baselines = baseline_records.get(places[row.record])
        probes = probe_records.get((places[row.record], row.optimizer))
        is_own = row.implementation == row.trained_by
        if baselines and probes and (is_own or (row.optimizer, row.task) not in evidence):
            frames = {
                "evaluations": by_record["evaluations"][baselines],
                "tuning": by_record["tuning"].get(baselines, tables["tuning"][:0]),
                "problems": tables["problems"][
                    tables["problems"]["record"].isin([row.record, baselines, probes])
                ],
            }
            for name in OF_PROBES:
                frames[name] = by_record[name].get(probes, tables[name][:0])
            evidence[row.optimizer, row.task] = Evidence(
                checkpoint=row.optimizer,
                task=row.task,
                preset=row.preset,
                trained_by=row.trained_by,
                seed=None if pd.isna(row.meta_seed) else int(row.meta_seed),
                frames=frames,
            )
    return list(evidence.values())
