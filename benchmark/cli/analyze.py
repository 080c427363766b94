"""`loptbench analyze`."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click
import numpy as np

from loptbench.cli.options import mnist_option
from loptbench.discovery import get_implementation, import_object, oracle
from loptbench.errors import ContractError, LoptbenchError
from loptbench.mechanisms.analysis import measure
from loptbench.mechanisms.text import as_text
from loptbench.optimizers import BASELINES, KINDS, OptimizerSpec, baseline
from loptbench.protocol import Optimizer, Trajectory
from loptbench.results.provenance import machine
from loptbench.rollout.trajectory import save_trajectory
from loptbench.storage.weights import Checkpoint, load_checkpoint, refuse_to_overwrite
from loptbench.tasks import get_task
from loptbench.zoo.catalogue import names, shipped

WORDS = """
\b
h is the state of one component, g its gradient; h' = F(h, g), Δ = U(h, g), and A, B, C, D are
their derivatives ∂F/∂h, ∂F/∂g, ∂U/∂h, ∂U/∂g. What is told:
  convergence point   h* = F(h*, 0), where the state rests without a gradient
  drift               the update there, which should be nothing
  momentum index      the share of the answer to a gradient that comes after its step
  effective rate      −∂U/∂g at h*: the learning rate of that step alone
  asymptotic rate     that of all steps together
  R² of linear        how much of the runs' updates the linear system at h* accounts for
  half-saturation     the gradient at which U is half of what a straight line makes of it
  rate                −∂U/∂g along the way that the state takes without a gradient
  elasticity          d ln(rate) / d ln|g|, of the state that a steady gradient leads to:
                      0 where the rate does not depend on it, −1 for RMSProp
"""


@click.command(epilog=WORDS)
@click.argument("what")
@click.option("--implementation", default="reference", show_default=True, help="What computes it.")
@click.option(
    "--task", default=None, help="The task its runs are on; that of the checkpoint if there is one."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the problems."
)
@click.option(
    "--save-runs",
    type=click.Path(path_type=Path),
    default=None,
    help="Also write the runs it was measured on to this safetensors file.",
)
@mnist_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def analyze(
    what: str,
    implementation: str,
    task: str | None,
    seed: int,
    save_runs: Path | None,
    as_json: bool,
) -> None:
    """Measure the mechanisms of an optimizer.

    WHAT is a checkpoint file, the name of a shipped one, a baseline such as
    momentum:alpha=0.1,beta=0.9, or package.module:Object with `initial_state` and `step`.
    """
    found = _resolve(what)
    name = task or (found.task if isinstance(found, Checkpoint) else "quadratic")
    get_task(name)
    if isinstance(found, Checkpoint):
        found = found.optimizer
    if isinstance(found, OptimizerSpec):
        one = get_implementation(implementation)
        if found.kind not in one.optimizers or "float64" not in one.dtypes:
            raise LoptbenchError(f"{implementation} does not compute {found.kind!r} in float64")
        optimizer = one.optimizer(found.rounded_to("float64"), "float64", "cpu")
    else:
        optimizer = found
    if save_runs is not None:
        refuse_to_overwrite(save_runs)
    try:
        with redirect_stdout(sys.stderr):  # whatever the optimizer prints
            analysis, run, batch = measure(optimizer, name, seed, oracle())
    except LoptbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise LoptbenchError(
            f"{what} failed while it was run: {type(error).__name__}: {error}; see "
            "loptbench.protocol.Optimizer for what it must offer"
        ) from error
    if save_runs is not None:
        about = {"what": what, "implementation": implementation, "task": name, "seed": seed}
        split = {"split": batch.split, "n_problems": batch.n_problems}
        save_trajectory(run, {**about, **split, **machine()}, save_runs)
    if as_json:
        click.echo(json.dumps(analysis.model_dump(mode="json"), allow_nan=False))
    else:
        click.echo(as_text(what, analysis, _on(run, name, seed)))


def _on(run: Trajectory, task: str, seed: int) -> str:
    """What the runs were, and how many of them blew up."""
    n_steps, n_problems = run.loss.shape
    said = f"on {n_problems} problems of {task}, seed {seed}, {n_steps} steps each"
    steady = np.all(np.isfinite(run.loss), axis=0) & np.all(np.isfinite(run.parameters[-1]), axis=1)
    blown = n_problems - int(steady.sum())
    if blown:
        said += f"; {blown} of them blew up, so what takes whole runs is left out"
    return said


def _resolve(what: str) -> Checkpoint | OptimizerSpec | Optimizer:
    prefix, colon, rest = what.partition(":")
    if what in names():
        return shipped(what)
    if colon and prefix in KINDS:
        return _baseline(prefix, rest)
    if colon and not Path(what).exists():
        if "=" in rest:
            known = ", ".join(sorted(BASELINES))
            raise LoptbenchError(f"no baseline {prefix!r}; there are {known}")
        found: Any = import_object(what)
        optimizer = _made(what, found) if isinstance(found, type) else found
        missing = [
            m for m in ("initial_state", "step") if not callable(getattr(optimizer, m, None))
        ]
        if missing:
            raise ContractError(
                f"{what} is not an optimizer: it has no {' and no '.join(missing)}; "
                "see loptbench.protocol.Optimizer"
            )
        return optimizer  # type: ignore[no-any-return]  # imported at run time
    return load_checkpoint(what)


def _made(what: str, kind: type) -> Any:
    try:
        return kind()
    except Exception as error:
        raise LoptbenchError(
            f"{what} is a class, to be called without arguments, and that failed: "
            f"{type(error).__name__}: {error}; name an instance of it"
        ) from error


def _baseline(kind: str, rest: str) -> OptimizerSpec:
    if kind not in BASELINES:
        raise LoptbenchError(f"{kind!r} has no hyperparameters; give a checkpoint file")
    wanted = sorted(BASELINES[kind])
    example = ",".join(f"{name}=0.1" for name in wanted)
    try:
        pairs = [(k, float(v)) for k, v in (pair.split("=") for pair in rest.split(","))]
    except ValueError:
        raise LoptbenchError(f"{rest!r} is not of the form {example}") from None
    values = dict(pairs)
    if sorted(name for name, _ in pairs) != wanted:
        raise LoptbenchError(f"{kind} takes {', '.join(wanted)}: give {kind}:{example}")
    return baseline(kind, **values)
