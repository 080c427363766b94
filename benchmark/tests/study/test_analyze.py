"""The gradients of one's own, on which adaptation is measured."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loptbench
from loptbench.errors import LoptbenchError
from loptbench.results.schema.mechanisms import AdaptationResult
from loptbench.study.analyze import gradient_grid

pytestmark = pytest.mark.harness


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(bool), min_size=1, unique=True)
)
def test_gradients_are_sorted_and_none_is_lost(gradients: list[float]) -> None:
    assert gradient_grid(gradients).tolist() == sorted(gradients)


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ([], "no gradient is given"),
        ([1.0, 0.0], "the gradient 0 is zero"),
        ([-0.0], "is zero"),
        ([math.nan], "the gradient nan is not finite"),
        ([1.0, -math.inf], "the gradient -inf is not finite"),
        ([2.0, 1.0, 2.0], "the gradient 2 is given twice"),
        (["1", "one"], "the gradient 'one' is not a number"),
        ([None], "the gradient None is not a number"),
    ],
)
def test_wrong_gradients_are_refused(gradients: list[float], message: str) -> None:
    with pytest.raises(LoptbenchError, match=message) as error:
        loptbench.analyze("sgd:alpha=0.1", gradients=gradients)
    assert "such as -3,-1,-0.1,0.1,1,3" in str(error.value)


def test_adaptation_is_measured_under_them_alone() -> None:
    """RMSProp's rate is inversely proportional to the gradient that stays."""
    analysis = loptbench.analyze(
        "rmsprop:alpha=0.1,gamma=0.5", n_problems=2, gradients=np.array([3.0, -1.0, 0.5])
    )
    assert isinstance(analysis.adaptation, AdaptationResult)
    for states in (analysis.adaptation.adapted, analysis.adaptation.exact):
        assert states.gradients.tolist() == [-1.0, 0.5, 3.0]
        assert states.rate_reference * np.abs(states.gradients) == pytest.approx(
            states.rate_reference[0], rel=1e-5
        )
