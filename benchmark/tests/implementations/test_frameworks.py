"""Properties of the implementations in PyTorch and JAX beyond the conformance suite."""

import importlib
from typing import Any

import numpy as np
import pytest

from loptbench.conformance import CheckStatus, check_all
from loptbench.discovery import get_implementation
from loptbench.importing import import_object
from loptbench.optimizers import OptimizerSpec, fresh_gru, random, random_gru
from loptbench.protocol import Compiles
from loptbench.tasks import get_task
from loptbench.timing.outer_steps import TEXTBOOK
from loptbench.training.loop import training_batch
from loptbench.training.settings import load_preset
from loptbench.zoo.catalogue import shipped

pytestmark = pytest.mark.conformance


def test_torch_gru_cell_is_another_optimizer() -> None:
    """`torch.nn.GRUCell` resets after the product: the harness rejects it."""
    torch = pytest.importorskip("torch")
    reference = get_implementation("reference")

    class Cell:
        def __init__(self, spec: OptimizerSpec) -> None:
            p = {k: torch.tensor(v, dtype=torch.float64) for k, v in spec.parameters.items()}
            self.p, self.constants, n = p, spec.constants, spec.n_state
            with torch.random.fork_rng():  # it draws weights, and must not move the global seed
                self.cell = torch.nn.GRUCell(1, n, dtype=torch.float64)
            with torch.no_grad():
                # The order of gates in torch is reset, update, candidate.
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

    outcomes = check_all(Library())
    failure = next(outcome for outcome in outcomes if outcome.status is CheckStatus.FAILED)
    assert failure.check.name == "one-step"
    assert "state = " in failure.message
    # On shipped weights the two conventions differ by much more than rounding.
    spec = shipped("quadratic-quick-jax-0").optimizer.rounded_to("float64")
    state = np.random.default_rng(0).uniform(-1, 1, (50, spec.n_state))
    gradient = np.linspace(-2, 2, 50)
    expected, _ = reference.optimizer(spec, "float64", "cpu").step(state, gradient)
    actual, _ = Cell(spec).step(state, gradient)
    assert np.max(np.abs(actual - expected)) > 0.1


FRAMEWORKS = ("torch", "jax")
SMALL_SETTINGS = {
    "n_units": 6,
    "batch_size": 8,
    "n_steps": 30,
    "dtype": "float64",
    "decay_steps": 10,
}


@pytest.mark.parametrize("task", ["quadratic", "rosenbrock"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_first_twenty_outer_steps_agree(name: str, task: str) -> None:
    """Meta-objective to 1e-9 and every weight to 1e-7, against the reference, in float64."""
    pytest.importorskip(name)
    config = load_preset("quick", task, SMALL_SETTINGS)
    spec = fresh_gru(6, 0, config.input_scale, config.output_scale)
    implementation, reference = get_implementation(name), get_implementation("reference")
    actual = implementation.outer_init(spec.parameters, config)
    expected = reference.outer_init(spec.parameters, config)
    for step in range(20):
        batch = training_batch(config, step)
        actual, objective = implementation.outer_step(actual.canonical(), spec, batch, config)
        expected, expected_objective = reference.outer_step(
            expected.canonical(), spec, batch, config
        )
        assert objective == pytest.approx(expected_objective, rel=1e-9), step
        for key, weight in expected.parameters.items():
            np.testing.assert_allclose(actual.parameters[key], weight, rtol=0, atol=1e-7)


@pytest.mark.parametrize("architecture", ["lstm", "log_lstm"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_other_architectures_meta_train_side_by_side(name: str, architecture: str) -> None:
    """Outer steps of two seeds as one batch, in segments, are the reference's of each alone."""
    pytest.importorskip(name)
    small = {"n_units": 3, "batch_size": 2, "n_steps": 5, "dtype": "float64", "bptt_segment": 2}
    config = load_preset("quick", "quadratic", {"architecture": architecture, **small})
    specs = [random(architecture, 3, seed, output_scale=0.3) for seed in (0, 1)]
    batches = [training_batch(config, step) for step in (0, 1)]
    implementation, reference = get_implementation(name), get_implementation("reference")
    outers = [implementation.outer_init(spec.parameters, config) for spec in specs]
    new = implementation.outer_steps(outers, specs[0], batches, config)
    for spec, batch, (outer, objective) in zip(specs, batches, new, strict=True):
        start = reference.outer_init(spec.parameters, config)
        expected, expected_objective = reference.outer_step(start, spec, batch, config)
        assert objective == pytest.approx(expected_objective, rel=1e-9)
        for key, weight in expected.parameters.items():
            np.testing.assert_allclose(outer.parameters[key], weight, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("task", "architecture"), [("quadratic", "gru"), ("two_moons", "gru"), ("quadratic", "lstm")]
)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_textbook_that_perf_times_computes_the_same_meta_gradient(
    name: str, task: str, architecture: str
) -> None:
    pytest.importorskip(name)
    batch = get_task(task).sample("meta_train", 0, range(2))
    spec = random(architecture, 5, 0, input_scale=0.5, output_scale=0.1)
    textbook = import_object(TEXTBOOK.format(name))(spec, batch, 6, "float64", "cpu")
    implementation = get_implementation(name)
    actual = implementation.meta_gradient(
        implementation.optimizer(spec, "float64", "cpu"),
        implementation.problems(batch, "float64", "cpu"),
        batch.initial_parameters,
        6,
    )
    for key, expected in textbook.meta_gradient().items():
        np.testing.assert_allclose(
            actual.gradient[key], expected, rtol=1e-9, atol=1e-14, err_msg=key
        )
    assert textbook.has_floor
    assert np.all(np.isfinite(np.asarray(textbook.floor())))


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_gpu_is_used_where_there_is_one(name: str) -> None:
    """Meta-training on a GPU; the conformance suite covers the rest of the protocol on it."""
    pytest.importorskip(name)
    implementation = get_implementation(name)
    if "cuda" not in implementation.devices:
        pytest.skip(f"{name} has no GPU here")
    config = load_preset("quick", "quadratic", {**SMALL_SETTINGS, "device": "cuda"})
    spec = fresh_gru(6, 0)
    on_cpu = config.model_copy(update={"device": "cpu"})
    weights = []
    for settings in (config, on_cpu):
        outer = implementation.outer_init(spec.parameters, settings)
        for step in range(20):
            outer, _ = implementation.outer_step(
                outer, spec, training_batch(settings, step), settings
            )
        weights.append(outer.parameters)
    for key, weight in weights[1].items():
        np.testing.assert_allclose(weights[0][key], weight, rtol=0, atol=1e-7)


def test_jax_keeps_the_users_precision_setting() -> None:
    jax = pytest.importorskip("jax")
    implementation = get_implementation("jax")
    before = jax.config.jax_enable_x64
    optimizer = implementation.optimizer(random_gru(3, 0), "float64", "cpu")
    state, update = optimizer.step(optimizer.initial_state(2), np.ones(2))
    assert state.dtype == update.dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.ones(1).dtype == (np.float64 if before else np.float32)


def test_jax_multiplies_float32_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default JAX multiplies in TF32 on a GPU. The setting of the user's process is kept."""
    jax = pytest.importorskip("jax")
    rollout = importlib.import_module("loptbench.implementations.jax.rollout")
    programs, step = [], rollout.step

    def recorded_step(*arguments: Any) -> Any:
        programs.append(jax.jit(lambda a: a @ a).lower(np.ones((2, 2), np.float32)).as_text())
        return step(*arguments)

    monkeypatch.setattr(rollout, "step", recorded_step)
    optimizer = get_implementation("jax").optimizer(random_gru(3, 0), "float32", "cpu")
    optimizer.step(optimizer.initial_state(2), np.ones(2, np.float32))
    assert "precision = [HIGHEST, HIGHEST]" in programs[0]
    assert jax.config.jax_default_matmul_precision is None


def test_torch_keeps_the_users_default_dtype() -> None:
    torch = pytest.importorskip("torch")
    implementation = get_implementation("torch")
    optimizer = implementation.optimizer(random_gru(3, 0), "float64", "cpu")
    optimizer.step(optimizer.initial_state(2), np.ones(2))
    assert torch.get_default_dtype() is torch.float32


def test_jax_releases_compiled_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program takes memory maps of its process, whose number is limited."""
    pytest.importorskip("jax")
    compiled = importlib.import_module("loptbench.implementations.jax.compiled")
    monkeypatch.setattr(compiled, "MAX_PROGRAMS", 3)
    implementation = get_implementation("jax")
    task = get_task("quadratic")
    batch = task.sample("tune", 0, range(2))
    spec = random_gru(2, 0)
    optimizer = implementation.optimizer(spec, "float64", "cpu")
    problems = implementation.problems(batch, "float64", "cpu")
    n_programs, losses = [], []
    for n_steps in (1, 2, 3, 4, 5, 6, 7, 8, 1, 2):
        run = implementation.unroll(optimizer, problems, batch.initial_parameters, n_steps)
        losses.append(run.loss)
        n_programs.append(sum(function._cache_size() for function in compiled._functions))
    assert max(n_programs) <= 4
    np.testing.assert_array_equal(losses[0], losses[8])
    np.testing.assert_array_equal(losses[1], losses[9])


def test_jax_says_how_long_it_compiled() -> None:
    pytest.importorskip("jax")
    implementation = get_implementation("jax")
    optimizer = implementation.optimizer(random_gru(3, 0), "float64", "cpu")
    assert isinstance(implementation, Compiles)
    state = optimizer.initial_state(2051)  # a size of no other test
    before = implementation.compilation_seconds()
    optimizer.step(state, np.ones(2051))
    after = implementation.compilation_seconds()
    assert after > before
    optimizer.step(state, np.zeros(2051))
    assert implementation.compilation_seconds() == after


def test_jax_compiles_one_drive_for_many_lengths() -> None:
    pytest.importorskip("jax")
    rollout = importlib.import_module("loptbench.implementations.jax.rollout")
    optimizer = get_implementation("jax").optimizer(random_gru(3, 0), "float64", "cpu")
    state, gradient = optimizer.initial_state(120), np.linspace(-1, 1, 120)
    optimizer.drive(state, gradient, [0, 9])
    n_programs = rollout.drive._cache_size()
    long = optimizer.drive(state, gradient, [40, 400])
    short = optimizer.drive(state[:117], gradient[:117], [7, 40])
    assert rollout.drive._cache_size() == n_programs
    np.testing.assert_array_equal(short[1], long[0, :117])


@pytest.mark.parametrize(("n_numbers", "threads"), [(2**15 - 1, 1), (2**15, 3)])
def test_torch_takes_one_thread_for_small_outer_steps(n_numbers: int, threads: int) -> None:
    """And gives back those that it was allowed, also after an error."""
    torch = pytest.importorskip("torch")
    from loptbench.implementations.torch.threads import threads_for

    allowed = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads_for(n_numbers):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 3
        with pytest.raises(ValueError, match="an error"), threads_for(n_numbers):
            raise ValueError("an error")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(allowed)


def test_jax_computes_in_buffers_that_it_used_before() -> None:
    """What an earlier call left in them, of other problems or NaN, does not show."""
    pytest.importorskip("jax")
    implementation = get_implementation("jax")
    spec = random_gru(5, 0, 0.5, 0.1)
    optimizer = implementation.optimizer(spec, "float64", "cpu")
    task = get_task("quadratic")

    def gradient(seed: int, scale: float) -> dict[str, np.ndarray]:
        batch = task.sample("meta_train", seed, range(2))
        problems = implementation.problems(batch, "float64", "cpu")
        start = scale * batch.initial_parameters
        return dict(implementation.meta_gradient(optimizer, problems, start, 6).gradient)

    first = gradient(0, 1.0)
    assert np.isnan(gradient(1, np.nan)["W_z"]).all()
    for name, expected in gradient(0, 1.0).items():
        np.testing.assert_array_equal(expected, first[name])
