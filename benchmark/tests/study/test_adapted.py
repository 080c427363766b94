"""Adapted optimizers in runs and searches: held to our own, and what is refused."""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import loptbench
from loptbench.adapters.implementation import AdaptingImplementation
from loptbench.adapters.kinds import AdaptedKind
from loptbench.cli.main import cli
from loptbench.discovery import oracle
from loptbench.engines.engine import Call
from loptbench.engines.packing import Caller, pack, unpack
from loptbench.errors import LoptbenchError, NotComponentWiseError
from loptbench.optimizers import KINDS, OptimizerSpec, baseline
from loptbench.rollout import held_out
from loptbench.rollout.evaluation import evaluated_losses
from loptbench.study.adapted import parse_optimizers, select_adapted
from loptbench.study.run import run
from loptbench.tasks import get_task
from loptbench.tuning.ranges import Range, parse_range
from loptbench.tuning.tuned_file import load_all_tuned, load_tuned

RATES = {"alpha": Range(1e-5, 1e2)}


def lr_of(library: str) -> str:
    pytest.importorskip(library)
    return {"torch": "lr", "optax": "learning_rate"}[library]


@pytest.mark.parametrize(
    "name",
    [
        "torch.optim:Adam(lr=0.1, betas=(0.8, 0.99))",
        "optax:adam(learning_rate=0.1, b1=0.8, b2=0.99)",
    ],
)
def test_adam_has_the_losses_of_our_own(name: str) -> None:
    kind = AdaptedKind.parse(name)
    lr_of(name.partition(":")[0].partition(".")[0])
    batch = get_task("quadratic").sample("evaluate", 0, range(2))
    computing = AdaptingImplementation(oracle(), [kind])
    losses = evaluated_losses(computing, kind.spec({}), batch, 60, "float64")
    own = baseline("adam", alpha=0.1, beta1=0.8, beta2=0.99)
    expected = evaluated_losses(oracle(), own, batch, 60, "float64")
    np.testing.assert_allclose(losses, expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("torch.optim:SGD", "torch"),
        pytest.param("optax:sgd", "optax", marks=pytest.mark.slow),
    ],
)
def test_tuning_finds_what_our_own_tuning_finds(name: str, library: str, tmp_path: Path) -> None:
    rate = lr_of(library)
    budget: dict[str, Any] = {"tasks": ["quadratic"], "n_draws": 6, "n_problems": 2}
    own = loptbench.tune(
        tmp_path / "own.json", baselines=["sgd"], implementation="reference", **budget
    ).entries[0]
    found = loptbench.tune(
        tmp_path / "adapted.json", optimizer=name, implementation="reference", **budget
    ).entries[0]
    assert found.draw == own.draw
    assert found.hyperparameters[rate] == own.hyperparameters["alpha"]
    assert found.score == pytest.approx(own.score, rel=1e-9)
    assert (found.n_complete, found.n_diverged) == (own.n_complete, own.n_diverged)
    assert load_tuned(tmp_path / "adapted.json").entries[0].searched == {rate: RATES["alpha"]}


HEAVY = """
import numpy as np

class Heavy:
    def __init__(self, rate, beta=0.9):
        self.rate, self.beta = rate, beta

    def initial_state(self, n):
        return np.zeros((n, 1))

    def step(self, h, g):
        h = self.beta * h + g[:, None]
        return h, -self.rate * h[:, 0]
"""


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of heavy-ball momentum in a module of one's own."""
    (tmp_path / "my_heavy.py").write_text(HEAVY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_heavy", raising=False)
    monkeypatch.setitem(held_out.HELD_OUT, "quadratic", held_out.HeldOut(6, "float64"))
    return "my_heavy:Heavy"


def test_a_run_has_it_beside_the_baselines(heavy: str, tmp_path: Path) -> None:
    study = run(
        tmp_path / "store",
        implementations=["reference"],
        optimizers=[heavy],
        settings={"rate": 0.3},
        tasks=["quadratic"],
        jobs=1,
    )
    assert study.n_failed == 0
    evaluations = study.store.frame("evaluations").set_index("optimizer")
    name = f"{heavy}(rate=0.3)"
    assert evaluations.role[name] == "adapted"
    own = loptbench.evaluate("momentum:alpha=0.3,beta=0.9", "quadratic", n_problems=6)
    assert evaluations.objective_mean[name] == pytest.approx(own.objective_mean, rel=1e-9)
    assert set(evaluations.role[["sgd", "momentum", "adam"]]) == {"tuned"}
    ratios = study.store.frame("ratios")
    chosen = ratios[(ratios.baseline == "sgd") & (ratios.statistic == "ratio_of_means")]
    ratio = own.objective_mean / evaluations.objective_mean["sgd"]
    assert chosen.value.item() == pytest.approx(ratio, rel=1e-9)
    mechanisms = study.store.frame("mechanisms").query("role == 'adapted'")
    (index,) = mechanisms[mechanisms.quantity == "index"].value
    assert index == pytest.approx(0.9, abs=1e-6)
    key = next(record.key for record in study.records if record.key.optimizer.name == name)
    assert key.sources is not None  # the module is not installed: it may change


def first_update(computing: AdaptingImplementation, name: str) -> Any:
    """What a worker does: it knows kinds only from what it is handed."""
    spec = OptimizerSpec(name, {"rate": np.asarray(0.1)})
    optimizer = computing.optimizer(spec, "float64", "cpu")
    return optimizer.step(optimizer.initial_state(1), np.ones(1))[1].tolist()


def test_it_is_handed_to_other_processes(heavy: str) -> None:
    kind = AdaptedKind.parse(f"{heavy}(beta=0.5, rate=tuned)")
    computing = AdaptingImplementation(oracle(), [kind])
    prepared = pack(Call(first_update, (computing, kind.name)), Caller.here([]))
    del KINDS[kind.name]
    assert unpack(pickle.loads(prepared.packed)) == [-0.1]


def test_what_tune_finds_is_read_by_run(heavy: str, tmp_path: Path) -> None:
    output = tmp_path / "tuned.json"
    arguments = ["tune", heavy, "--set", "beta=0.5", "--range", "rate=1e-3:1", "--task"]
    arguments += ["quadratic", "--draws", "2", "--problems", "1", "--output", str(output)]
    result = CliRunner().invoke(cli, [*arguments, "--implementation", "reference"])
    assert result.exit_code == 0, result.output
    assert "0.001 to 1" in result.output
    tuned = load_all_tuned([output])
    assert len(tuned.of(get_task("quadratic"))) == 5  # the shipped baselines stand beside it
    (entry,) = tuned.adapted(get_task("quadratic"))
    assert entry.kind == f"{heavy}(rate=tuned, beta=0.5)"
    (adapted,) = select_adapted(parse_optimizers([heavy]), tuned, ["quadratic"])
    assert adapted.spec.parameters["rate"] == entry.hyperparameters["rate"]
    assert adapted.tuned == entry
    with pytest.raises(LoptbenchError, match="would be imported"):
        select_adapted([], tuned, ["quadratic"])  # a file alone may not make a module run
    with pytest.raises(LoptbenchError, match="both hold"):
        load_all_tuned([output, output])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", "not of the form"),
        ("lr=1e-3", "not of the form"),
        ("lr=a:b", "not of the form"),
        ("lr=1:1e-3", "upside down: give lr=1e-3:1"),
        ("lr=1:1", "is empty; fix a setting with --set lr=1"),
        ("lr=0:1", "0 < low < high"),
        ("1-b1=0.1:2", "at most 1"),
    ],
)
def test_wrong_ranges_are_refused(text: str, message: str) -> None:
    with pytest.raises(LoptbenchError, match=message):
        parse_range(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "sgd"}, "--baseline sgd"),
        ({"optimizer": "lion"}, "not of the form package.module:Object"),
        ({"optimizer": "HEAVY", "baselines": ["sgd"]}, "into a file each"),
        ({"optimizer": "HEAVY"}, "no setting lr or learning_rate"),
        ({"optimizer": "HEAVY", "ranges": {"rat": Range(1e-3, 1)}}, "did you mean rate"),
        (
            {"optimizer": "HEAVY", "ranges": {"rate": Range(1e-3, 1)}, "settings": {"rate": 1}},
            "is fixed",
        ),
        ({"settings": {"lr": 1}}, "baselines have neither"),
        ({"optimizer": "HEAVY", "settings": {"rate": np.ones}}, "cannot be written"),
    ],
)
def test_wrong_searches_are_refused(
    arguments: dict[str, Any], message: str, heavy: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {k: heavy if v == "HEAVY" else v for k, v in arguments.items()}
    with pytest.raises(LoptbenchError, match=message):
        loptbench.tune(tmp_path / "out.json", implementation="reference", **given)
    assert not (tmp_path / "out.json").exists()


WRONG_STATES = """
class Pair(Heavy):
    def initial_state(self, n):
        return np.zeros((n, 1)), 0

class Flat(Heavy):
    def initial_state(self, n):
        return np.zeros(n)

class Raises(Heavy):
    def initial_state(self, n):
        raise ValueError("boom")
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Pair", "an array of shape .n, n_state., but it is a tuple"),
        ("Flat", "an array of shape .n, n_state., but it is of shape .1,."),
        ("Raises", "my_wrong:Raises failed in initial_state: ValueError: boom"),
    ],
)
def test_a_state_that_is_no_array_is_told_in_a_sentence(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_wrong.py").write_text(HEAVY + WRONG_STATES)
    monkeypatch.syspath_prepend(str(tmp_path))
    given: Any = {"settings": {"rate": 0.3}, "implementations": ["reference"]}
    with pytest.raises(LoptbenchError, match=message):
        run(tmp_path / "store", optimizers=[f"my_wrong:{name}"], tasks=["quadratic"], **given)


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (["momentum:alpha=0.1,beta=0.9"], {}, "is a baseline"),
        (["quadratic-quick-jax-0"], {}, "--checkpoint"),
        (["optax:lion", "optax:adam"], {"learning_rate": 1}, "2 are named"),
        (["lion"], {}, "not of the form"),
        (["optax:lion(learning_rate=1)"], {"learning_rate": 1}, "given twice"),
    ],
)
def test_wrong_names_are_refused(names: list[str], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LoptbenchError, match=message):
        parse_optimizers(names, settings)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch.optim:LBFGS", "closure"),
        ("torch.optim:Adafactor", "stand in the same array"),
        ("torch.optim:Adam(weight_decay=0.1)", "value of the parameter"),
    ],
)
def test_what_is_not_component_wise_is_refused_before_a_run(
    name: str, message: str, tmp_path: Path
) -> None:
    lr_of("torch")
    with pytest.raises(NotComponentWiseError, match=message):
        run(tmp_path / "store", optimizers=[name], tasks=["quadratic"])
    with pytest.raises(NotComponentWiseError, match=message):
        loptbench.tune(tmp_path / "out.json", optimizer=name)
    assert not (tmp_path / "store").exists()
