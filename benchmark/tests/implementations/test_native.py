"""Optimizers of the protocol that train tensors of PyTorch and arrays of JAX."""

import copy
import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loptbench
from loptbench.discovery import get_implementation
from loptbench.errors import LoptbenchError
from loptbench.optimizers import (
    KINDS,
    SCHEDULED,
    OptimizerSpec,
    baseline,
    composed,
    random,
    random_gru,
)
from loptbench.tests.docs.pages import source_tree

SPECS = {
    "gru": random_gru(6, seed=1, input_scale=2.0, output_scale=0.1),
    "composed": composed(0.1, betas=(0.5, 0.9), clip=1.0, start=2.0, decay=0.9),
    "adam": baseline("adam", alpha=0.1, beta1=0.9, beta2=0.99),
    "nesterov": baseline("nesterov", alpha=0.1, beta=0.9),
    "rmsprop": baseline("rmsprop", alpha=0.1, gamma=0.9),
    "momentum": baseline("momentum", alpha=0.1, beta=0.9),
    "sgd": baseline("sgd", alpha=0.1),
    "lstm": random("lstm", 5, seed=1),
    "log_lstm": random("log_lstm", 5, seed=1),
}
SPECS |= {
    name: baseline(name, n_steps=3, final=0.1, **{key: float(value) for key, value in own.items()})
    for name, parts in SCHEDULED.items()
    for own in [SPECS[parts.kind].parameters]
}
SHAPES: list[tuple[int, ...]] = [(), (3,), (2, 3, 2), (0, 4), (1,)]
N_STEPS = 4


def gradients(dtype: str) -> list[list[Any]]:
    """The gradients of each step, one for each shape."""
    rng = np.random.default_rng(0)
    return [[np.asarray(rng.standard_normal(s), dtype) for s in SHAPES] for _ in range(N_STEPS)]


def protocol_updates(framework: str, spec: OptimizerSpec, dtype: str) -> list[list[Any]]:
    """The updates by the protocol's `step`, with all elements as components."""
    optimizer = get_implementation(framework).optimizer(spec, dtype, "cpu")
    rows = [np.concatenate([g.ravel() for g in step]) for step in gradients(dtype)]
    h, updates = optimizer.initial_state(rows[0].size), []
    for row in rows:
        h, update = optimizer.step(h, row)
        ends = np.cumsum([int(np.prod(shape)) for shape in SHAPES])[:-1]
        updates.append([u.reshape(s) for u, s in zip(np.split(update, ends), SHAPES, strict=True)])
    return updates


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECS)
def test_torch_updates_are_those_of_the_protocol(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    spec = SPECS[name].rounded_to(dtype)
    x = [torch.nn.Parameter(torch.zeros(s, dtype=getattr(torch, dtype))) for s in SHAPES]
    optimizer = spec.as_torch(x)
    rounding = 20 * float(np.finfo(dtype).eps)
    expected = protocol_updates("torch", spec, dtype)
    for step, updates in zip(gradients(dtype), expected, strict=True):
        for tensor, gradient in zip(x, step, strict=True):
            tensor.data.zero_()
            tensor.grad = torch.tensor(gradient)
        optimizer.step()
        for tensor, update in zip(x, updates, strict=True):
            np.testing.assert_allclose(
                tensor.detach().numpy(), update, rtol=rounding, atol=rounding
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECS)
def test_optax_updates_are_those_of_the_protocol(name: str, dtype: str) -> None:
    jax = pytest.importorskip("jax")
    spec = SPECS[name].rounded_to(dtype)
    rounding = 20 * float(np.finfo(dtype).eps)
    expected = protocol_updates("jax", spec, dtype)
    with jax.enable_x64(dtype == "float64"):
        transformation = spec.as_optax()
        state = transformation.init([jax.numpy.zeros(s, dtype) for s in SHAPES])
        for step, updates in zip(gradients(dtype), expected, strict=True):
            own, state = transformation.update([jax.numpy.asarray(g) for g in step], state)
            for update, wanted in zip(own, updates, strict=True):
                assert update.dtype == dtype
                np.testing.assert_allclose(update, wanted, rtol=rounding, atol=rounding)


def test_every_kind_is_tried() -> None:
    assert {*KINDS} == {*SPECS}


def run_torch(optimizer: Any, x: Any, n_steps: int, seed: int) -> None:
    import torch

    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_steps):
        for tensor in x:
            tensor.grad = torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        optimizer.step()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_torch_goes_on_from_a_saved_state_to_the_last_bit(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = [torch.nn.Parameter(torch.ones(s, dtype=getattr(torch, dtype))) for s in ((2, 2), (3,))]
    optimizer = SPECS["gru"].as_torch(x)
    run_torch(optimizer, x, 3, seed=0)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    again = [torch.nn.Parameter(tensor.detach().clone()) for tensor in x]
    resumed = SPECS["gru"].as_torch(again)
    resumed.load_state_dict(torch.load(file))
    copied = copy.deepcopy(optimizer)
    run_torch(optimizer, x, 3, seed=1)
    run_torch(resumed, again, 3, seed=1)
    run_torch(copied, copied.param_groups[0]["params"], 3, seed=1)
    for a, b, c in zip(x, again, copied.param_groups[0]["params"], strict=True):
        assert a.dtype == getattr(torch, dtype)
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_torch_groups_closures_and_schedules() -> None:
    torch = pytest.importorskip("torch")
    x, y, z = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizer = SPECS["sgd"].as_torch([{"params": [x]}, {"params": [y], "lr": 0.5}])
    optimizer.add_param_group({"params": [z], "lr": 0.0})
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (x + y + z).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 6
    schedule.step()
    optimizer.step(closure)
    assert x.tolist() == pytest.approx([0.85, 0.85])
    assert y.tolist() == pytest.approx([0.925, 0.925])
    assert z.tolist() == [1, 1]


def test_torch_refuses_what_it_cannot_train() -> None:
    torch = pytest.importorskip("torch")
    spec = SPECS["gru"]
    with pytest.raises(LoptbenchError, match="real floating-point"):
        spec.as_torch([torch.zeros(2, dtype=torch.complex64, requires_grad=True)])
    with pytest.raises(LoptbenchError, match="lr must be"):
        spec.as_torch([{"params": [torch.zeros(2, requires_grad=True)], "lr": float("nan")}])
    embedding = torch.nn.Embedding(3, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(LoptbenchError, match="sparse"):
        spec.as_torch(embedding.parameters()).step()
    x = [torch.nn.Parameter(torch.ones(2))]
    optimizer = spec.as_torch(x)
    run_torch(optimizer, x, 1, seed=0)
    for other in (SPECS["momentum"], random_gru(5, seed=0)):
        with pytest.raises(LoptbenchError, match="is not that of this"):
            other.as_torch(x).load_state_dict(optimizer.state_dict())


def test_optax_in_jit_vmap_and_half_precision() -> None:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    jnp = jax.numpy
    transformation = optax.chain(optax.clip(1.0), SPECS["gru"].as_optax())
    g = {"a": jnp.full((2, 3), 0.5), "b": [jnp.asarray(2.0, jnp.bfloat16), None]}
    state = transformation.init(g)
    expected, _ = transformation.update(g, state)
    assert expected["b"][0].dtype == jnp.bfloat16
    jitted, after = jax.jit(transformation.update)(g, state)
    np.testing.assert_allclose(jitted["a"], expected["a"], rtol=1e-6)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    batch = jnp.stack([g["a"], 2 * g["a"]])
    own = SPECS["gru"].as_optax()
    updates, _ = jax.vmap(own.update)(batch, jax.vmap(own.init)(batch))
    np.testing.assert_allclose(updates[0], expected["a"], rtol=1e-6)
    with pytest.raises(LoptbenchError, match="real floating-point"):
        own.init(jnp.arange(3))


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_examples_train_a_network_of_ones_own(
    framework: str, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(framework)
    path: Path = source_tree(pytestconfig) / "examples" / f"train_with_{framework}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    for losses in example.main().values():
        assert losses[-1] < 0.2 * losses[0]
    assert "learned" in capsys.readouterr().out


def test_a_checkpoint_is_one_as_well() -> None:
    torch = pytest.importorskip("torch")
    optimizer = loptbench.load("quadratic-quick-jax-0").as_torch(
        [torch.zeros(1, requires_grad=True)]
    )
    assert isinstance(optimizer, torch.optim.Optimizer)
