"""Tasks from outside: what each brings, what is malformed, and one that goes all the way."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.discovery import get_implementation, oracle
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.rollout.offered import require_task, task_not_offered
from loptbench.tasks import TASKS, CustomTask, definition, get_task, register
from loptbench.tests.docs.pages import source_tree
from loptbench.tests.fixture_types import Command

pytestmark = pytest.mark.harness


Pair = tuple[dict[str, Any], dict[str, Any]]


class Bowl(CustomTask):
    """f(x, s) = 1 + s² + Σ (x − c)⁴, in NumPy, without a gradient."""

    name = "bowl"

    def draw(self, rng: np.random.Generator) -> Pair:
        return {"x": rng.standard_normal(3), "s": 0.5}, {"c": rng.standard_normal(3)}

    def loss(self, p: Any, data: Any, step: int) -> Any:
        return 1 + p["s"] ** 2 + np.sum((p["x"] - data["c"]) ** 4)


class TorchBowl(Bowl):
    """The same in PyTorch alone."""

    name = "torch_bowl"
    loss = None  # type: ignore[assignment]

    def torch_loss(self, p: Any, data: Any, step: int) -> Any:
        return 1 + p["s"] ** 2 + ((p["x"] - data["c"]) ** 4).sum()


class JaxBowl(Bowl):
    """The same in JAX alone."""

    name = "jax_bowl"
    loss = None  # type: ignore[assignment]

    def jax_loss(self, p: Any, data: Any, step: int) -> Any:
        return 1 + p["s"] ** 2 + ((p["x"] - data["c"]) ** 4).sum()


@pytest.mark.parametrize(
    ("kind", "framework"), [(Bowl, ""), (TorchBowl, "torch"), (JaxBowl, "jax")]
)
def test_the_oracle_differentiates_a_loss_alone(kind: type[CustomTask], framework: str) -> None:
    if framework:
        pytest.importorskip(framework)
    task = register(kind)
    batch = task.sample("evaluate", 0, range(4))
    problems = oracle().problems(batch, "float64", "cpu")
    x, y = batch.initial_parameters, np.ones((4, 4))
    away = x[:, :3] - batch.arrays["c"]
    loss, gradient = problems.loss_and_gradient(x, 0)
    np.testing.assert_allclose(loss, 1.25 + np.sum(away**4, axis=1), rtol=1e-14)
    expected = np.concatenate([4 * away**3, np.ones((4, 1))], axis=1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-9)
    hessian = np.concatenate([12 * away**2, np.full((4, 1), 2.0)], axis=1)
    np.testing.assert_allclose(problems.hessian_vector(x, 0, y), hessian, rtol=1e-6, atol=1e-6)
    for name in ("reference", *([framework] if framework else [])):
        require_task(get_implementation(name), task)


def test_a_framework_without_a_loss_does_not_offer_the_task() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    for kind in (Bowl, TorchBowl):
        register(kind)
    torch, jax = get_implementation("torch"), get_implementation("jax")
    assert "torch_bowl" in torch.tasks
    assert "torch_bowl" not in jax.tasks
    reason = "jax does not offer the task 'torch_bowl': the task brings no `jax_loss`, only a loss"
    assert task_not_offered(jax, TASKS["torch_bowl"]).startswith(reason)
    assert "only a loss for reference" in task_not_offered(torch, TASKS["bowl"])


class _NoLoss(Bowl):
    loss = None  # type: ignore[assignment]


class _NoParameters(Bowl):
    def draw(self, rng: np.random.Generator) -> Pair:
        return {}, {"c": np.ones(3)}


class _OtherShapes(Bowl):
    def draw(self, rng: np.random.Generator) -> Pair:
        return {"x": np.ones(int(rng.integers(1, 1000)))}, {}


class _NotFinite(Bowl):
    def draw(self, rng: np.random.Generator) -> Pair:
        return {"x": np.array([np.nan, 1.0])}, {}


class _NotAPair(Bowl):
    def draw(self, rng: np.random.Generator) -> Pair:
        return {"x": np.ones(2)}  # type: ignore[return-value]


class _OwnRandomness(Bowl):
    def draw(self, rng: np.random.Generator) -> Pair:
        return {"x": np.random.default_rng().standard_normal(2)}, {}


class _Fails(Bowl):
    def draw(self, rng: np.random.Generator) -> Pair:
        raise KeyError("x")


class _BadName(Bowl):
    name = "../bowl"


class _Taken(Bowl):
    name = "digits"


class _NoSteps(Bowl):
    n_steps = 0


class _Unhashable(Bowl):
    center: Any = dataclasses.field(default_factory=lambda: np.ones(3))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (_NoLoss, "'bowl' brings no loss: write one of the methods loss, torch_loss, jax_loss"),
        (_NoParameters, "a problem of task 'bowl' has no parameters"),
        (_OtherShapes, "must all have the same arrays"),
        (_NotFinite, "the initial parameters of task 'bowl' must be finite"),
        (_NotAPair, "must return two dictionaries of arrays"),
        (_OwnRandomness, "take all random numbers from the `rng`"),
        (_Fails, "problems of task 'bowl' cannot be drawn: KeyError: 'x'"),
        (_BadName, "must be letters, digits and _"),
        (_Taken, "the name of a task that loptbench ships"),
        (_NoSteps, "n_steps of task 'bowl' must be a whole number above 0"),
        (_Unhashable, "the settings of task 'bowl' must be numbers, text or tuples"),
        (object(), "derive it from loptbench.tasks.CustomTask"),
    ],
)
def test_malformed_tasks_are_refused(task: Any, message: str) -> None:
    with pytest.raises(LoptbenchError, match=message):
        register(task)


class _Rounded(Bowl):
    def loss(self, p: Any, data: Any, step: int) -> Any:
        return 1 + np.sum(np.round(p["x"]) ** 2)


class _Infinite(Bowl):
    def loss(self, p: Any, data: Any, step: int) -> Any:
        return np.inf * p["s"]


class _Negative(Bowl):
    def loss(self, p: Any, data: Any, step: int) -> Any:
        return -1 - p["s"] ** 2


class _Vector(Bowl):
    def loss(self, p: Any, data: Any, step: int) -> Any:
        return p["x"] ** 2


class _WrongGradient(Bowl):
    def gradient(self, p: Any, data: Any, step: int) -> Any:
        return {"x": 4 * (p["x"] - data["c"]) ** 3, "s": p["s"]}


class _ShortGradient(Bowl):
    def gradient(self, p: Any, data: Any, step: int) -> Any:
        return {"x": 4 * (p["x"] - data["c"]) ** 3}


class _Detached(TorchBowl):
    def torch_loss(self, p: Any, data: Any, step: int) -> Any:
        return (p["x"].detach() ** 2).sum()


class _Branches(JaxBowl):
    def jax_loss(self, p: Any, data: Any, step: int) -> Any:
        return p["x"].sum() if p["x"][0] > 0 else p["s"]


@pytest.mark.parametrize(
    ("task", "implementation", "message"),
    [
        (_Rounded, "reference", "gradient of zero|another slope"),
        (_Infinite, "reference", "is inf at the start of a run; it must be finite"),
        (_Negative, "reference", "it must be positive"),
        (_Vector, "reference", "must return one number, but returned ndarray of shape"),
        (_WrongGradient, "reference", "another slope than its gradient says"),
        (_ShortGradient, "reference", "must return a dictionary with an array for each"),
        (_Detached, "torch", "failed: RuntimeError: .*it must be differentiable"),
        (_Branches, "jax", "failed: TracerBoolConversionError: .*without an `if`"),
    ],
)
def test_losses_of_no_use_are_refused(task: Any, implementation: str, message: str) -> None:
    if implementation != "reference":
        pytest.importorskip(implementation)
    with pytest.raises(LoptbenchError, match=message):
        require_task(get_implementation(implementation), register(task))


def test_names() -> None:
    path = f"{__name__}:Bowl"
    assert get_task(path) is get_task("bowl")
    assert definition(get_task("bowl"))["source"]
    with pytest.raises(UnknownNameError, match=r"of your own as package\.module:Object"):
        get_task("bowls")


@pytest.mark.parametrize("framework", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_the_example_goes_all_the_way(
    framework: str,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
    folder: Path,
) -> None:
    pytest.importorskip(framework)
    monkeypatch.syspath_prepend(source_tree(pytestconfig) / "examples")
    (folder / f"small_{framework}.py").write_text(
        "from breast_cancer import BreastCancer\ntask = BreastCancer(n_samples=40, n_steps=6)\n"
    )
    task = f"small_{framework}:task"

    def succeed(*arguments: str) -> str:
        code, out, err = command(*arguments)
        assert code == 0, out + err
        return out

    succeed(
        *("check", framework, "--task", task, "--optimizer", "gru", "--dtype", "float64"),
        *("--only", "loss-and-gradient", "--only", "meta-gradient"),
    )
    code, _, err = command("run", "--task", task, "--implementation", framework)
    assert code == 2
    assert f"make them with 'loptbench tune --task {task}'" in err
    succeed(
        *("tune", "--task", task, "--baseline", "sgd", "--implementation", framework),
        *("--draws", "4", "--problems", "2", "--output", "tuned.json"),
    )
    succeed(
        *("meta-train", task, "--implementation", framework),
        *("--units", "3", "--outer-steps", "2", "--output", "mine.safetensors"),
    )
    succeed(
        *("run", "--quick", "--task", task, "--implementation", framework, "--tuned", "tuned.json"),
        *("--checkpoint", "mine.safetensors", "--store", "store", "--jobs", "1"),
        *("--report", "report.html"),
    )
    assert "breast_cancer" in Path("report.html").read_text()
    analysis = succeed("analyze", "mine.safetensors", "--task", task, "--json")
    assert json.loads(analysis)["momentum"]
