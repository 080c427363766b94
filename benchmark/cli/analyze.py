"""`loptbench analyze`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loptbench.cli.completion import complete_checkpoint, complete_implementation, complete_task
from loptbench.cli.notes import adapter_notes
from loptbench.cli.options import mnist_option, set_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EPILOG = """
\b
h is the state of one component, g its gradient; h' = F(h, g), Δ = U(h, g), and A, B, C, D are
their derivatives ∂F/∂h, ∂F/∂g, ∂U/∂h, ∂U/∂g; T is the number of steps of a run. The quantities:
  convergence point   h* = F(h*, 0), the fixed point without a gradient
  drift               the update at h*, which should be zero
  states at h*        fraction of the states of runs that come within 1 % of h* without gradients
  momentum index      fraction of the response to a gradient that follows its own step
  effective rate      −∂U/∂g at h*: the learning rate of the first step
  asymptotic rate     the learning rate of all steps together
  R² of linear        fraction of the updates' variance that the linear system at h* explains
  half-saturation     the gradient at which U is half of its linear extrapolation
  saturation loss     fraction of the linear updates of runs that saturation takes away
  schedule            −∂U/∂g along the trajectory of the state without a gradient, and at the
                      states of runs
  adapted state       the state after T steps of a constant gradient g, from h*
  adaptation ratio    −∂U/∂g at g = 0 in the adapted state of a large gradient (q99, which 1 % of
                      those of runs exceed) over that of a typical one (q50): below 1 the rate
                      falls as gradients grow
  fixed point         a state that a constant gradient g leaves as it is, stable or not
  elasticity          d ln(rate) / d ln|g| along the adapted states: 0 if the rate does not depend
                      on g, −1 for RMSProp
  coverage            the share of what a probe set out to measure that it did measure
"""


def _gradients(
    context: click.Context, option: click.Parameter, text: str | None
) -> "NDArray[np.float64] | None":
    """The gradients in a text such as "-3,1", sorted; None if the option is not given."""
    from loptbench.errors import LoptbenchError
    from loptbench.study.analyze import gradient_grid

    if text is None:
        return None
    try:
        return gradient_grid(text.split(",") if text.strip() else [])
    except LoptbenchError as error:
        raise click.BadParameter(str(error), context, option) from error


@click.command(epilog=EPILOG)
@click.argument("what", shell_complete=complete_checkpoint)
@set_option
@click.option(
    "--implementation",
    shell_complete=complete_implementation,
    default="reference",
    show_default=True,
    help="What computes it.",
)
@click.option(
    "--task",
    shell_complete=complete_task,
    default=None,
    help="The task its runs are on; that of the checkpoint if there is one.",
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the problems."
)
@click.option(
    "--gradients",
    metavar="G,G,…",
    callback=_gradients,
    default=None,
    help="Constant gradients under which adaptation is measured, such as -3,-1,-0.1,0.1,1,3.  "
    "[default: 200 over the range that is met]",
)
@click.option(
    "--save-runs",
    type=click.Path(path_type=Path),
    default=None,
    help="Also write the runs it was measured on to this safetensors file.",
)
@mnist_option
@click.option(
    "--confirm",
    is_flag=True,
    help="Also where mechanisms are kept for the confirmation of the claims: of seeds from 10 on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def analyze(
    what: str,
    settings: dict[str, Any],
    implementation: str,
    task: str | None,
    seed: int,
    gradients: "NDArray[np.float64] | None",
    save_runs: Path | None,
    confirm: bool,
    as_json: bool,
) -> None:
    """Measure the mechanisms of an optimizer.

    WHAT is a checkpoint file, the name of a shipped one, a baseline such as
    momentum:alpha=0.1,beta=0.9, package.module:Object with `initial_state` and `step`, or an
    optimizer of another library, such as torch.optim:AdamW or optax:lion, with --set for its
    settings.
    """
    from loptbench.mechanisms.text import as_text
    from loptbench.results.provenance import machine
    from loptbench.rollout.trajectory import save_trajectory
    from loptbench.storage.weights import refuse_to_overwrite
    from loptbench.study.analyze import count_diverged, first_not_finite, measure

    if save_runs is not None:
        refuse_to_overwrite(save_runs)
    with adapter_notes():
        analysis, run, batch = measure(
            what,
            task,
            implementation=implementation,
            seed=seed,
            gradients=gradients,
            settings=settings,
            confirm=confirm,
        )
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
        on += f" ({first_not_finite(run)})"
    named = ", ".join(f"{name}={value}" for name, value in settings.items())
    click.echo(as_text(f"{what}, {named}" if named else what, analysis, on))
