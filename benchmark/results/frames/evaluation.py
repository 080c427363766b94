"""Frames of the evaluation trials: meta-objectives, loss curves, meta-training, tuning."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from loptbench.optimizers import BASELINES, SCHEDULED
from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Column,
    Frame,
    count,
    flag,
    number,
)
from loptbench.results.frames.contents import Contents
from loptbench.results.schema.evaluation import (
    AdaptedResult,
    BaselineEvaluation,
    Evaluation,
    LearnedResult,
)
from loptbench.results.schema.keys import Role
from loptbench.results.schema.records import Record

if TYPE_CHECKING:
    from pandas import DataFrame


def evaluated(contents: Contents) -> Iterator[tuple[Record, dict[str, Any], Evaluation]]:
    """Every optimizer that was evaluated: the record, its identifying columns, its evaluation."""
    for record, result in contents.evaluations():
        columns = contents.optimizer_columns(record.key)
        if isinstance(result, LearnedResult):
            yield record, columns, result.learned
        elif isinstance(result, AdaptedResult):
            yield record, columns, result.adapted
        else:
            for name, evaluation in result.baselines.items():
                yield record, columns | {"role": str(_role(name)), "optimizer": name}, evaluation


def _role(name: str) -> Role:
    """The role of a baseline; the momentum from theory is not tuned, and only a control."""
    if name in BASELINES:
        return Role.TUNED
    return Role.SCHEDULED if name in SCHEDULED else Role.CONTROL


EVALUATION_FIELDS = (
    *("n_problems", "n_diverged", "objective_mean", "objective_standard_error"),
    *("objective_median", "final_loss_mean", "final_loss_median"),
)


def _evaluations(contents: Contents) -> Iterator[Block]:
    for record, columns, evaluation in evaluated(contents):
        fields = {name: getattr(evaluation, name) for name in EVALUATION_FIELDS}
        yield {**columns, **fields, "record": record.name}


EVALUATIONS = Frame(
    "one optimizer on the held-out problems of a task",
    {
        **OPTIMIZER,
        **TRAINING,
        "n_problems": count("the number of held-out problems"),
        "n_diverged": count("the number of runs with a loss that is not finite"),
        "objective_mean": number("the mean meta-objective; infinite if a run diverged"),
        "objective_standard_error": number("the standard error of that mean over problems"),
        "objective_median": number("the median meta-objective"),
        "final_loss_mean": number("the mean loss after the last step", "loss"),
        "final_loss_median": number("the median loss after the last step", "loss"),
        **RECORD,
    },
    _evaluations,
)


def _ratios(contents: Contents) -> Iterator[Block]:
    for record, result in contents.evaluations():
        if isinstance(result, LearnedResult | AdaptedResult):
            columns = contents.optimizer_columns(record.key)
            for baseline, ratios in result.ratios.items():
                estimates = [getattr(ratios, name) for name in STATISTICS.values()]
                yield {
                    **columns,
                    "baseline": baseline,
                    "n_problems": ratios.n_problems,
                    "statistic": list(STATISTICS),
                    **{end: [getattr(item, end) for item in estimates] for end in ENDS},
                    "record": record.name,
                }


STATISTICS = {
    "ratio_of_means": "of_means",
    "ratio_of_trimmed_means": "of_trimmed_means",
    "median_ratio": "median",
    "probability_of_improvement": "probability_of_improvement",
}
"""The statistics of the frame `ratios`, and the fields of a record that hold them."""

ENDS = ("value", "low", "high")


RATIOS = Frame(
    "one statistic of a learned or adapted optimizer against one baseline, on the same problems",
    {
        **OPTIMIZER,
        **TRAINING,
        "baseline": Column("the baseline"),
        "n_problems": count("the number of problems"),
        "statistic": Column(
            "of the meta-objectives: ratio_of_means; ratio_of_trimmed_means, without a quarter of "
            "each one's problems at either end; median_ratio, over problems; or "
            "probability_of_improvement, the share of problems on which the learned one is lower"
        ),
        "value": number("the statistic; NaN if it is not finite; a ratio below 1 is better"),
        "low": number("the lower end of its paired 95 % interval over problems"),
        "high": number("the upper end of its paired 95 % interval over problems"),
        **RECORD,
    },
    _ratios,
)


def _curves(contents: Contents) -> Iterator[Block]:
    for record, columns, evaluation in evaluated(contents):
        yield {
            **columns,
            "step": np.arange(len(evaluation.curve_mean)),
            "n_problems": evaluation.n_curve_problems,
            "loss_mean": evaluation.curve_mean,
            "loss_standard_error": evaluation.curve_standard_error,
            "record": record.name,
        }


CURVES = Frame(
    "the loss after one inner step",
    {
        **OPTIMIZER,
        **TRAINING,
        "step": count("the inner step", "steps"),
        "n_problems": count("the number of problems: the first of the held-out ones"),
        "loss_mean": number("the mean loss over these problems", "first losses"),
        "loss_standard_error": number("the standard error of that mean", "first losses"),
        **RECORD,
    },
    _curves,
)


def _meta_training(contents: Contents) -> Iterator[Block]:
    for (task, name), about in contents.meta_training.items():
        yield {
            "implementation": about.implementation,
            "task": task,
            "role": str(Role.CHECKPOINT),
            "optimizer": name,
            "dtype": about.configuration.get("dtype", ""),
            **contents.training_columns(task, Role.CHECKPOINT, name),
            "outer_step": [line.step for line in about.log],
            "objective": [line.objective for line in about.log],
            "validation": [line.validation for line in about.log],
        }


META_TRAINING = Frame(
    "one line of the log of a meta-training",
    {
        **OPTIMIZER,
        **TRAINING,
        "outer_step": count("the outer step", "steps"),
        "objective": number("the mean meta-objective since the last line, on training problems"),
        "validation": number("the mean meta-objective on validation problems"),
    },
    _meta_training,
)


def _tuning(contents: Contents) -> Iterator[Block]:
    for record, columns, evaluation in evaluated(contents):
        if isinstance(evaluation, BaselineEvaluation):
            search = evaluation.tuning
            fields = {name: getattr(search, name, None) for name in SEARCH}
            for name, value in evaluation.hyperparameters.items():
                yield {
                    **{column: columns[column] for column in OPTIMIZER},
                    "baseline": columns["optimizer"],
                    "hyperparameter": name,
                    "value": value,
                    "place": search.places.get(name) if search else None,
                    "on_edge": name in search.on_edge if search else None,
                    **fields,
                    "record": record.name,
                }


SEARCH = ("score", "draw", "n_draws", "n_complete", "n_diverged")

TUNING = Frame(
    "one hyperparameter of one baseline, or of an adapted optimizer",
    {
        **OPTIMIZER,
        "baseline": Column("the optimizer"),
        "hyperparameter": Column("the hyperparameter"),
        "value": number("its value"),
        "place": number("its place in the range of the search, from 0 to 1"),
        "on_edge": flag("whether it lies on an edge of the range"),
        "score": number("the mean meta-objective of the best draw on the tuning problems"),
        "draw": count("the number of the best draw"),
        "n_draws": count("the number of draws"),
        "n_complete": count("the number of draws that were run on all problems"),
        "n_diverged": count("the number of draws that diverged"),
        **RECORD,
    },
    _tuning,
)


def best_baselines(evaluations: "DataFrame", role: str = Role.TUNED) -> "DataFrame":
    """The best tuned baseline of each task in each implementation.

    Args:
        evaluations: the frame `evaluations`, or some of its rows.
        role: `tuned` for baselines without a learning-rate schedule, `scheduled` for those with
            one.

    Returns: the rows of `evaluations` with the lowest mean meta-objective; one for each pair of
        implementation and task that has such a baseline whose mean is finite.
    """
    finite = evaluations[
        (evaluations["role"] == str(role)) & (evaluations["objective_mean"] < math.inf)
    ]
    return finite.loc[finite.groupby(["implementation", "task"])["objective_mean"].idxmin()]
