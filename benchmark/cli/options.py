"""Options that several commands share."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from loptbench.engines.choice import ENGINES, JOBS, make_engine

if TYPE_CHECKING:
    from loptbench.tuning.ranges import Range

F = TypeVar("F", bound=Callable[..., Any])

DTYPES = ("float32", "float64")


def _use_mnist(context: click.Context, _option: click.Parameter, folder: Path | None) -> None:
    if folder is not None:
        from loptbench.tasks import use_mnist

        use_mnist(folder)
        context.meta["mnist"] = folder


def mnist_option(command: F) -> F:
    """Add `--mnist DIR`, which makes `digits` use MNIST instead of scikit-learn's digits."""
    option: Callable[[F], F] = click.option(
        "--mnist",
        metavar="DIR",
        type=click.Path(path_type=Path),
        default=None,
        expose_value=False,
        is_eager=True,
        callback=_use_mnist,
        help="Take MNIST's IDX files in DIR, gzipped or not, as the data of `digits`.",
    )
    return option(command)


def device_option(command: F) -> F:
    """Add `--device`, the device to compute on."""
    option: Callable[[F], F] = click.option(
        "--device", default="cpu", show_default=True, help="Where to compute: cpu or cuda."
    )
    return option(command)


def jobs_option(command: F) -> F:
    """Add `--jobs`, the number of processes that compute."""
    option: Callable[[F], F] = click.option(
        "--jobs",
        default=JOBS,
        show_default=True,
        type=click.IntRange(1),
        help="Compute in so many processes; each may take three GB.",
    )
    return option(command)


def engine_options(jobs: int = JOBS) -> Callable[[F], F]:
    """Add `--engine`, `--scheduler` and `--jobs`; the command is handed the `engine` they name.

    Args:
        jobs: the default number of processes.
    """
    options = (
        click.option(
            "--jobs",
            default=jobs,
            show_default=True,
            type=click.IntRange(1),
            help="Compute in so many processes of this machine; each may take three GB. With "
            "--engine dask, workers of its cluster on this machine; --scheduler has its own.",
        ),
        click.option(
            "--engine",
            "engine_name",
            type=click.Choice(ENGINES),
            default=None,
            help="What runs the work: processes of this machine, or a dask cluster, on this "
            "machine unless --scheduler names one. [default: local; dask with --scheduler]",
        ),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            default=None,
            help="The scheduler of a dask cluster, such as tcp://10.0.0.1:8786.",
        ),
    )

    def add(command: F) -> F:
        @functools.wraps(command)
        def with_engine(
            *arguments: Any, engine_name: str | None, scheduler: str | None, jobs: int, **more: Any
        ) -> Any:
            if scheduler is not None and engine_name == "local":
                raise click.UsageError("--scheduler goes with --engine dask")
            name = engine_name or ("local" if scheduler is None else "dask")
            with make_engine(name, jobs, scheduler) as engine:
                return command(*arguments, engine=engine, **more)

        decorated: Any = with_engine
        for option in reversed(options):
            decorated = option(decorated)
        return cast(F, decorated)

    return add


def _by_name(
    context: click.Context,
    option: click.Parameter,
    texts: tuple[str, ...],
    parse: Callable[[str], tuple[str, Any]],
    what: str,
) -> dict[str, Any]:
    """What an option was given, by name; each name once."""
    from loptbench.errors import LoptbenchError

    try:
        pairs = [parse(text) for text in texts]
    except LoptbenchError as error:
        raise click.BadParameter(str(error), context, option) from error
    named = dict(pairs)
    if len(named) < len(pairs):
        raise click.BadParameter(f"a {what} is given twice", context, option)
    return named


def range_option(help_text: str, **messages: str) -> Callable[[F], F]:
    """Add `--range`, which the command gets as `ranges`, by name.

    Args:
        help_text: what is searched.
        messages: `if_empty` and `example` of `loptbench.tuning.ranges.parse_range`.
    """

    def ranges(
        context: click.Context, option: click.Parameter, texts: tuple[str, ...]
    ) -> "dict[str, Range]":
        from loptbench.tuning.ranges import parse_range

        parse = functools.partial(parse_range, **messages)
        return _by_name(context, option, texts, parse, "range")

    return click.option(
        "--range",
        "ranges",
        metavar="NAME=LOW:HIGH",
        multiple=True,
        callback=ranges,
        help=help_text,
    )


def refuse_options(context: click.Context, names: Iterable[str], why: str) -> None:
    """Refuse options that would not be used.

    Args:
        context: the context of the command.
        names: the names of the command's parameters.
        why: what the message says after the name of the option.
    """
    for name in names:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}")


def confirm_option(command: F) -> F:
    """Add `--confirm`, which the command gets as `confirm`."""
    return click.option(
        "--confirm",
        is_flag=True,
        help="Also measure mechanisms that are kept for the confirmation of the claims: of seeds "
        "from 10 on. The store records that it has been spent.",
    )(command)


def claims_option(help_text: str) -> Callable[[F], F]:
    """Add `--claims`: an edition of the claims, or a file of them; None if it is not given."""
    return click.option(
        "--claims", metavar="1|2|FILE", default=None, help=f"{help_text} [default: 2]"
    )


def _settings(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, Any]:
    if not texts:
        return {}
    from loptbench.adapters import parse_setting

    return _by_name(context, option, texts, parse_setting, "setting")


def set_option(command: F) -> F:
    """Add `--set NAME=VALUE`, the settings of a named optimizer."""
    option: Callable[[F], F] = click.option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_settings,
        help="A setting of the optimizer, such as lr=1e-3. Repeatable.",
    )
    return option(command)
