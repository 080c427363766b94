"""What the frameworks themselves do, beside what we do with them."""

from typing import Any

import numpy as np
import pytest

from loptbench.conformance import Status, check_all
from loptbench.meta_config import MetaTraining
from loptbench.meta_training import training_batch
from loptbench.optimizers import OptimizerSpec, fresh_gru, random_gru
from loptbench.registry import get_implementation
from loptbench.zoo import shipped


def test_torch_gru_cell_is_another_optimizer() -> None:
    """The reset after the product, from `torch.nn.GRUCell` itself: the harness rejects it."""
    torch = pytest.importorskip("torch")
    reference = get_implementation("reference")

    class Cell:
        def __init__(self, spec: OptimizerSpec) -> None:
            p = {k: torch.tensor(v, dtype=torch.float64) for k, v in spec.parameters.items()}
            self.p, self.constants, n = p, spec.constants, spec.n_state
            self.cell = torch.nn.GRUCell(1, n, dtype=torch.float64)
            with torch.no_grad():
                # torch's order of gates is reset, update, new.
                self.cell.weight_hh.copy_(torch.cat([p["W_r"], p["W_z"], p["W_c"]]))
                self.cell.weight_ih.copy_(torch.cat([p["a_r"], p["a_z"], p["a_c"]])[:, None])
                self.cell.bias_ih.copy_(torch.cat([p["b_r"], p["b_z"], p["b_c"]]))
                self.cell.bias_hh.zero_()

        def initial_state(self, n: int) -> Any:
            return np.tile(self.p["h0"].numpy(), (n, 1))

        def step(self, state: Any, gradient: Any) -> Any:
            scaled = self.constants["input_scale"] * torch.tensor(gradient)[:, None]
            with torch.no_grad():
                h = self.cell(scaled, torch.tensor(state))
                update = self.constants["output_scale"] * (h @ self.p["w"] + self.p["b"])
            return h.numpy(), update.numpy()

    class Library(type(reference)):  # type: ignore[misc]
        name = "torch.nn.GRUCell"

        def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
            return Cell(spec) if spec.kind == "gru" else super().optimizer(spec, dtype, device)

    first = next(o for o in check_all(Library()) if o.status is Status.FAILED)
    assert first.check.name == "one-step"
    assert "state = " in first.message
    # On the shipped weights the two conventions are far apart, not a rounding error.
    spec = shipped("quadratic").optimizer.rounded_to("float64")
    state = np.random.default_rng(0).uniform(-1, 1, (50, spec.n_state))
    gradient = np.linspace(-2, 2, 50)
    ours, _ = reference.optimizer(spec, "float64", "cpu").step(state, gradient)
    theirs, _ = Cell(spec).step(state, gradient)
    assert np.max(np.abs(ours - theirs)) > 0.1


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_the_first_twenty_outer_steps_agree(name: str) -> None:
    """Meta-objective to 1e-9 and every weight to 1e-7, against the reference, in float64."""
    pytest.importorskip(name)
    config = MetaTraining(n_units=6, batch_size=8, n_steps=30, dtype="float64", decay_steps=10)
    spec = fresh_gru(6, 0)
    ours, oracle = get_implementation(name), get_implementation("reference")
    found, wanted = (one.outer_init(spec.parameters, config) for one in (ours, oracle))
    for step in range(20):
        batch = training_batch(config, step)
        found, objective = ours.outer_step(found.canonical(), spec, batch, config)
        wanted, expected = oracle.outer_step(wanted.canonical(), spec, batch, config)
        assert objective == pytest.approx(expected, rel=1e-9), step
        for key, weight in wanted.parameters.items():
            np.testing.assert_allclose(found.parameters[key], weight, rtol=0, atol=1e-7)


def test_jax_keeps_the_users_precision_setting() -> None:
    jax = pytest.importorskip("jax")
    one = get_implementation("jax")
    before = jax.config.jax_enable_x64
    optimizer = one.optimizer(random_gru(3, 0), "float64", "cpu")
    state, update = optimizer.step(optimizer.initial_state(2), np.ones(2))
    assert state.dtype == update.dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.ones(1).dtype == (np.float64 if before else np.float32)


def test_torch_keeps_the_users_default_dtype() -> None:
    torch = pytest.importorskip("torch")
    one = get_implementation("torch")
    optimizer = one.optimizer(random_gru(3, 0), "float64", "cpu")
    optimizer.step(optimizer.initial_state(2), np.ones(2))
    assert torch.get_default_dtype() is torch.float32
