"""What a stranger gives first, and the message that says what to do instead."""

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loptbench.comparison.stores import compare
from loptbench.discovery import get_implementation, validate_declaration
from loptbench.errors import ContractError, LoptbenchError, WeightsError
from loptbench.optimizers import OptimizerSpec, momentum
from loptbench.protocol import OuterState
from loptbench.study.resolve import resolve
from loptbench.tasks import get_task
from loptbench.tasks.idx import IMAGES, LABELS, read_mnist
from loptbench.tests.fixture_types import Command, Make
from loptbench.tests.reports.made_records import conformance
from loptbench.training.settings import load_preset
from loptbench.tuning.tuned_file import load_tuned

pytestmark = pytest.mark.harness


def test_unknown_implementations_are_told_what_to_give(folder: Path) -> None:
    with pytest.raises(LoptbenchError, match=r"torch; name one of your own as package\.module:Obj"):
        get_implementation("tinygrad")
    (folder / "mine.py").write_text("class _Base: ...\nclass Mine(_Base): ...\n")
    for name in ("mine", "./mine.py", "mine.py", "mine.py:Mine"):
        with pytest.raises(LoptbenchError, match=r"name a class or object in it as mine:Mine$"):
            get_implementation(name)
    for name in (r"C:\projects\mine.py", r"C:\projects\mine.py:Mine", "D:/projects/mine.py"):
        with pytest.raises(LoptbenchError, match=r"as mine:\w+, in the folder of mine\.py$"):
            get_implementation(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quadratic-quik-jax-0", "`loptbench zoo list` shows them, such as quadratic-quick-jax-0"),
        ("nothing", "neither a shipped checkpoint (`loptbench zoo list` shows them)"),
        ("folder/mine.safetensors", "does not exist; give the path of a .safetensors file"),
        (r"C:\projects\mine.safetensors", "does not exist; give the path of a .safetensors file"),
        ("momentum", "needs its hyperparameters: give momentum:alpha=0.1,beta=0.1"),
        ("sgd", "needs its hyperparameters: give sgd:alpha=0.1"),
        ("mine", "mine is no checkpoint; name a class or object in it as mine:Mine"),
        ("./mine.py", "name a class or object in it as mine:Mine"),
    ],
)
def test_unknown_optimizers_are_told_what_to_give(folder: Path, name: str, message: str) -> None:
    (folder / "mine.py").write_text("class Mine: ...\n")
    with pytest.raises(LoptbenchError) as raised:
        resolve(name)
    assert message in str(raised.value)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
PAGE = b"\n<!DOCTYPE html>\n<html lang='en'><body>Not found</body></html>"


@pytest.mark.parametrize(("content", "message"), [(POINTER, "git-LFS"), (PAGE, "HTML page")])
def test_files_that_were_not_downloaded(folder: Path, content: bytes, message: str) -> None:
    weights, tuned = folder / "a.safetensors", folder / "tuned.json"
    for file in (weights, tuned, folder / IMAGES, folder / LABELS):
        file.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        resolve(str(weights))
    with pytest.raises(LoptbenchError, match=message):
        load_tuned(tuned)
    with pytest.raises(LoptbenchError, match=message):
        read_mnist(folder)


def write_mnist(folder: Path, labels: list[int], images: str = IMAGES, name: str = LABELS) -> None:
    for path, magic, shape, body in (
        (folder / images, 0x803, (len(labels), 4, 4), bytes(16 * len(labels))),
        (folder / name, 0x801, (len(labels),), bytes(labels)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(struct.pack(f">{1 + len(shape)}I", magic, *shape) + body)


@pytest.mark.parametrize(
    "place",
    [
        "MNIST/raw/{0}-{1}-ubyte",
        "raw/{0}-{1}-ubyte",
        "{0}-{1}-ubyte/{0}-{1}-ubyte",
        "{0}.{1}-ubyte/{0}.{1}-ubyte",
        "{0}-{1}-ubyte/{0}.{1}-ubyte",
    ],
)
def test_mnist_is_found_where_others_put_it(tmp_path: Path, place: str) -> None:
    names = place.format("train-images", "idx3"), place.format("train-labels", "idx1")
    write_mnist(tmp_path, [*range(10)] * 2, *names)
    assert len(read_mnist(tmp_path).labels) == 20


def test_mnist_that_is_too_little_is_refused(tmp_path: Path) -> None:
    for labels in ([1, 2, 3], [4] * 30):
        write_mnist(tmp_path, labels)
        with pytest.raises(LoptbenchError, match="at least 10 images and 2 classes are needed"):
            read_mnist(tmp_path)
    with pytest.raises(LoptbenchError, match=r"and neither have .*raw"):
        read_mnist(tmp_path / "..")


@pytest.mark.parametrize("name", ["reference", "torch", "jax"])
def test_tensors_are_no_arrays(name: str) -> None:
    torch = pytest.importorskip("torch")
    if name != "reference":
        pytest.importorskip(name)
    tensor = torch.zeros(2, 5, dtype=torch.float64, requires_grad=True)
    batch = get_task("quadratic").sample("evaluate", 0, range(2))
    computing = get_implementation(name)
    problems = computing.problems(batch, "float64", "cpu")
    optimizer = computing.optimizer(momentum(0.1, 0.9), "float64", "cpu")
    calls: list[Any] = [
        lambda: problems.loss_and_gradient(tensor, 0),
        lambda: computing.unroll(optimizer, problems, tensor, 2),
        lambda: optimizer.step(tensor[:, :1], tensor[:, 0]),
        lambda: optimizer.step(np.zeros((2, 1)), gradient=tensor[:, 0]),
        lambda: optimizer.linearize(tensor[:, :1], np.zeros(2)),
        lambda: computing.meta_gradient(optimizer, problems, tensor, 2),
        lambda: batch.starting_at(tensor),
        lambda: OuterState({"alpha": tensor}, {}).canonical(),
        lambda: OptimizerSpec("sgd", {"alpha": tensor[0, 0]}, {}),
    ]
    for call in calls:
        with pytest.raises(ContractError, match="must be a NumPy array, but it is a Tensor; give"):
            call()


def test_a_run_of_one_step_is_no_meta_training() -> None:
    with pytest.raises(LoptbenchError, match=r"'n_steps': .* greater than or equal to 2"):
        load_preset("quick", "quadratic", {"n_steps": 1})


def test_a_misspelt_distribution_is_noticed() -> None:
    declared = get_implementation("reference")
    attributes = {name: getattr(declared, name) for name in dir(declared) if name[0] != "_"}
    wrong = SimpleNamespace(**{**attributes, "versions": ("numpi",)})
    with pytest.raises(ContractError, match=r"no distribution 'numpi' is installed.*as 'numpy'"):
        validate_declaration(wrong, "mine:Mine")


def test_the_reference_meta_trains_in_float64_only(command: Command) -> None:
    code, _, err = command("meta-train", "quadratic", "--implementation", "reference")
    assert code == 2
    assert "reference does not compute in float32, but in float64" in err


def test_stores_of_other_seeds_say_so(make: Make) -> None:
    comparison = compare(make("a", [conformance(seed=0)]), make("b", [conformance(seed=1)]))
    wanted = "the seeds of the problems differ, and trials match by seed: A has 0, B has 1"
    assert wanted in comparison.headline()
    same = compare(make("c", [conformance()]), make("d", [conformance(ratio=0.5)]))
    assert not any("seeds" in part for part in same.headline())
