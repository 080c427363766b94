"""The figures of the sections, drawn from the frames of the store."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Part, Table
from loptbench.reports.plots.adaptation import ADAPTATION
from loptbench.reports.plots.agreement import errors_by_step
from loptbench.reports.plots.clipping import CLIPPING
from loptbench.reports.plots.evaluations import loss_curves
from loptbench.reports.plots.momentum import MOMENTUM
from loptbench.reports.plots.schedule import SCHEDULE
from loptbench.reports.plots.seeds import seed_plot
from loptbench.reports.plots.specifications import specification_curve
from loptbench.reports.plots.training import meta_training as training_curves
from loptbench.reports.sections.readings import readings_table, standing_readings
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import in_words

if TYPE_CHECKING:
    import pandas as pd

AND = " and "
"""Between the names of the checkpoints, and of the tasks, of a claim across tasks."""

PROBES = {figure.probe: figure for figure in (MOMENTUM, CLIPPING, SCHEDULE, ADAPTATION)}


def curves(report: Report, task: str) -> list[Part]:
    """Loss curves of every optimizer on a task."""
    frames = report.frame("curves"), report.frame("evaluations")
    return _present([loss_curves(*frames, task, report.command)])


def meta_training(report: Report, task: str) -> list[Part]:
    """The validation objective of each learned optimizer of a task over its meta-training."""
    log = report.frame("meta_training")
    return _present([training_curves(log, task, report.names, report.command)])


def mechanism(report: Report, probe: str, words: str) -> list[Part]:
    """What a probe measures, task by task."""
    figure = PROBES[probe]
    frames = {name: report.frame(name) for name in figure.frames}
    return _present([figure.draw(frames, words, report.command)])


def seeds(
    report: Report, subject: str, claims: Sequence[Claim], tables: Sequence[Table]
) -> list[Part]:
    """The statistic of every seed beside what is claimed."""
    verdicts = report.verdicts
    own = verdicts[verdicts.claim.isin([claim.name for claim in claims])]
    checkpoints = report.frame("checkpoints").drop_duplicates("optimizer").set_index("optimizer")
    own = own.assign(
        trained_by=[_shared(name, checkpoints.trained_by, "unknown") for name in own.checkpoint],
        seed_preset=[_shared(name, checkpoints.preset, "") for name in own.checkpoint],
    )
    return _present([seed_plot(subject, claims, own, in_words(own), tables, report.command)])


def _shared(checkpoint: str, known: "pd.Series[str]", unknown: str) -> str:
    """What is known of a checkpoint; of a pair, what both have in common, or both."""
    values = dict.fromkeys(known.get(name, unknown) for name in checkpoint.split(AND))
    return AND.join(values)


def readings(report: Report, subject: str, claims: Sequence[Claim]) -> list[Part]:
    """What every reading of these claims says, beside the primary one."""
    own = standing_readings(report)
    own = own[own.claim.isin([claim.name for claim in claims])]
    tables = [
        readings_table(claim, rows)
        for claim in claims
        if len(rows := own[own.claim == claim.name]) and rows.reading.nunique() > 1
    ]
    return _present([specification_curve(subject, own, tables, report.command)])


def errors(report: Report) -> list[Part]:
    """The errors of a learned optimizer against their bounds, step by step."""
    steps = report.frame("check_steps")
    names = sorted(set(steps.optimizer[steps.role == "checkpoint"]))
    return _present(
        errors_by_step(steps, name, dtype, report.names, report.command)
        for name in names[:1]
        for dtype in report.dtypes
    )


def _present(figures: Iterable[Part | None]) -> list[Part]:
    return [figure for figure in figures if figure is not None]
