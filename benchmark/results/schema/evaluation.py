"""Results of evaluation trials: the losses of optimizers on held-out problems."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from loptbench.optimizers import DEFAULT_ARCHITECTURE
from loptbench.results.schema.base import (
    Array1OrInfinite,
    Curve,
    Number,
    NumberOrInfinite,
    OptionalNumber,
    Result,
    field,
    optional,
)
from loptbench.results.schema.conformance import ComparisonResult
from loptbench.results.schema.keys import plain_json
from loptbench.results.schema.verdicts import EvidenceKind

OWN_SETTINGS = "own settings"
"""The preset name of a checkpoint that was meta-trained without a preset."""

RELATIVE = "first loss of the same problem"


class Evaluation(Result):
    """One optimizer on a batch of held-out problems."""

    n_problems: int = field("number of problems", ge=1)
    n_diverged: int = field("problems on which the loss became infinite or NaN", ge=0)
    objective: Array1OrInfinite = field(
        "meta-objective of each problem, (n_problems,); infinite where the run diverged", RELATIVE
    )
    objective_mean: NumberOrInfinite = field("mean meta-objective", RELATIVE)
    objective_standard_error: Number = field(
        "standard error of the mean meta-objective, s / √n over problems", RELATIVE
    )
    objective_median: NumberOrInfinite = field("median meta-objective", RELATIVE)
    final_loss_mean: NumberOrInfinite = field("mean loss after the last step", "loss")
    final_loss_median: NumberOrInfinite = field("median loss after the last step", "loss")
    n_curve_problems: int = field("number of problems of the curves: the first ones", ge=1)
    curve_mean: Curve = field(
        "mean of the loss at each step over the first n_curve_problems problems, (n_steps,)",
        RELATIVE,
    )
    curve_standard_error: Curve = field("standard error of curve_mean, (n_steps,)", RELATIVE)


class Tuning(Result):
    """How a baseline was tuned."""

    score: Number = field("meta-objective of the best draw, on the tuning problems", RELATIVE)
    draw: int = field("number of the best draw")
    places: dict[str, Number] = field(
        "place of each hyperparameter in its range, from 0 to 1 on the range's scale"
    )
    n_draws: int = field("number of draws")
    n_complete: int = field("draws that ran to their end")
    n_diverged: int = field("draws that diverged; all others were stopped early")
    on_edge: tuple[str, ...] = field("hyperparameters that lie on the edge of their range")


class BaselineEvaluation(Evaluation):
    """A baseline on the held-out problems, and how it was tuned."""

    hyperparameters: dict[str, Number] = field("its hyperparameters")
    tuning: Tuning | None = optional("how it was tuned; absent if it was not")


AGREEMENT = "losses of whole runs, on a few problems that were drawn, beside the reference's"


class BaselinesResult(Result):
    """All baselines of a task."""

    baselines: dict[str, BaselineEvaluation] = field("the evaluation of each baseline")
    agreement: tuple[ComparisonResult, ...] | None = optional(AGREEMENT)


class Estimate(Result):
    """A statistic of two optimizers on the same problems, with its 95 % interval over problems."""

    value: Number = field("the statistic; null where it is not finite")
    low: Number = field("lower end of the interval; null where it is not finite")
    high: Number = field("upper end of the interval; null where it is not finite")


class Ratios(Result):
    """An optimizer against a baseline on the same problems.

    A run that diverged has an infinite meta-objective. The trimmed means and the median stand it if
    it is one of few. Every ratio has its paired 95 % interval, of `loptbench.statistics`.
    """

    n_problems: int = field("number of problems", ge=1)
    of_means: Estimate = field("ratio of mean meta-objectives; below 1, the learned one is better")
    of_trimmed_means: Estimate = field(
        "ratio of meta-objectives' interquartile means: without a quarter of each one's problems "
        "at either end"
    )
    median: Estimate = field("median over problems of the ratio of meta-objectives")
    probability_of_improvement: Estimate = field(
        "share of problems on which the learned one has the lower meta-objective, ties counted "
        "half; above a half, it is better"
    )


class LogLine(Result):
    """One validation during meta-training."""

    model_config = ConfigDict(extra="allow")

    step: int = field("outer steps done")
    validation: Number = field("meta-objective on the validation problems", RELATIVE)
    objective: OptionalNumber = optional("meta-objective on the last training batch", RELATIVE)


class MetaTraining(Result):
    """How a checkpoint was meta-trained, as far as its file says; unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    implementation: str = field("the implementation that meta-trained it", default="")
    versions: dict[str, str] = field("versions of what computed it", default={})
    configuration: Annotated[dict[str, Any], BeforeValidator(plain_json)] = field(
        "settings of the meta-training", default={}
    )
    best_outer_step: int | None = optional("outer step of the lowest validation objective")
    best_validation: OptionalNumber = optional("lowest validation objective", RELATIVE)
    skipped_outer_steps: int | None = optional("outer steps without a finite gradient")
    setbacks: int | None = optional("times that the weights were set back to the best ones")
    side_by_side: tuple[int, ...] | None = optional("seeds that were meta-trained together")
    log: tuple[LogLine, ...] = field("every validation", default=())

    @property
    def architecture(self) -> str:
        """The architecture that was meta-trained."""
        return str(self.configuration.get("architecture") or DEFAULT_ARCHITECTURE)

    @property
    def preset(self) -> str:
        """The name of its settings: of the preset, and of the architecture if that is not `gru`.

        >>> MetaTraining(configuration={"preset": "quick", "architecture": "lstm"}).preset
        'quick-lstm'
        """
        preset = str(self.configuration.get("preset") or OWN_SETTINGS)
        is_default = self.architecture == DEFAULT_ARCHITECTURE
        return preset if is_default else f"{preset}-{self.architecture}"

    @property
    def seed(self) -> int | None:
        """The seed of the meta-training; None if unknown."""
        seed = self.configuration.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def kind(self) -> EvidenceKind:
        """Whether what is measured on it is exploratory or confirmatory."""
        return EvidenceKind.of_seed(self.seed)


class LearnedResult(Result):
    """A learned optimizer against the baselines."""

    learned: Evaluation = field("its evaluation")
    ratios: dict[str, Ratios] = field("its ratios to each baseline")
    meta_training: MetaTraining = field("how it was meta-trained")
    agreement: tuple[ComparisonResult, ...] | None = optional(AGREEMENT)


class AdaptedResult(Result):
    """An adapted optimizer against the baselines."""

    adapted: BaselineEvaluation = field("its evaluation")
    ratios: dict[str, Ratios] = field("its ratios to each baseline")
    agreement: tuple[ComparisonResult, ...] | None = optional(
        f"{AGREEMENT}; absent, because the reference does not have the optimizer"
    )
