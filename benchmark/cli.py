"""The command `loptbench`.

Exit codes: 0 all is well; 1 something that was checked has failed; 2 the call or its input is
wrong; 130 interrupted.
"""

import sys

import click

import loptbench
from loptbench.commands.analyze import analyze
from loptbench.commands.check import check
from loptbench.commands.compare import compare
from loptbench.commands.info import info
from loptbench.commands.listing import list_
from loptbench.commands.meta_train import meta_train
from loptbench.commands.perf import perf
from loptbench.commands.report import report
from loptbench.commands.reproduce import reproduce
from loptbench.commands.run import run
from loptbench.commands.tune import tune
from loptbench.commands.zoo import zoo
from loptbench.errors import LoptbenchError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(loptbench.__version__, prog_name="loptbench")
def cli() -> None:
    """A reproducibility benchmark and test suite for learned optimizers.

    Exit codes: 0 all is well; 1 something that was checked has failed; 2 the call or its input is
    wrong; 130 interrupted.
    """


COMMANDS = (
    *(run, reproduce, report, compare, list_, check),
    *(meta_train, tune, analyze, zoo, perf, info),
)
for command in COMMANDS:
    cli.add_command(command)


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
            "interrupted; run, tune and meta-train go on from here when called again", err=True
        )
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
