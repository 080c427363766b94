"""The report says which mean deviates from that of another implementation."""

from pathlib import Path

import pytest

from loptbench.tests.study.test_means import off_on_problems_that_were_not_drawn, study

pytest.importorskip("matplotlib", reason="the report extra is not installed")

from loptbench.reports.page.elements import Prose
from loptbench.reports.page.store import render
from loptbench.reports.sections.means import means_sentence
from loptbench.reports.sections.report import Report


def test_the_report_says_which_mean_deviates(tmp_path: Path) -> None:
    right = study(tmp_path / "right")
    wrong = study(tmp_path / "wrong", off_on_problems_that_were_not_drawn())
    page = render(wrong.store)
    assert "mean of sgd (tuned) on quadratic in port beside other, float64: " in page
    for measured, n_agree in ((wrong, 8), (right, 16)):
        [sentence] = means_sentence(Report(measured.store))
        assert isinstance(sentence, Prose)
        assert f": {n_agree} of 16 agree within what their problems earn;" in sentence.text
