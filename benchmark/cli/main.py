"""The command `loptbench`.

Exit codes: 0 all is well; 1 something that was checked has failed; 2 the call or its input is
wrong; 130 interrupted.
"""

import importlib
import sys
from importlib.metadata import version

import click

from loptbench.cli.compilation_cache import use_compilation_cache
from loptbench.errors import LoptbenchError

COMMANDS = {
    "analyze": ("analyze:analyze", "Measure the mechanisms of an optimizer."),
    "check": ("check:check", "Check an implementation, cheapest check first."),
    "compare": ("compare:compare", "Show the results in two stores side by side."),
    "export": ("export:export", "Write the results in a store as tables."),
    "gallery": ("gallery:gallery", "Every optimizer of torch.optim and optax, measured."),
    "horizon": ("horizon:horizon", "Runs longer than meta-training's, beside tuned baselines."),
    "import": ("import_:import_", "Make a checkpoint of somebody else's learned optimizer."),
    "info": ("info:info", "Versions, machine and checkpoints, for a bug report."),
    "list": ("listing:list_", "Implementations, tasks, checkpoints and checks."),
    "meta-train": (
        "meta_train:meta_train",
        "Meta-train a learned optimizer on a task.",
    ),
    "meta-tune": ("meta_tune:meta_tune", "Search the settings of meta-training, at random."),
    "new": ("new:new", "Write a skeleton to start from, with its test."),
    "perf": ("perf:perf", "Time parts beside references."),
    "report": ("report:report", "Write the HTML report of the results in a store."),
    "reproduce": ("reproduce:reproduce", "Meta-train, tune, measure and judge, into one folder."),
    "run": ("run:run", "Run the benchmark: agreement, evaluation and mechanisms."),
    "statistics": ("statistics:statistics", "Check the intervals and the arithmetic."),
    "tune": ("tune:tune", "Search the hyperparameters of the baselines, at random."),
    "zoo": ("zoo:zoo", "List the shipped learned optimizers, or evaluate them."),
}
"""The module and attribute of each command, and its line in the list of commands.

Only the called command is imported, because importing all of them takes seconds."""


class Commands(click.Group):
    """The commands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command with that name; None if there is none."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(
            importlib.import_module(f"loptbench.cli.{module}"), attribute
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version("loptbench"), prog_name="loptbench")
def cli() -> None:
    """A reproducibility benchmark and test suite for learned optimizers.

    Exit codes: 0 all is well; 1 something that was checked has failed; 2 the call or its input is
    wrong; 130 interrupted.
    """


RESUMING = {"run", "tune", "meta-train", "meta-tune", "reproduce"}
"""The commands that, called again, go on from where they were interrupted."""


def main() -> None:
    """Run the command; a user's mistake is one sentence, never a traceback."""
    use_compilation_cache()
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except LoptbenchError as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        resumes = RESUMING.intersection(sys.argv[1:2])
        goes_on = "; the same command goes on from here" if resumes else ""
        click.echo(f"interrupted{goes_on}", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
