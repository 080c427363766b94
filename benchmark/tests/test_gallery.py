"""The gallery: what is shipped is what the command measures, and what is known in closed form."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from loptbench.cli.main import cli
from loptbench.errors import UnknownNameError
from loptbench.gallery import COLUMNS, measure, shipped
from loptbench.reports.gallery import write

RECOMPUTED = {
    "torch.optim:SGD": 1e-6,
    "optax:sign_sgd": 1e-6,
    "optax:rmsprop": 1e-2,  # oscillates: one last bit of its learning rate moves this by 6e-4
    "optax:lars": 1e-6,
}
"""Optimizers, and the relative tolerance of their numbers on another processor."""


def test_a_few_measured_again_are_as_shipped() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("optax")
    stored = shipped().set_index("optimizer").loc[[*RECOMPUTED]]
    here = {f"{name} {version(name).partition('+')[0]}" for name in ("torch", "optax")}
    if not {*stored["version"]} <= here:
        pytest.skip("other versions of the libraries than those of the shipped results")
    again = measure(RECOMPUTED).set_index("optimizer")
    for name in ("note", "refused", "settings"):
        texts = [
            column[name].str.replace(r"\d[\d.e-]*", "#", regex=True) for column in (again, stored)
        ]
        assert texts[0].tolist() == texts[1].tolist()
    numbers = stored.select_dtypes("number").columns
    assert len(numbers) == 6
    for optimizer, rtol in RECOMPUTED.items():
        measured, known = (table.loc[optimizer, numbers].astype(float) for table in (again, stored))
        np.testing.assert_allclose(measured, known, rtol=rtol, atol=1e-9, err_msg=optimizer)


def test_what_is_shipped_is_what_is_known() -> None:
    table = shipped().set_index("optimizer")
    assert list(table.reset_index().columns) == list(COLUMNS)
    sgd = table.loc["optax:sgd"]
    assert sgd[["momentum_index", "first_rate", "last_over_peak"]].tolist() == pytest.approx(
        [0, 0.01, 1]
    )
    assert sgd["half_saturation"] == np.inf
    assert sgd["adaptation_ratio"] == pytest.approx(1)
    # Equal equations have equal numbers, in both libraries.
    columns = ["half_saturation", "adaptation_ratio", "elasticity"]
    np.testing.assert_allclose(
        table.loc["torch.optim:Adam", columns].astype(float),
        table.loc["optax:adam", columns].astype(float),
        rtol=1e-6,
    )
    assert table.loc["torch.optim:Adam", "elasticity"] == pytest.approx(-1, abs=0.05)
    assert "same array" in table.loc["optax:lamb", "refused"]
    assert "closure" in table.loc["torch.optim:LBFGS", "refused"]


def test_the_page_has_every_optimizer(tmp_path: Path) -> None:
    table = shipped()
    page = write(table, tmp_path / "gallery.html").read_text()
    assert all(f"<td>{name}</td>" in page for name in table["optimizer"])
    written = write(table, tmp_path / "gallery.csv").read_text()
    assert len(written.splitlines()) == len(table) + 1


def test_the_command(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    arguments = ["gallery", "--shipped", "--only", "optax:lion", "--output", str(page)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert result.output.strip() == str(page)
    assert "optax:lion" in page.read_text()
    assert "optax:adam<" not in page.read_text()


def test_an_unknown_name() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("optax")
    with pytest.raises(UnknownNameError, match="optax:loin"):
        measure(["optax:loin"])
