"""The short meta-trainings of the checks of level 5."""

import pytest

from loptbench.conformance.outer_problems import OF_THE_LOOP
from loptbench.protocol import OuterSettings
from loptbench.training.settings import MetaTraining

pytestmark = pytest.mark.harness


def test_every_setting_is_either_read_by_an_outer_step_or_changed_where_none_may_be() -> None:
    read = set(OuterSettings.__annotations__)
    names = {"preset", "task", "architecture"}
    assert read.isdisjoint(OF_THE_LOOP)
    assert read | set(OF_THE_LOOP) | names == set(MetaTraining.model_fields)


def test_changed_settings_are_valid_and_not_the_usual_ones() -> None:
    changed = MetaTraining.model_validate(OF_THE_LOOP).model_dump()
    usual = MetaTraining().model_dump()
    assert not {name for name in OF_THE_LOOP if changed[name] == usual[name]}
