"""Measure long runs, and read the table that is shipped.

Learned optimizers are meta-trained on runs of T steps, and baselines are tuned on them. Here both
run for 2 T, 5 T and 10 T steps. Neither is told how long a run is, so the losses of a run are also
those of every shorter one. A baseline with a learning-rate schedule is told: its schedule is
stretched over the whole run, with the tuned hyperparameters.

All runs are in float64. In float32 rounding moves losses at the minimum of `quadratic` by up to
1e-4, which is more than the baselines leave.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.discovery import get_implementation
from loptbench.errors import LoptbenchError
from loptbench.optimizers import DEFAULT_ARCHITECTURE, OptimizerSpec
from loptbench.results.schema.verdicts import EvidenceKind
from loptbench.rollout.evaluation import estimate, evaluated_losses
from loptbench.rollout.held_out import ORACLE_DTYPE, PAPER
from loptbench.rollout.trajectory import meta_objective
from loptbench.statistics.bootstrap import Sample
from loptbench.tasks import ProblemBatch, Task, get_task
from loptbench.tuning.tuned_file import Tuned, TunedBaseline, load_tuned
from loptbench.zoo.catalogue import Member, zoo
from loptbench.zoo.catalogue import shipped as shipped_checkpoint

if TYPE_CHECKING:
    from pandas import DataFrame

Float = NDArray[np.float64]

MULTIPLES = (1, 2, 5, 10)
"""Lengths of runs, in units of the T steps that the optimizers were made for."""

N_PROBLEMS = PAPER
"""Held-out problems of the tasks of a few parameters."""

N_NETWORKS = 16
"""The same of the networks, of which one costs a hundred times as much."""

MAX_FEW = 10
"""The largest number of parameters that is a few."""

COLUMNS = {
    "task": "the task",
    "optimizer": "the learned optimizer",
    "preset": "the preset of its meta-training",
    "seed": "the seed of its meta-training",
    "multiple": "the length of the run, over that of the runs it was trained on",
    "n_steps": "the same in steps",
    "n_problems": "the number of held-out problems",
    "family": "tuned: baselines without a schedule; scheduled: with one that spans the run",
    "baseline": "the baseline with the lowest mean loss over runs of this length",
    "objective": "the learned optimizer's mean loss over the run, over the first loss",
    "objective_of_baseline": "the same of the baseline",
    "ratio": "the first over the second; below 1, the learned optimizer is better",
    "ratio_low": "the lower end of its paired 95 % interval over problems",
    "ratio_high": "the upper end of that interval",
    "last_loss": "the learned optimizer's mean loss at the last step",
    "last_loss_of_baseline": "the same of the baseline",
    "last_ratio": "the first over the second; none where rounding made one negative",
    "last_ratio_low": "the lower end of its paired 95 % interval over problems",
    "last_ratio_high": "the upper end of that interval",
    "n_diverged": "runs of the learned optimizer with a loss that is not finite",
}
"""The columns of the table."""


class Runs(NamedTuple):
    """Runs of one length, of one optimizer.

    Attributes:
        objective: the mean loss over the run over the first loss, (n_problems,); infinite where a
            loss is not finite.
        last: the loss at the last step, (n_problems,); infinite in the same place.
    """

    objective: Float
    last: Float

    @classmethod
    def of(cls, loss: Float) -> "Runs":
        """From losses, (n_steps, n_problems)."""
        with np.errstate(all="ignore"):
            objective, last = meta_objective(loss), loss[-1]
        finite = np.isfinite(objective)
        return cls(np.where(finite, objective, np.inf), np.where(finite, last, np.inf))


def members(
    tasks: Iterable[str] = (),
    presets: Collection[str] = ("quick", "standard"),
    architecture: str = DEFAULT_ARCHITECTURE,
) -> list[Member]:
    """The learned optimizers of the zoo that are run: none that is kept for confirmation.

    >>> {member.preset for member in members(["digits"])}
    {'quick'}

    Args:
        tasks: the names of the tasks; all if empty.
        presets: the presets of their meta-training.
        architecture: their architecture.
    """
    names = [get_task(name).name for name in tasks]
    return [
        member
        for member in zoo()
        if (not names or member.task in names)
        and member.preset in presets
        and member.architecture == architecture
        and EvidenceKind.of_seed(member.seed) is EvidenceKind.EXPLORATORY
    ]


def measure(
    chosen: Iterable[Member],
    *,
    multiples: Iterable[int] = MULTIPLES,
    implementation: str = "jax",
    n_problems: int | None = None,
    tuned: Tuned | None = None,
    report: Callable[[str], object] = lambda _: None,
) -> "DataFrame":
    """Run learned optimizers and the baselines of their tasks, and compare them.

    Args:
        chosen: the learned optimizers, as of `members`.
        multiples: lengths of the runs, over those of the tasks.
        implementation: the implementation that computes.
        n_problems: held-out problems of every task; `N_PROBLEMS` or `N_NETWORKS` if None.
        tuned: the tuned baselines; the shipped ones if None.
        report: called with the name of each optimizer before it is run.

    Returns: a row for each learned optimizer, length and family of baselines; `COLUMNS` has the
        columns.

    Raises:
        LoptbenchError: there is nothing to run, or a multiple is below 1.
    """
    import pandas as pd

    lengths = sorted({*multiples})
    by_task: dict[str, list[Member]] = {}
    for member in chosen:
        by_task.setdefault(member.task, []).append(member)
    if not by_task or not lengths or lengths[0] < 1:
        raise LoptbenchError(
            "nothing to run: there must be learned optimizers of exploratory seeds, and lengths of "
            "1 or more"
        )
    rows: list[dict[str, Any]] = []
    for task, own in by_task.items():
        measurement = _Measurement(get_task(task), implementation, lengths, n_problems, report)
        families = measurement.families(tuned or load_tuned())
        for member in own:
            rows += measurement.rows(member, families)
    return pd.DataFrame(rows, columns=list(COLUMNS))


Families = Mapping[str, Mapping[int, Mapping[str, Runs]]]
"""The runs of baselines by family, length and baseline."""


class _Measurement:
    """The runs on one task.

    Args:
        task: the task.
        implementation: the name of the implementation.
        lengths: the multiples of the task's number of steps, in order.
        n_problems: the number of held-out problems; by the size of the task if None.
        report: called with the name of each optimizer.
    """

    def __init__(
        self,
        task: Task,
        implementation: str,
        lengths: list[int],
        n_problems: int | None,
        report: Callable[[str], object],
    ) -> None:
        self.task, self.lengths, self.report = task, lengths, report
        self.implementation = get_implementation(implementation)
        default = N_PROBLEMS if task.n_parameters <= MAX_FEW else N_NETWORKS
        # With as many steps, a problem also has as many minibatches.
        longest: Any = dataclasses.replace(task, n_steps=lengths[-1] * task.n_steps)  # type: ignore[type-var]  # every task is a dataclass
        self.batch: ProblemBatch = longest.sample("evaluate", 0, range(n_problems or default))

    def families(self, tuned: Tuned) -> Families:
        """The runs of the baselines."""
        plain = [(entry.kind, self._runs(entry.kind, entry.spec)) for entry in tuned.of(self.task)]
        families = {"tuned": {m: {kind: runs[m] for kind, runs in plain} for m in self.lengths}}
        if scheduled := tuned.scheduled(self.task):
            families["scheduled"] = {
                m: {entry.kind: self._stretched(entry, m) for entry in scheduled}
                for m in self.lengths
            }
        return families

    def _losses(self, spec: OptimizerSpec, multiple: int) -> Float:
        n_steps = multiple * self.task.n_steps
        rounded = spec.rounded_to(ORACLE_DTYPE)
        return evaluated_losses(self.implementation, rounded, self.batch, n_steps, ORACLE_DTYPE)

    def _runs(self, name: str, spec: OptimizerSpec) -> dict[int, Runs]:
        """The runs of each length, from the longest ones."""
        self.report(f"{name} on {self.task.name}")
        loss = self._losses(spec, self.lengths[-1])
        return {m: Runs.of(loss[: m * self.task.n_steps]) for m in self.lengths}

    def _stretched(self, entry: TunedBaseline, multiple: int) -> Runs:
        """The runs of a scheduled baseline whose schedule spans them."""
        self.report(f"{entry.kind} on {self.task.name}, {multiple} times as long")
        n_steps = float(multiple * self.task.n_steps)
        constants = {**entry.spec.constants, "n_steps": n_steps}
        spec = dataclasses.replace(entry.spec, constants=constants)
        return Runs.of(self._losses(spec, multiple))

    def rows(self, member: Member, families: Families) -> Iterator[dict[str, Any]]:
        """The rows of one learned optimizer."""
        checkpoint = shipped_checkpoint(member.name)
        learned = self._runs(member.name, checkpoint.optimizer)
        for family, by_length in families.items():
            for multiple, baselines in by_length.items():
                means = {name: float(np.mean(runs.objective)) for name, runs in baselines.items()}
                best = min(means, key=means.__getitem__)
                yield {
                    "task": member.task,
                    "optimizer": member.name,
                    "preset": member.preset,
                    "seed": member.seed,
                    "multiple": multiple,
                    "n_steps": multiple * self.task.n_steps,
                    "n_problems": self.batch.n_problems,
                    "family": family,
                    "baseline": best,
                    **_compared(learned[multiple], baselines[best]),
                }


def _compared(learned: Runs, baseline: Runs) -> dict[str, float]:
    """The columns that compare a learned optimizer with a baseline on the same problems."""
    ratio = estimate(Sample(learned.objective, baseline.objective))
    last_loss, last_of_baseline = float(np.mean(learned.last)), float(np.mean(baseline.last))
    last = estimate(Sample(learned.last, baseline.last))
    # Rounding makes a mean near zero negative; a ratio then says nothing.
    known = 1.0 if min(last_loss, last_of_baseline) > 0 else math.nan
    return {
        "objective": float(np.mean(learned.objective)),
        "objective_of_baseline": float(np.mean(baseline.objective)),
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "last_loss": last_loss,
        "last_loss_of_baseline": last_of_baseline,
        "last_ratio": known * last.value,
        "last_ratio_low": known * last.low,
        "last_ratio_high": known * last.high,
        "n_diverged": int(np.sum(~np.isfinite(learned.objective))),
    }


def shipped() -> "DataFrame":
    """The table that is shipped.

    >>> sorted(shipped()["multiple"].unique().tolist())
    [1, 2, 5, 10]
    """
    import pandas as pd

    with resources.files("loptbench.horizon").joinpath("horizon.csv").open() as file:
        return pd.read_csv(file, keep_default_na=True)
