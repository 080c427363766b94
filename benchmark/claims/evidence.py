"""The evidence on each learned optimizer: the rows of a store's frames that are about it."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loptbench.results.frames import Contents, frame_of

if TYPE_CHECKING:
    from pandas import DataFrame

FRAMES = ("evaluations", "problems", "mechanisms", "tuning")


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is known of one checkpoint, all measured by the same implementation.

    Attributes:
        checkpoint: the checkpoint's name.
        task: its task.
        preset: the preset of its meta-training; seeds of the same preset are replicates.
        trained_by: the implementation that meta-trained it.
        evaluations: the rows of that frame on the baselines of the task.
        problems: the rows of that frame on the checkpoint and on the baselines.
        mechanisms: the rows of that frame on the checkpoint.
        tuning: the rows of that frame on the baselines.
    """

    checkpoint: str
    task: str
    preset: str
    trained_by: str
    evaluations: "DataFrame"
    problems: "DataFrame"
    mechanisms: "DataFrame"
    tuning: "DataFrame"

    def of_problems(self, quantity: str, baseline: str = "") -> NDArray[np.float64]:
        """A quantity of each problem, (n_problems,); no problems if it was not measured.

        Args:
            quantity: the quantity, as in the frame `problems`.
            baseline: the tuned baseline; the checkpoint if empty.
        """
        rows = self.problems
        role, name = ("tuned", baseline) if baseline else ("checkpoint", self.checkpoint)
        chosen = rows[
            (rows["quantity"] == quantity) & (rows["role"] == role) & (rows["optimizer"] == name)
        ]
        return np.asarray(chosen["value"], np.float64)

    def of_probe(self, probe: str, quantity: str) -> tuple[NDArray[np.float64], str]:
        """A quantity that a probe measures, and the reason if it has no value.

        Returns: the values, (1,), or (2,) for a quantity with one value for each sign of the
            gradient; then the reason, empty if all values are finite.
        """
        rows = self.mechanisms
        chosen = rows[(rows["probe"] == probe) & (rows["quantity"] == quantity)]
        return np.asarray(chosen["value"], np.float64), chosen["reason"].max()


def evidence_of(contents: Contents) -> list[Evidence]:
    """The evidence on each learned optimizer, by the implementation that meta-trained it.

    If that implementation did not measure it, another one's measurements are the evidence. A
    checkpoint has no evidence if its evaluation, its mechanisms or its baselines are missing.
    """
    tables = {name: frame_of(contents, name) for name in FRAMES}
    by_record = {
        name: dict(list(table.groupby("record", sort=False))) for name, table in tables.items()
    }
    evaluations, mechanisms, problems = (
        tables[name] for name in ("evaluations", "mechanisms", "problems")
    )
    is_learned = evaluations["role"] == "checkpoint"
    place = ["implementation", "task"]
    baseline_records = evaluations[~is_learned].set_index(place)["record"].to_dict()
    probed = mechanisms[mechanisms["role"] == "checkpoint"]
    probe_records = probed.set_index([*place, "optimizer"])["record"].to_dict()
    evidence: dict[tuple[str, str], Evidence] = {}
    for row in evaluations[is_learned].itertuples():
        baselines = baseline_records.get((row.implementation, row.task))
        probes = probe_records.get((row.implementation, row.task, row.optimizer))
        is_own = row.implementation == row.trained_by
        if baselines and probes and (is_own or (row.optimizer, row.task) not in evidence):
            evidence[row.optimizer, row.task] = Evidence(
                row.optimizer,
                row.task,
                row.preset,
                row.trained_by,
                by_record["evaluations"][baselines],
                problems[problems["record"].isin([row.record, baselines, probes])],
                by_record["mechanisms"][probes],
                by_record["tuning"].get(baselines, tables["tuning"][:0]),
            )
    return list(evidence.values())
