"""Optimizers that users bring are measured right, or refused with the cause."""

import random
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import loptbench
from loptbench.cli import main as cli
from loptbench.discovery import oracle
from loptbench.errors import ContractError, LoptbenchError
from loptbench.global_state import settings, unchanged
from loptbench.mechanisms.dynamics.contract import pace, require_optimizer
from loptbench.results.schema.mechanisms import (
    ConvergencePointResult,
    MomentumResult,
    ScheduleResult,
)
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.study.analyze import first_not_finite
from loptbench.tasks import get_task
from loptbench.tests.mechanisms.brought_faults import REFUSED, ROUNDS
from loptbench.tests.mechanisms.brought_jacobians import WRONG_JACOBIANS, WrongLinearize
from loptbench.tests.mechanisms.brought_optimizers import (
    RIGHT,
    Momentum,
    doing,
    returning,
    with_rate,
)

pytestmark = pytest.mark.harness


def require_momentum(optimizer: Any) -> None:
    analysis = loptbench.analyze(optimizer, n_problems=1)
    assert isinstance(analysis.momentum, MomentumResult)
    assert isinstance(analysis.schedule, ScheduleResult)
    assert analysis.momentum.index == pytest.approx(0.9, rel=1e-9)
    np.testing.assert_allclose(analysis.schedule.rate, 0.1, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:step:UserWarning")
@pytest.mark.parametrize("form", RIGHT)
def test_an_unusual_form_is_measured_right(form: str) -> None:
    require_momentum(RIGHT[form]())


@pytest.mark.parametrize("fault", [*REFUSED, *WRONG_JACOBIANS])
def test_a_fault_is_named(fault: str) -> None:
    make, message = (REFUSED | WRONG_JACOBIANS)[fault]
    with pytest.raises(LoptbenchError, match=message):
        loptbench.analyze(make(), n_problems=1)


@pytest.mark.parametrize("fault", ["remembers", "float32 update", "draws from NumPy", "raises"])
def test_the_command_prints_the_same_sentence(
    fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = REFUSED[fault]
    monkeypatch.setattr(sys.modules[__name__], "Brought", make(), raising=False)
    monkeypatch.setattr(sys, "argv", ["loptbench", "analyze", f"{__name__}:Brought"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_right_jacobians_are_accepted() -> None:
    require_optimizer(WrongLinearize())


@pytest.mark.parametrize("n_state", [0, 3, 10_000])
def test_states_of_any_size_are_checked(n_state: int) -> None:
    class Wide:
        def initial_state(self, n: int) -> Any:
            return np.zeros((n, n_state))

        def step(self, h: Any, g: Any) -> Any:
            new = 0.9 * h + g[:, None]
            return new, -0.1 * (g + new.sum(axis=1))

    require_optimizer(Wide())


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture
def jax() -> Any:
    return pytest.importorskip("jax")


def test_tensors_in_float64_are_converted(torch: Any) -> None:
    require_momentum(returning(torch.from_numpy)())


def test_arrays_of_jax_in_float64_are_converted(jax: Any) -> None:
    def convert(array: Any) -> Any:
        with jax.enable_x64(True):
            return jax.numpy.asarray(array)

    require_momentum(returning(convert)())


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda t, x: t.tensor(x, requires_grad=True), "requires grad"),
        (lambda t, x: t.tensor(x, device="meta"), "NumPy cannot read it"),
        (lambda t, x: t.tensor(x, dtype=t.bfloat16), "NumPy cannot read it"),
        (lambda t, x: t.tensor(x, dtype=t.float32), "its default dtype"),
    ],
)
def test_tensors_that_are_no_arrays_are_refused(
    torch: Any, convert: Callable[[Any, Any], Any], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        loptbench.analyze(returning(lambda array: convert(torch, array))(), n_problems=1)


def test_arrays_of_jax_in_float32_are_refused(jax: Any) -> None:
    with pytest.raises(ContractError, match="unless jax_enable_x64 is set"):
        loptbench.analyze(returning(jax.numpy.float32)(), n_problems=1)


def test_rounding_by_the_default_dtype_is_named(torch: Any) -> None:
    class Rounds(Momentum):
        def step(self, h: Any, g: Any) -> Any:
            rounded = torch.tensor(g.tolist()).numpy().astype(np.float64)
            return super().step(h, rounded)

    with pytest.raises(ContractError, match=f"{ROUNDS}; it follows torch's default dtype"):
        loptbench.analyze(Rounds(), n_problems=1)


def test_rounding_by_the_option_of_jax_is_named(jax: Any) -> None:
    class Rounds(Momentum):
        def step(self, h: Any, g: Any) -> Any:
            return super().step(h, np.asarray(jax.numpy.asarray(g), np.float64))

    with pytest.raises(ContractError, match=f"{ROUNDS}; it follows jax's option jax_enable_x64"):
        loptbench.analyze(Rounds(), n_problems=1)


TORCH_ACTIONS: dict[str, Callable[[Any], object]] = {
    "torch's default dtype": lambda torch: torch.set_default_dtype(torch.float64),
    "torch's grad mode": lambda torch: torch.set_grad_enabled(False),
    "the seed and state of torch": lambda torch: torch.manual_seed(0),
    "torch's default device": lambda torch: torch.set_default_device("meta"),
}


@pytest.mark.parametrize("name", TORCH_ACTIONS)
def test_a_setting_of_torch_that_changes_is_named(torch: Any, name: str) -> None:
    with pytest.raises(ContractError, match=f"changes {name}"):
        loptbench.analyze(doing(lambda: TORCH_ACTIONS[name](torch))(), n_problems=1)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_an_option_of_jax_that_changes_is_named(jax: Any) -> None:
    def enable() -> None:
        jax.config.update("jax_enable_x64", True)

    with pytest.raises(ContractError, match="changes jax's option jax_enable_x64"):
        loptbench.analyze(doing(enable)(), n_problems=1)
    assert not jax.config.jax_enable_x64


def test_a_rate_by_the_grad_mode_is_refused(torch: Any) -> None:
    by_mode = with_rate(lambda h, g: 1.0 + torch.is_grad_enabled())
    with pytest.raises(ContractError, match="depends on torch's grad mode"):
        loptbench.analyze(by_mode(), n_problems=1)


def test_an_optimizer_that_differentiates_inside_is_accepted(torch: Any) -> None:
    """It fails without grad mode, which is no fault."""

    class Differentiates(Momentum):
        def step(self, h: Any, g: Any) -> Any:
            x = torch.tensor(np.zeros(len(g)), requires_grad=True)
            (gradient,) = torch.autograd.grad((x * torch.tensor(g)).sum(), x)
            return super().step(h, gradient.numpy())

    require_momentum(Differentiates())


def test_a_setting_that_changes_late_is_noticed() -> None:
    calls = [0]

    def late() -> None:
        calls[0] += 1
        if calls[0] == 600:
            random.seed(1)

    with pytest.raises(ContractError, match="state of random"):
        loptbench.analyze(doing(late)(), n_problems=1)


def test_global_state_is_set_back_whatever_happens() -> None:
    before = [setting.read() for setting in settings()]
    filters = list(warnings.filters)

    def change_and_fail() -> None:
        with unchanged("step"):
            random.seed(3)
            np.random.seed(3)  # noqa: NPY002
            np.seterr(all="raise")
            warnings.simplefilter("error")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert [setting.read() for setting in settings()] == before
    assert list(warnings.filters) == filters


@pytest.mark.parametrize("name", ["A", "B", "C", "D"])
def test_a_jacobian_that_is_wrong_at_rest_only_is_named(name: str) -> None:
    """The optimizer is off by 1e-5 where a step without a gradient leaves the state as it is."""

    def spoil(linear: Any, h: Any, g: Any) -> None:
        at_rest = np.abs(right.step(h, 0 * g)[0] - h).max(axis=1) < 1e-9
        getattr(linear, name)[at_rest] *= 1 + 1e-5

    right = OffsetRotation()
    analysis = loptbench.analyze(right, n_problems=1)
    assert isinstance(analysis.convergence_point, ConvergencePointResult)
    with pytest.raises(ContractError, match=rf"linearize is not the derivative of step: {name}"):
        loptbench.analyze(OffsetRotation(spoil), n_problems=1)


class OffsetRotation(WrongLinearize):
    """`WrongLinearize` with an offset: it rests away from zero, where runs do not start."""

    def initial_state(self, n: int) -> Any:
        return np.full((n, 4), 0.7)


def test_a_slow_step_is_warned_of_with_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0.0, 1e5, 2.0).tolist())
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.warns(UserWarning, match="a step of 20 components takes 2 s; .* 1.2e.02 minutes"):
        pace.first_step(Momentum(), np.zeros((20, 1)))


def test_a_fast_step_is_not_warned_of() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pace.first_step(Momentum(), np.zeros((20, 1)))
    assert caught == []


@pytest.mark.parametrize(("step", "variable", "value"), [(3, 0, np.nan), (17, 1, np.inf)])
def test_where_nan_begins_is_named(step: int, variable: int, value: float) -> None:
    class Failing:
        def initial_state(self, n: int) -> Any:
            return np.zeros((n, 2))

        def step(self, h: Any, g: Any) -> Any:
            new = h + np.array([1.0, 0.0])
            new[:, variable] = np.where(h[:, 0] >= step, value, new[:, variable])
            return new, -0.01 * g

    run = unroll_by_steps(Failing(), *quadratic_problems(), 20)
    assert first_not_finite(run) == (
        f"in step {step} state variable {variable} of parameter 0 of problem 0 becomes {value}"
    )
    assert first_not_finite(unroll_by_steps(Momentum(), *quadratic_problems(), 3)) == ""


def quadratic_problems() -> tuple[Any, Any]:
    batch = get_task("quadratic").sample("evaluate", 0, range(2))
    return oracle().problems(batch, "float64", "cpu"), batch.initial_parameters
