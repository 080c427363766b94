"""Tune baselines: what `loptbench tune` and `loptbench.tune` run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loptbench.adapters.implementation import AdaptingImplementation
from loptbench.adapters.kinds import NO_SETTINGS
from loptbench.discovery import get_implementation, source_of
from loptbench.engines.engine import Engine
from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES
from loptbench.progress import progress, say_done
from loptbench.rollout.offered import require_task
from loptbench.tasks import SHIPPED, get_task
from loptbench.tuning.families import NO_RANGES, plan_family
from loptbench.tuning.ranges import Range
from loptbench.tuning.searches import plan_searches
from loptbench.tuning.searches import tune as run_searches
from loptbench.tuning.tuned_file import Tuned, load_tuned


def tune(
    output: Path,
    *,
    tasks: Iterable[str] = (),
    baselines: Iterable[str] = (),
    optimizer: str | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    ranges: Mapping[str, Range] = NO_RANGES,
    implementation: str | None = None,
    seed: int = 0,
    n_draws: int | None = None,
    n_problems: int | None = None,
    engine: Engine | None = None,
) -> Tuned:
    """Search the hyperparameters of baselines, at random, on the `tune` problems of tasks.

    After an interruption, the same call continues from the last saved block. When all is done, it
    returns what is there.

        tune(Path("tuned.json"), tasks=["quadratic"], baselines=["sgd"], n_draws=100)
        tune(Path("lion.json"), tasks=["quadratic"], optimizer="optax:lion")

    Args:
        output: the JSON file to write; it must not exist.
        tasks: the names of the tasks; all if empty.
        baselines: the names of the baselines, such as `adam` or, with a schedule, `cosine_adam`;
            all without a schedule if empty.
        optimizer: instead of baselines an optimizer of another library, such as `optax:lion`.
        settings: settings of it that are fixed.
        ranges: the ranges of those that are searched; of its learning rate alone if empty.
        implementation: the implementation that computes, such as `jax` or `torch`. If None,
            `torch` for an optimizer of PyTorch, else `jax`.
        seed: the seed of the draws and of the problems.
        n_draws: draws from the whole range; those of the shipped searches if None. The draws that
            refine the search shrink and grow with them.
        n_problems: problems per draw; those of the shipped searches if None.
        engine: what runs the searches side by side, as `loptbench.engines.choice.make_engine` makes
            it; this process, one after the other, if None.

    Raises:
        LoptbenchError: a name or a number is wrong, the optimizer is not component-wise, the file
            exists or cannot be written, or every draw of a search diverged.
    """
    chosen = [get_task(name) for name in dict.fromkeys(tasks or SHIPPED)]
    kinds = list(dict.fromkeys(baselines or BASELINES))
    if implementation is None:
        implementation = "torch" if (optimizer or "").startswith("torch.") else "jax"
    computing = get_implementation(implementation)
    known = {source_of(implementation): computing}
    if optimizer is not None:
        if baselines:
            raise LoptbenchError(
                f"baselines and {optimizer} are tuned one after the other, into a file each; "
                "'loptbench run' takes several files"
            )
        family = plan_family(optimizer, settings, ranges)
        computing, kinds = AdaptingImplementation(computing, [family]), [family.name]
    elif settings or ranges:
        raise LoptbenchError(
            "baselines have neither settings nor ranges to be given; name an optimizer, such as "
            "optax:sgd"
        )
    numbers: dict[str, Any] = {"n_draws": n_draws, "n_problems": n_problems}
    changes = {name: value for name, value in numbers.items() if value is not None}
    searches = plan_searches(computing, chosen, kinds, seed=seed, **changes)
    total = sum(settings.n_total for *_, settings in searches)
    if output.exists():
        tuned = load_tuned(output)
        if tuned.matches(computing, searches):
            say_done("tuning", total)
            return tuned
    for task in chosen:
        require_task(computing, task)
    with progress("tuning", total) as report:
        return run_searches(computing, searches, output, report, engine, known)
