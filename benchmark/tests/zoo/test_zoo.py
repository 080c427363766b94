"""The zoo: its checkpoints are complete and follow the presets."""

import numpy as np
import pytest

from loptbench.errors import LoptbenchError
from loptbench.optimizers import get_architecture
from loptbench.statistics.bootstrap import FEWEST_SEEDS
from loptbench.tasks import TASKS
from loptbench.training.settings import MetaTraining, load_preset, recorded_configuration
from loptbench.zoo.catalogue import shipped, shipped_path, zoo


def test_the_zoo_is_whole_and_small() -> None:
    assert sum(shipped_path(member.name).stat().st_size for member in zoo()) < 60e6
    for member in zoo():
        checkpoint = shipped(member.name)
        metadata = checkpoint.meta_training
        config = recorded_configuration(metadata)
        assert (member.task, member.implementation) == (checkpoint.task, metadata["implementation"])
        own = {"seed": member.seed, "device": config["device"]}
        own["architecture"] = checkpoint.optimizer.kind
        preset = load_preset(member.preset, member.task, own)
        assert MetaTraining.model_validate(config) == preset, member.name
        learned = get_architecture(member.architecture)
        assert learned.n_units(checkpoint.optimizer.parameters) == config["n_units"]
        assert set(metadata["versions"]) >= {member.implementation}
        rows = {
            row["step"]: min(row["validation"], row.get("averaged", np.inf))
            for row in metadata["log"]
        }
        assert (
            metadata["best_validation"] == rows[metadata["best_outer_step"]] == min(rows.values())
        )


def test_a_checkpoint_that_is_not_shipped() -> None:
    with pytest.raises(LoptbenchError, match="unknown checkpoint 'rosenbrock'; known are: digits-"):
        shipped("rosenbrock")


@pytest.mark.parametrize(("implementation", "fewest"), [("jax", FEWEST_SEEDS), ("torch", 3)])
@pytest.mark.parametrize("task", TASKS)
def test_the_zoo_has_enough_seeds_of_each_task(task: str, implementation: str, fewest: int) -> None:
    """JAX has enough seeds for a verdict, and PyTorch for a comparison with JAX."""
    seeds = {
        member.seed
        for member in zoo()
        if (member.task, member.preset, member.implementation, member.architecture)
        == (task, "quick", implementation, "gru")
    }
    assert seeds >= set(range(fewest))
