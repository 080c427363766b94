"""Settings and random generators of the whole process, which a pure call neither sets nor reads.

An optimizer that sets NumPy's seed changes what a user's own code draws afterwards. One that sets
torch's default dtype changes the precision of others. `unchanged` notices both and undoes them.

Only packages that are imported already are looked at.
"""

import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from loptbench.errors import ContractError


class Setting(NamedTuple):
    """A piece of global state.

    Attributes:
        name: its name in messages.
        read: returns its value, which compares equal to itself.
        write: sets it to a value that `read` returned.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _read_numpy_generator() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return name, np.asarray(keys).tobytes(), *rest


def _write_numpy_generator(value: tuple[Any, ...]) -> None:
    name, keys, *rest = value
    np.random.set_state((name, np.frombuffer(keys, np.uint32), *rest))  # noqa: NPY002


def _write_warning_filters(value: list[Any]) -> None:
    warnings.filters[:] = value  # type: ignore[index]  # a list, though typeshed says Sequence


SETTINGS = (
    Setting("the seed and state of random", random.getstate, random.setstate),
    Setting("the seed and state of numpy.random", _read_numpy_generator, _write_numpy_generator),
    Setting("numpy's handling of errors (np.seterr)", np.geterr, lambda value: np.seterr(**value)),
)

WARNING_FILTERS = Setting(
    "the filters of warnings", lambda: list(warnings.filters), _write_warning_filters
)
"""Compared only if nothing was imported meanwhile: packages add filters as they are imported."""

JAX_OPTIONS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_disable_jit",
    "jax_debug_nans",
    "jax_numpy_dtype_promotion",
)


def settings() -> list[Setting]:
    """The settings of Python, NumPy, and those of torch and jax that are imported."""
    found = list(SETTINGS)
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and hasattr(torch, "get_rng_state"):  # else it is half imported
        found += _torch_settings(torch)
    if jax is not None and hasattr(jax, "config"):
        found += [_jax_setting(jax, option) for option in JAX_OPTIONS]
    return found


def _torch_settings(torch: Any) -> list[Setting]:
    def write_generator(value: bytes) -> None:
        torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))

    return [
        Setting(
            "the seed and state of torch",
            lambda: torch.get_rng_state().numpy().tobytes(),
            write_generator,
        ),
        Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting("torch's default device", torch.get_default_device, torch.set_default_device),
        Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        Setting(
            "torch's choice of deterministic algorithms",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
    ]


def _jax_setting(jax: Any, option: str) -> Setting:
    return Setting(
        f"jax's option {option}",
        lambda: getattr(jax.config, option),
        lambda value: jax.config.update(option, value),
    )


@contextmanager
def unchanged(call_name: str) -> Iterator[None]:
    """Require that a block of calls leaves global state as it was.

    What has changed is set back in any case, also if the block raises.

    Args:
        call_name: name of the call in messages.

    Raises:
        ContractError: the block changed a setting, or drew from a random generator that the whole
            process shares. This is raised in place of a ContractError of the block, which is a
            consequence then: a step that draws returns something else each time.

    >>> with unchanged("step"):
    ...     random.seed(0)
    Traceback (most recent call last):
    loptbench.errors.ContractError: step changes the seed and state of random, which belongs to \
the whole process
    """
    before = [(setting, setting.read()) for setting in settings()]
    filters, n_modules = WARNING_FILTERS.read(), len(sys.modules)
    changed = []
    failure = None
    try:
        yield
    except ContractError as error:
        failure = error
    finally:
        for setting, value in before:
            if setting.read() != value:
                setting.write(value)
                changed.append(setting.name)
        if len(sys.modules) == n_modules and WARNING_FILTERS.read() != filters:
            WARNING_FILTERS.write(filters)
            changed.append(WARNING_FILTERS.name)
    if changed:
        raise ContractError(
            f"{call_name} changes {' and '.join(changed)}, which belongs to the whole process"
        ) from failure
    if failure is not None:
        raise failure


@contextmanager
def other_seeds(seed: int) -> Iterator[None]:
    """Run a block under other seeds of random, numpy.random and torch; then set them back."""
    generators = [
        setting for setting in settings() if setting.name.startswith("the seed and state of ")
    ]
    before = [(setting, setting.read()) for setting in generators]
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "manual_seed"):
            torch.manual_seed(seed)
        yield
    finally:
        for setting, value in before:
            setting.write(value)


@contextmanager
def other_value(name: str, value: Any) -> Iterator[bool]:
    """Run a block with a setting at another value; then set it back.

    Yields whether there is such a setting, and whether it had another value.
    """
    for setting in settings():
        if setting.name == name and (before := setting.read()) != value:
            try:
                setting.write(value)
                yield True
            finally:
                setting.write(before)
            return
    yield False
