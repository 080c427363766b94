"""The search of outer settings: what is drawn, who stays, resuming, refusals."""

import math
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.engines.engine import Call, Chain
from loptbench.errors import LoptbenchError
from loptbench.optimizers import ARCHITECTURES
from loptbench.tasks import TASKS
from loptbench.training import meta_tuning
from loptbench.training.meta_tuning import (
    FIRST_SEED,
    Draw,
    MetaTuned,
    MetaTuning,
    Round,
    draw_settings,
    meta_tune,
)
from loptbench.training.settings import MetaTraining, load_config
from loptbench.training.space import SPACE, Uniform, narrowed

pytestmark = pytest.mark.harness

BASE = MetaTraining(
    n_units=3, batch_size=2, n_steps=8, dtype="float64", validation_size=4, checkpoint_every=1
)
SEARCH = MetaTuning(n_draws=5, reduction=2, n_rounds=3, first_steps=2, n_seeds=2)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("search") / "found.json"
    meta_tune("reference", BASE, SEARCH, output)
    return output


def test_each_round_trains_fewer_draws_longer(undisturbed: Path) -> None:
    found = meta_tuning.MetaTuned.model_validate_json(undisturbed.read_bytes())
    assert [draw.number for draw in found.draws] == [0, 1, 2, 3, 4]
    by_round = [[d for d in found.draws if len(d.rounds) > number] for number in range(3)]
    assert [len(draws) for draws in by_round] == [5, 3, 2]
    for number in range(2):
        left = sorted(by_round[number], key=lambda draw: draw.rounds[number].score)
        assert {d.number for d in left[: len(by_round[number + 1])]} == {
            d.number for d in by_round[number + 1]
        }
    assert [r.outer_steps for r in found.draws[found.best].rounds] == [2, 4, 8]
    assert [list(r.validations) for r in found.draws[found.best].rounds] == [
        [FIRST_SEED],
        [FIRST_SEED],
        [FIRST_SEED, FIRST_SEED + 1],
    ]
    best = min(by_round[2], key=lambda draw: draw.rounds[2].score)
    assert found.best == best.number
    # Longer training never validates worse: it is the best so far.
    validations = [r.validations[FIRST_SEED] for r in found.draws[found.best].rounds]
    assert validations == sorted(validations, key=lambda value: -(value or math.inf))
    assert [path.name for path in undisturbed.parent.iterdir()] == ["found.json"]


@pytest.mark.parametrize("at", [1, 4, 9])
def test_interrupted_and_resumed_it_ends_with_the_same_bytes(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    calls = 0
    train = meta_tuning.best_validation

    def stop_at(*training: Any) -> Chain[float]:
        nonlocal calls
        calls += 1
        if calls > at:
            raise KeyboardInterrupt
        return (yield from train(*training))

    with monkeypatch.context() as patch:
        patch.setattr(meta_tuning, "best_validation", stop_at)
        with pytest.raises(KeyboardInterrupt):
            meta_tune("reference", BASE, SEARCH, tmp_path / "found.json")
    assert not (tmp_path / "found.json").exists()
    meta_tune("reference", BASE, SEARCH, tmp_path / "found.json")
    assert (tmp_path / "found.json").read_bytes() == undisturbed.read_bytes()


def test_the_settings_that_won_are_a_file_for_meta_training(
    tmp_path: Path, undisturbed: Path
) -> None:
    found = meta_tuning.MetaTuned.model_validate_json(undisturbed.read_bytes())
    (tmp_path / "found.toml").write_text(found.preset())
    config = load_config(tmp_path / "found.toml", "quadratic", {})
    assert config.n_units == BASE.n_units
    assert {name: getattr(config, name) for name in SPACE} == found.settings


def test_draws_lie_in_their_ranges_and_differ() -> None:
    draws = [draw_settings(MetaTuning(), "quadratic", number) for number in range(200)]
    assert draws == [draw_settings(MetaTuning(), "quadratic", number) for number in range(200)]
    assert draws[0] != draw_settings(MetaTuning(), "rosenbrock", 0)
    assert draws[0] != draw_settings(MetaTuning(seed=1), "quadratic", 0)
    for name, values in SPACE.items():
        drawn: list[Any] = [draw[name] for draw in draws]
        if isinstance(values, Uniform):
            ends = sorted([values.at(0.0), values.at(1.0)])
            assert ends[0] <= min(drawn) < max(drawn) <= ends[1]
            assert len(set(drawn)) > 100  # to four digits
        else:
            assert set(drawn) == set(values)
        # Any draw is a setting that meta-training takes.
        for value in (drawn[0], *drawn[-3:]):
            MetaTraining.model_validate({name: value})


def test_of_several_architectures_each_draw_has_one(tmp_path: Path) -> None:
    space = {**SPACE, "architecture": ("gru", "lstm")}
    found = meta_tune("reference", BASE, SEARCH, tmp_path / "found.json", space=space)
    drawn = [draw.settings.pop("architecture") for draw in found.draws]
    assert set(drawn) == {"gru", "lstm"}
    # The other settings are those of a search of one architecture.
    alone = [draw_settings(SEARCH, BASE.task, draw.number) for draw in found.draws]
    assert [draw.settings for draw in found.draws] == alone
    unknown = {**SPACE, "architecture": ("gru", "perceptron")}
    with pytest.raises(LoptbenchError, match="unknown architecture 'perceptron'"):
        meta_tune("reference", BASE, SEARCH, tmp_path / "other.json", space=unknown)
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_a_draw_that_diverges_loses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scores = {0: math.inf, 1: 0.5, 2: math.inf, 3: 0.4, 4: 0.6}

    def train(_: str, config: MetaTraining, until: int, partial: Path) -> Chain[float]:
        yield Call(int, (config.seed + until,))
        return scores[int(partial.name.partition("-")[0])]

    monkeypatch.setattr(meta_tuning, "best_validation", train)
    found = meta_tune("reference", BASE, SEARCH, tmp_path / "found.json")
    assert found.best == 3
    assert found.draws[0].rounds[0].validations == {FIRST_SEED: None}
    scores = dict.fromkeys(range(5), math.inf)
    with pytest.raises(LoptbenchError, match="not finite with any of 5 draws"):
        meta_tune("reference", BASE, SEARCH, tmp_path / "other.json")


def test_a_score_is_the_mean_over_seeds() -> None:
    assert Round(outer_steps=4, validations={1: 0.25, 2: 0.75}).score == 0.5
    assert Round(outer_steps=4, validations={1: 0.25, 2: None}).score == math.inf
    assert Draw(number=0, settings={}).rounds == []


def test_a_search_goes_on_with_its_own_settings_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> Chain[float]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(meta_tuning, "best_validation", interrupt)
        with pytest.raises(KeyboardInterrupt):
            meta_tune("reference", BASE, SEARCH, tmp_path / "found.json")
    other = SEARCH.model_copy(update={"seed": 1})
    with pytest.raises(LoptbenchError, match="trainings is of a search with other settings"):
        meta_tune("reference", BASE, other, tmp_path / "found.json")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text("precious")
    with pytest.raises(LoptbenchError, match="exists and is not overwritten"):
        meta_tune("reference", BASE, SEARCH, tmp_path / "found.json")
    assert (tmp_path / "found.json").read_text() == "precious"


def test_a_range_is_uniform_in_the_logarithm() -> None:
    places = np.linspace(0, 1, 5)
    rates = [Uniform(low=1e-4, high=1.0).at(float(place)) for place in places]
    np.testing.assert_allclose(rates, [1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    decays = [Uniform(low=1e-4, high=1e-2, of_complement=True).at(float(p)) for p in (0, 0.5, 1)]
    np.testing.assert_allclose(decays, [0.9999, 0.999, 0.99])


def test_other_ranges_change_what_they_name_and_no_more() -> None:
    ranges = {
        "learning_rate": Uniform(low=1e-3, high=2e-3),
        "beta1": Uniform(low=0.2, high=0.4, of_complement=True),
    }
    space = narrowed(ranges)
    for number in range(20):
        usual = draw_settings(MetaTuning(), "quadratic", number)
        drawn: dict[str, Any] = draw_settings(MetaTuning(), "quadratic", number, space)
        assert 1e-3 <= drawn["learning_rate"] <= 2e-3
        assert 0.6 <= drawn["beta1"] <= 0.8
        assert {n: v for n, v in drawn.items() if n not in ranges} == {
            n: v for n, v in usual.items() if n not in ranges
        }


def test_the_record_is_of_its_space(tmp_path: Path, undisturbed: Path) -> None:
    output = tmp_path / "found.json"
    output.write_bytes(undisturbed.read_bytes())
    found = meta_tune("reference", BASE, SEARCH, output)
    assert found.space == SPACE
    other = narrowed({"decay": Uniform(low=0.1, high=0.2)})
    with pytest.raises(LoptbenchError, match="exists and is not overwritten"):
        meta_tune("reference", BASE, SEARCH, output, space=other)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("units", Uniform(low=1, high=2), "unknown setting with a range 'units'"),
        ("clipping", Uniform(low=1, high=2), "unknown setting with a range 'clipping'"),
        ("decay", Uniform(low=0.5, high=0.1), "decay is empty or upside down: 0.5 to 0.1"),
        ("decay", Uniform(low=0.5, high=0.5), "decay is empty or upside down"),
        ("decay", Uniform(low=0.5, high=2), "decay: .*less than or equal to 1"),
        ("rollback_ratio", Uniform(low=0.5, high=2), "rollback_ratio: .*greater than 1"),
        ("beta1", Uniform(low=0.5, high=0.9), "beta1 must be given as 1-beta1=low:high"),
        (
            "decay",
            Uniform(low=0.5, high=0.9, of_complement=True),
            "decay must be given as decay=low:high",
        ),
    ],
)
def test_a_space_that_is_none_is_refused(name: str, given: Uniform, message: str) -> None:
    with pytest.raises(LoptbenchError, match=message):
        narrowed({name: given})


def test_too_few_draws_for_the_rounds_are_refused(tmp_path: Path) -> None:
    search = MetaTuning(n_draws=8, n_rounds=3)
    with pytest.raises(LoptbenchError, match=r"8 draws are too few for 3 rounds.* at least 9"):
        meta_tune("reference", BASE, search, tmp_path / "found.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", TASKS)
def test_the_shipped_searches_are_whole_and_the_best_draw_won(task: str) -> None:
    path = resources.files("loptbench.training") / "searches" / f"{task}.json"
    found = MetaTuned.model_validate_json(path.read_text())
    assert found.base.task == task
    architectures = found.space.get("architecture", ())
    assert set(architectures) <= {*ARCHITECTURES}
    assert {k: v for k, v in found.space.items() if k != "architecture"} == SPACE
    for draw in found.draws:
        drawn = draw_settings(found.search, task, draw.number, found.space)
        assert draw.settings == drawn
    for number in range(found.search.n_rounds):
        trained = [draw for draw in found.draws if len(draw.rounds) > number]
        assert len(trained) == found.search.n_left(number)
        assert {draw.rounds[number].outer_steps for draw in trained} == {found.search.steps(number)}
    assert found.draws[found.best] is min(trained, key=lambda draw: draw.rounds[-1].score)
