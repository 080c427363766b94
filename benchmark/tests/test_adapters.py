"""Optimizers of torch.optim and optax as optimizers of the protocol."""

import warnings
from typing import Any

import numpy as np
import pytest

import loptbench
from loptbench.adapters import AdapterWarning, parse_named, parse_setting
from loptbench.discovery import oracle
from loptbench.errors import LoptbenchError, NotComponentWiseError
from loptbench.optimizers import OptimizerSpec, baseline
from loptbench.results.schema.mechanisms import MomentumResult, NotApplicable
from loptbench.study.resolve import resolve

LIBRARY = {"torch.optim": "torch", "optax": "optax"}


def adapted(name: str, **settings: Any) -> Any:
    pytest.importorskip(LIBRARY[name.partition(":")[0]])
    return resolve(name, settings)


KNOWN = [
    ("torch.optim:SGD", {"lr": 0.1}, baseline("sgd", alpha=0.1)),
    ("torch.optim:SGD", {"lr": 0.1, "momentum": 0.9}, baseline("momentum", alpha=0.1, beta=0.9)),
    (
        "torch.optim:SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        baseline("nesterov", alpha=0.1, beta=0.9),
    ),
    ("torch.optim:RMSprop", {"lr": 0.1, "alpha": 0.9}, baseline("rmsprop", alpha=0.1, gamma=0.9)),
    (
        "torch.optim:Adam",
        {"lr": 0.1, "betas": (0.8, 0.99)},
        baseline("adam", alpha=0.1, beta1=0.8, beta2=0.99),
    ),
    ("optax:sgd", {"learning_rate": 0.1}, baseline("sgd", alpha=0.1)),
    (
        "optax:sgd",
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        baseline("nesterov", alpha=0.1, beta=0.9),
    ),
    (
        "optax:adam",
        {"learning_rate": 0.1, "b1": 0.8, "b2": 0.99},
        baseline("adam", alpha=0.1, beta1=0.8, beta2=0.99),
    ),
]


@pytest.mark.parametrize(("name", "settings", "spec"), KNOWN)
def test_updates_and_gains_are_those_of_our_own(
    name: str, settings: dict[str, Any], spec: OptimizerSpec
) -> None:
    optimizer = adapted(name, **settings)
    own = oracle().optimizer(spec, "float64", "cpu")
    rng = np.random.default_rng(0)
    h, h_own = optimizer.initial_state(6), own.initial_state(6)
    for _ in range(12):
        gradient = rng.standard_normal(6)
        # Also at zero: there √v has no derivative, and ours takes none of it.
        for g in (gradient, np.zeros(6)):
            expected = own.linearize(h_own, g).D
            # Terms of the size of the update over the gradient may cancel.
            np.testing.assert_allclose(optimizer.gain(h, g), expected, rtol=1e-9, atol=1e-12)
        h, update = optimizer.step(h, gradient)
        h_own, expected = own.step(h_own, gradient)
        np.testing.assert_allclose(update, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("torch.optim:AdamW", {"lr": 0.1, "weight_decay": 0.1}),
        ("optax:adamw", {"learning_rate": 0.1, "weight_decay": 0.1}),
    ],
)
def test_a_decay_that_is_added_is_left_out_and_said(name: str, settings: dict[str, Any]) -> None:
    with pytest.warns(AdapterWarning, match="weight decay"):
        optimizer = adapted(name, **settings)
    own = oracle().optimizer(baseline("adam", alpha=0.1, beta1=0.9, beta2=0.999), "float64", "cpu")
    g = np.array([1.0, -3.0])
    np.testing.assert_allclose(
        optimizer.step(optimizer.initial_state(2), g)[1],
        own.step(own.initial_state(2), g)[1],
        rtol=1e-9,
    )


def test_probes_find_what_is_known() -> None:
    analysis = loptbench.analyze(
        adapted("torch.optim:SGD", lr=0.1, momentum=0.8), "quadratic", n_problems=2
    )
    assert isinstance(analysis.momentum, MomentumResult)
    assert analysis.momentum.index == pytest.approx(0.8, abs=1e-9)
    assert analysis.momentum.effective_rate == pytest.approx(0.1, rel=1e-9)


def test_adam_has_no_momentum_index_just_as_our_own() -> None:
    """At rest v = 0, where the update is not linear in the gradient."""
    few: dict[str, Any] = {"task": "quadratic", "n_problems": 2, "gradients": [-1, 1]}
    analysis = loptbench.analyze(adapted("torch.optim:Adam", lr=0.1), **few)
    own = loptbench.analyze("adam:alpha=0.1,beta1=0.9,beta2=0.999", **few)
    assert isinstance(own.momentum, NotApplicable)
    assert analysis.momentum == own.momentum


def test_a_sign_has_no_derivative() -> None:
    analysis = loptbench.analyze(
        adapted("optax:sign_sgd", learning_rate=0.1), "quadratic", n_problems=2
    )
    assert isinstance(analysis.momentum, NotApplicable)
    assert "not differentiable" in analysis.momentum.reason


REFUSED = [
    ("optax:lamb", {"learning_rate": 0.1}, "stand in the same array"),
    ("optax:lars", {"learning_rate": 0.1}, "stand in the same array"),
    ("optax:clip_by_global_norm", {"max_norm": 1.0}, "stand in the same array"),
    ("optax:centralize", {}, "matrix"),
    ("optax:lbfgs", {}, "value"),
    ("optax:polyak_sgd", {}, "value"),
    ("optax:add_decayed_weights", {"weight_decay": 0.1, "mask": None}, None),
    ("torch.optim:Muon", {}, "matrices"),
    ("torch.optim:Adafactor", {}, "stand in the same array"),
    ("torch.optim:LBFGS", {}, "closure"),
    ("torch.optim:SparseAdam", {}, "dense gradients"),
    ("torch.optim:Adam", {"weight_decay": 0.1}, "value of the parameter"),
]


@pytest.mark.parametrize(("name", "settings", "reason"), REFUSED)
def test_what_is_not_component_wise_is_refused_with_the_reason(
    name: str, settings: dict[str, Any], reason: str | None
) -> None:
    module, _, attribute = name.partition(":")
    library = pytest.importorskip(LIBRARY[module])
    first = attribute.partition(".")[0]
    if module == "optax" and not hasattr(library, first):
        pytest.skip(f"this optax has no {attribute}")
    if reason is None:  # a decay alone: what is left of it has no state and changes nothing
        with pytest.warns(AdapterWarning):
            assert adapted(name, **settings).initial_state(1).shape == (1, 0)
        return
    with pytest.raises(NotComponentWiseError, match=reason):
        adapted(name, **settings)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("torch.optim:AdmW", {}, "did you mean AdamW"),
        ("torch.optim:SGD", {"lrr": 1}, "did you mean lr"),
        ("torch.optim:SGD", {"lr": -1}, "Invalid learning rate"),
        ("torch.optim:SGD", {"lr": "fast"}, "cannot be made"),
        ("optax:lion", {}, "needs learning_rate"),
        ("optax:lion(0.1)", {}, "not of the form"),
        ("optax:lion", {"learning_rat": 1}, "did you mean learning_rate"),
    ],
)
def test_wrong_names_and_values_are_said(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LoptbenchError, match=message):
        adapted(name, **settings)


def test_settings_of_what_has_none() -> None:
    with pytest.raises(LoptbenchError, match="no settings"):
        resolve("quadratic-quick-jax-0", {"lr": 1})
    with pytest.raises(LoptbenchError, match="momentum takes alpha, beta"):
        resolve("momentum", {"alpha": 0.1, "gamma": 0.9})


def test_random_numbers_are_refused() -> None:
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")

    def init(params: Any) -> Any:
        return jax.random.key(0)

    def update(updates: Any, key: Any, params: Any = None) -> Any:
        key, own = jax.random.split(key)
        noise = jax.tree.map(lambda g: jax.random.normal(own, g.shape, g.dtype), updates)
        return noise, key

    with pytest.raises(NotComponentWiseError, match="random"):
        resolve(optax.GradientTransformation(init, update))


def test_an_optimizer_of_ones_own_that_remembers_elsewhere_is_refused() -> None:
    torch = pytest.importorskip("torch")

    class Counting(torch.optim.SGD):  # type: ignore[misc, name-defined]
        n_steps = 0

        def step(self) -> None:
            self.n_steps += 1
            self.param_groups[0]["lr"] = 0.1 / self.n_steps
            super().step()

    with pytest.raises(NotComponentWiseError, match="group of parameters"):
        loptbench.analyze(Counting([torch.zeros(2)], lr=0.1), "quadratic", n_problems=1)


def test_objects_of_the_libraries_are_adapted_too() -> None:
    optax, torch = pytest.importorskip("optax"), pytest.importorskip("torch")
    chain = optax.chain(optax.clip(1.0), optax.trace(0.9), optax.scale(-0.1))
    sgd = torch.optim.SGD([torch.zeros(3)], lr=0.1, momentum=0.9)
    g = np.array([3.0, 0.5])
    for thing, expected in ((chain, [-0.1, -0.05]), (sgd, [-0.3, -0.05])):
        optimizer: Any = resolve(thing)
        _, update = optimizer.step(optimizer.initial_state(2), g)
        np.testing.assert_allclose(update, expected)


def test_text_of_settings() -> None:
    assert parse_named("a:b(c=(1, 2), d='x')") == ("a:b", {"c": (1, 2), "d": "x"})
    assert parse_setting("lr=1e-3") == ("lr", 0.001)
    assert parse_setting("mode = fast") == ("mode", "fast")
    for wrong in ("lr", "=1", "a b=1"):
        with pytest.raises(LoptbenchError, match="name=value"):
            parse_setting(wrong)


def test_adapting_leaves_the_process_as_it_is() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AdapterWarning)
        adapted("torch.optim:NAdam")
    assert torch.get_default_dtype() is before
