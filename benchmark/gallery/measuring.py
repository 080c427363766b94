"""Measure the optimizers of `torch.optim` and `optax`, and read the table that is shipped."""

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from loptbench.adapters import AdapterWarning
from loptbench.errors import LoptbenchError, NotComponentWiseError, UnknownNameError
from loptbench.results.schema.mechanisms import MechanismsResult, NotApplicable
from loptbench.study.analyze import analyze

if TYPE_CHECKING:
    from pandas import DataFrame

TASK, SEED, N_PROBLEMS = "quadratic", 0, 8
"""The problems on which they run."""

LEARNING_RATE = 0.01
"""The learning rate of all; other settings are the library's defaults."""

COLUMNS = {
    "optimizer": "its name",
    "settings": "what it was made with, beside the defaults",
    "momentum_index": "fraction of the response to a gradient that follows its own step",
    "first_rate": "learning rate of the first step, −∂U/∂g at a gradient of 0",
    "last_over_peak": "last learning rate over the highest, without gradients: 1 is no schedule",
    "half_saturation": "gradient at which the update is half of linear, over the median gradient "
    "of runs, at the first state where there is one",
    "adaptation_ratio": "learning rate in the adapted state of a large gradient over that of a "
    "typical one: 1 is no adaptation",
    "elasticity": "d ln(rate) / d ln|g| along adapted states: −1 divides by |g|",
    "note": "why a number is missing, or what is left out",
    "refused": "why it cannot be measured at all; empty if it was",
    "version": "the version of its library",
}
"""The columns of the table."""


def names() -> list[str]:
    """The optimizers of both libraries, as they are named on the command line.

    Of optax, those are the functions that make a whole optimizer, which one of its modules defines.

    Raises:
        LoptbenchError: a library is not installed.
    """
    torch_optim, optax = import_library("torch.optim"), import_library("optax")
    classes = [
        f"torch.optim:{name}"
        for name, found in sorted(vars(torch_optim).items())
        if inspect.isclass(found)
        and issubclass(found, torch_optim.Optimizer)
        and found is not torch_optim.Optimizer
    ]
    module = inspect.getmodule(optax.adam)
    functions = [
        f"optax:{name}"
        for name, found in sorted(vars(optax).items())
        if inspect.isfunction(found) and inspect.getmodule(found) is module
    ]
    return [*classes, *functions]


def import_library(name: str) -> Any:
    """Import a library.

    Raises:
        LoptbenchError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise LoptbenchError(
            f"the gallery needs {error.name!r}, not installed: pip install 'loptbench[torch,jax]'"
        ) from error


def measure(
    only: Iterable[str] = (), report: Callable[[str], object] = lambda _: None
) -> "DataFrame":
    """The gallery's table; `COLUMNS` describes its columns.

    Args:
        only: names such as `optax:lion`; all if empty.
        report: called with the name of each one before it is measured.

    Raises:
        UnknownNameError: there is no such optimizer.
    """
    import pandas as pd

    every = names()
    chosen = list(only) or every
    for name in chosen:
        if name not in every:
            raise UnknownNameError("optimizer", name, every)
    rows = []
    for name in chosen:
        report(name)
        rows.append(_row(name))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(name: str) -> dict[str, Any]:
    module, _, attribute = name.partition(":")
    library, package = import_library(module), module.partition(".")[0]
    parameters = inspect.signature(getattr(library, attribute)).parameters
    settings = {key: LEARNING_RATE for key in ("lr", "learning_rate") if key in parameters}
    row: dict[str, Any] = {
        "optimizer": name,
        "settings": ", ".join(f"{key}={value}" for key, value in settings.items()),
        "version": f"{package} {version(package).partition('+')[0]}",
        "note": "",
        "refused": "",
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            analysis = analyze(name, TASK, seed=SEED, n_problems=N_PROBLEMS, settings=settings)
        except LoptbenchError as error:
            reason = str(error).removeprefix(f"{name} is not component-wise: ")
            kind = "" if isinstance(error, NotComponentWiseError) else "not measured: "
            return {**row, "refused": kind + reason.removeprefix(f"{name}: ")}
    notes = ["weight decay left out" for each in caught if each.category is AdapterWarning]
    return {**row, **_numbers(analysis, notes)}


def _numbers(analysis: MechanismsResult, notes: list[str]) -> dict[str, Any]:
    """The numbers of a row, and its note."""
    numbers: dict[str, Any] = {}
    parts: tuple[tuple[str, Any, Callable[[Any], dict[str, float]]], ...] = (
        ("momentum", analysis.momentum, lambda m: {"momentum_index": m.index}),
        (
            "schedule",
            analysis.schedule,
            lambda s: {"first_rate": s.rate[0], "last_over_peak": s.last_over_peak},
        ),
        (
            "clipping",
            analysis.clipping,
            lambda c: {"half_saturation": np.min(c.states[0].half_saturation) / c.typical_gradient},
        ),
        (
            "adaptation",
            analysis.adaptation,
            lambda a: {
                "adaptation_ratio": np.mean(a.ratio["T"]),
                "elasticity": np.mean(a.readings["T"].elasticity) if "T" in a.readings else np.nan,
            },
        ),
    )
    for probe, result, read in parts:
        if isinstance(result, NotApplicable):
            notes.append(f"no {probe}: {result.reason}")
        else:
            numbers |= {name: float(value) for name, value in read(result).items()}
    return {**numbers, "note": "; ".join(notes)}


def shipped() -> "DataFrame":
    """The table that is shipped.

    >>> table = shipped()
    >>> table[table.optimizer == "torch.optim:LBFGS"].refused.item()
    'its step needs a closure that computes the loss'
    """
    import pandas as pd

    path = resources.files("loptbench.gallery") / "gallery.csv"
    with path.open() as file:
        table = pd.read_csv(file, float_precision="round_trip")
    return table.fillna(dict.fromkeys(("settings", "note", "refused"), ""))
