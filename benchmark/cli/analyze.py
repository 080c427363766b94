"""`loptbench analyze`."""

import json
from pathlib import Path

import click

from loptbench.cli.options import mnist_option

EPILOG = """
\b
h is the state of one component, g its gradient; h' = F(h, g), Δ = U(h, g), and A, B, C, D are
their derivatives ∂F/∂h, ∂F/∂g, ∂U/∂h, ∂U/∂g. The quantities:
  convergence point   h* = F(h*, 0), the fixed point without a gradient
  drift               the update at h*, which should be zero
  momentum index      fraction of the response to a gradient that follows its own step
  effective rate      −∂U/∂g at h*: the learning rate of the first step
  asymptotic rate     the learning rate of all steps together
  R² of linear        fraction of the updates' variance that the linear system at h* explains
  half-saturation     the gradient at which U is half of its linear extrapolation
  rate                −∂U/∂g along the trajectory of the state without a gradient
  elasticity          d ln(rate) / d ln|g| at the fixed point under a constant gradient g:
                      0 if the rate does not depend on g, −1 for RMSProp
"""


@click.command(epilog=EPILOG)
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
    from loptbench.mechanisms.text import as_text
    from loptbench.results.provenance import machine
    from loptbench.rollout.trajectory import save_trajectory
    from loptbench.storage.weights import refuse_to_overwrite
    from loptbench.study.analyze import count_diverged, measure

    if save_runs is not None:
        refuse_to_overwrite(save_runs)
    analysis, run, batch = measure(what, task, implementation=implementation, seed=seed)
    if save_runs is not None:
        about = {
            "what": what,
            "implementation": implementation,
            "task": batch.task,
            "seed": seed,
            "split": batch.split,
            "n_problems": batch.n_problems,
        }
        save_trajectory(run, {**about, **machine()}, save_runs)
    if as_json:
        click.echo(json.dumps(analysis.model_dump(mode="json"), allow_nan=False))
        return
    on = f"on {batch.n_problems} problems of {batch.task}, seed {seed}, {len(run.loss)} steps each"
    if n_diverged := count_diverged(run):
        on += f"; {n_diverged} of them blew up, so what takes whole runs is left out"
    click.echo(as_text(what, analysis, on))
