"""The figures of the sections."""

from collections.abc import Iterable, Sequence

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Part, Table
from loptbench.reports.plots.seeds import strips
from loptbench.reports.sections import old_figures
from loptbench.reports.sections.mechanisms import mechanism_figure
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import in_words, known_verdicts
from loptbench.results.plain import PlainRecord, plain_records


def curves(report: Report, task: str) -> list[Part]:
    """Loss curves of every optimizer on a task."""
    rows = old_figures.comparisons(_records(report, "evaluation"))
    return _present([old_figures.comparison(rows, task, report.command)])


def meta_training(report: Report, task: str) -> list[Part]:
    """The validation objective of each learned optimizer of a task over its meta-training."""
    records = _records(report, "evaluation")
    return _present([old_figures.meta_training(records, task, report.names, report.command)])


def mechanism(report: Report, probe: str, words: str) -> list[Part]:
    """What a probe measures, task by task."""
    records = _records(report, "mechanisms")
    return _present([mechanism_figure(records, probe, words, report.command)])


def seeds(
    report: Report, subject: str, claims: Sequence[Claim], tables: Sequence[Table]
) -> list[Part]:
    """The statistic of every seed beside what is claimed."""
    verdicts = known_verdicts(report.frame("verdicts"))
    own = verdicts[verdicts.claim.isin([claim.name for claim in claims])]
    checkpoints = report.frame("checkpoints")
    made_by = {one.optimizer: (one.preset, one.trained_by) for one in checkpoints.itertuples()}
    figure = strips(
        subject, claims, list(own.itertuples()), made_by, in_words(own), tables, report.command
    )
    return _present([figure])


def errors(report: Report) -> list[Part]:
    """The errors of a learned optimizer against their bounds, step by step."""
    records = _records(report, "conformance")
    learned = report.frame("evaluations")
    learned = set(learned.optimizer[learned.role == "checkpoint"])
    names = sorted(learned & set(report.frame("checks").optimizer))
    return _present(
        old_figures.errors_figure(records, report.names, name, dtype, report.command)
        for name in names[:1]
        for dtype in report.dtypes
    )


def _present(figures: Iterable[Part | None]) -> list[Part]:
    return [figure for figure in figures if figure is not None]


def _records(report: Report, trial: str) -> list[PlainRecord]:
    records = plain_records(report.contents.records)
    return [record for record in records if record.key["trial"] == trial and record.result]
