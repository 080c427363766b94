"""The command `loptbench`.

Exit codes: 0 all is well; 1 something that was checked has failed; 2 the call or its input is
wrong; 130 interrupted.
"""

import importlib
import sys
from importlib.metadata import version

import click

from loptbench.errors import LoptbenchError

COMMANDS = {
    "analyze": "analyze:analyze",
    "check": "check:check",
    "compare": "compare:compare",
    "export": "export:export",
    "info": "info:info",
    "list": "listing:list_",
    "meta-train": "meta_train:meta_train",
    "perf": "perf:perf",
    "report": "report:report",
    "reproduce": "reproduce:reproduce",
    "run": "run:run",
    "tune": "tune:tune",
    "zoo": "zoo:zoo",
}
"""Where each command is. Only the one that is called is imported: all together take seconds."""


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        found: click.Command = getattr(
            importlib.import_module(f"loptbench.cli.{module}"), attribute
        )
        return found


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


def main() -> None:
    """Run the command; a user's mistake is one sentence, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except LoptbenchError as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "interrupted; run, tune, meta-train and reproduce go on from here when called again",
            err=True,
        )
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
