"""Files of claims: what is wrong with one is said in a sentence, by file, claim and field."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loptbench.claims.catalogue import Claim, claims, load_edition
from loptbench.claims.statistics import STATISTICS
from loptbench.errors import ClaimsError
from loptbench.results.store import Store
from loptbench.tasks import TASKS
from loptbench.tests.fixture_types import Command

pytestmark = pytest.mark.harness

GOOD = """
[[claim]]
name = "momentum"
title = "Momentum"
sentence = "Past gradients are carried on."
tasks = ["quadratic"]
primary = { statistic = "momentum", at_least = 0.5 }
alternatives = [{ reading = "by lag", statistic = "momentum", measure = "lag", at_least = 0.5 }]
"""
ACROSS = """
[[claim]]
name = "used-more"
title = "Used more"
sentence = "Clipping is used more."
tasks = ["rosenbrock", "quadratic"]
primary = { statistic = "saturation_loss", compared = "ratio", at_least = 2 }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def message(folder: Path, text: str) -> str:
    """The error that a file of claims causes."""
    with pytest.raises(ClaimsError) as caught:
        claims(write(folder, text))
    return str(caught.value)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    edition = load_edition(write(tmp_path, GOOD + ACROSS))
    assert edition.name == "mine.toml"
    momentum, used_more = edition.claims
    assert [reading.words for reading in momentum.readings] == ["momentum index", "by lag"]
    assert momentum.places == ("quadratic",)
    assert used_more.alternatives == ()
    assert used_more.places == ("rosenbrock and quadratic",)
    # The premise is that of edition 2 where a file has none.
    assert edition.premise("quadratic") is load_edition(2).by_name["optimizes"]


CHANGES = [
    ('"momentum", at_l', '"momentun", at_l', "primary: the statistic 'momentun' is unknown; known"),
    (
        'measure = "lag"',
        'measure = "log"',
        "alternatives.0: .* measure is 'log', but should be one",
    ),
    (
        'measure = "lag"',
        'mesure = "lag"',
        "alternatives.0: .* it takes no 'mesure'; its parameters",
    ),
    ('measure = "lag"', "measure = 3", "measure is 3, but should be one of: index, mode, lag"),
    ("primary = {", "second = {", "primary"),
    (", at_least = 0.5 }\nalt", " }\nalt", "primary: it has no threshold: it cannot fail"),
    ("at_least = 0.5 }\nalt", "at_lest = 0.5 }\nalt", "it takes no 'at_lest'"),
    (
        "at_least = 0.5 }\nalt",
        "at_least = 0.5, at_most = 0.4 }\nalt",
        "primary: at_least is 0.5 and at_most is 0.4, the wrong way round",
    ),
    ("at_least = 0.5 }\nalt", 'at_least = "0.5" }\nalt', "primary.at_least: .*it is '0.5'"),
    ("at_least = 0.5 }\nalt", "at_least = true }\nalt", "primary.at_least: .*it is True"),
    ("at_least = 0.5 }\nalt", "at_least = nan }\nalt", "primary.at_least: .*finite"),
    ("at_least = 0.5 }\nalt", "at_least = -inf }\nalt", "primary.at_least: .*finite"),
    ('tasks = ["quadratic"]', 'tasks = ["mnist"]', "unknown tasks: mnist; known are: quadratic"),
    ('tasks = ["quadratic"]', "tasks = []", "tasks"),
    ('tasks = ["quadratic"]', 'tasks = "quadratic"', "tasks"),
    ('tasks = ["quadratic"]', 'tasks = ["quadratic", "quadratic"]', "names a task twice"),
    ('tasks = ["quadratic"]', "tasks = [1]", "tasks.0"),
    ('tasks = ["quadratic"]', "", "the field tasks is missing"),
    ('name = "momentum"', 'name = "mo mentum"', "name: "),
    ('name = "momentum"', "name = 3", "claim 1: name: .*it is 3"),
    ('name = "momentum"', "", "claim 1: the field name is missing"),
    ('title = "Momentum"', 'title = ""', "title: "),
    ('sentence = "Past', 'sentense = "Past', "sent"),
    (
        'statistic = "momentum", at_l',
        'statistic = "share_at_point", at_l',
        "no value is at least 5",
    ),
    ("alternatives = [{", "alternatives = 3 #", "alternatives"),
]


@pytest.mark.parametrize(("old", "new", "said"), CHANGES)
def test_what_is_wrong_is_said_by_file_claim_and_field(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    good = GOOD.replace("0.5 }\nalt", "5 }\nalt") if "no value" in said else GOOD
    text = good.replace(old, new, 1)
    assert text != good
    words = message(tmp_path, text)
    assert words.startswith("mine.toml: claim ")
    assert re.search(said, words), words
    assert "\n" not in words


def test_a_missing_primary_has_its_own_sentence(tmp_path: Path) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith("primary"))
    words = "mine.toml: claim 'momentum': it has no primary reading: the field primary is missing"
    assert message(tmp_path, text) == words


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["rosenbrock", "quadratic"]', '["rosenbrock"]', "compares two tasks, but is on 1"),
        ('"quadratic"]', '"quadratic", "digits"]', "compares two tasks, but is on 3"),
        ('compared = "ratio"', 'compared = "product"', "primary.compared: "),
        (
            "at_least = 2 }",
            'at_least = 2 }\nalternatives = [{ statistic = "reach", at_least = 1 }]',
            "some of its readings compare two tasks, others do not",
        ),
    ],
)
def test_a_claim_across_tasks_is_on_two(old: str, new: str, said: str, tmp_path: Path) -> None:
    words = message(tmp_path, ACROSS.replace(old, new))
    assert words.startswith("mine.toml: claim 'used-more': ")
    assert said in words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mine.toml holds no claim"),
        ("# nothing\n", "mine.toml holds no claim"),
        ("claim = []", "mine.toml holds no claim"),
        ("claim = 3", "mine.toml: 'claim' should be a list of tables"),
        ("claim = [3]", "mine.toml: 'claim' should be a list of tables"),
        ("[[claims]]\nname = 'x'", "mine.toml should hold tables [[claim]], but has 'claims'"),
        ("edition = 3\n" + GOOD, "'edition' should be text"),
        ("{", "mine.toml is not TOML: "),
        (GOOD + GOOD, "two claims have the name 'momentum'"),
        (GOOD + GOOD.replace('"momentum"\nt', '"more"\nt'), "two claims have the title 'Momentum'"),
    ],
)
def test_what_is_no_list_of_claims_is_said(text: str, said: str, tmp_path: Path) -> None:
    assert said in message(tmp_path, text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path, "3", "\0"):
        with pytest.raises(ClaimsError, match=r"cannot be read|is no path"):
            claims(path)
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ClaimsError, match="is not TOML"):
        claims(tmp_path / "mine.toml")


scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([*STATISTICS, *TASKS, "ratio", "T", "2T", "lag"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc_", min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)
readings = st.dictionaries(
    st.sampled_from(["statistic", "at_least", "at_most", "compared", "reading", "after", "states"]),
    scalars,
    max_size=5,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.just("x"), values),
        "title": st.one_of(st.just("X"), values),
        "sentence": st.one_of(st.just("X."), values),
        "tasks": st.one_of(st.lists(st.sampled_from(list(TASKS))), values),
        "primary": st.one_of(readings, values),
        "alternatives": st.one_of(st.lists(readings, max_size=2), values),
        "statistic": scalars,
        "at_least": scalars,
    },
)


def as_toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = "".join(
            f"\\U{ord(c):08x}" if ord(c) not in range(0xD800, 0xE000) else "?" for c in value
        )
        return f'"{escaped}"'
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{as_toml(k)} = {as_toml(v)}' for k, v in value.items())}}}"
    return repr(value)


def read(path: Path) -> Claim | str:
    """The claim in a file, or why it is refused."""
    try:
        (claim,) = claims(path)
    except ClaimsError as error:
        return str(error)
    return claim


@given(fields)
def test_whatever_a_claim_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
) -> None:
    """Never a traceback: a claim that can be judged, or one sentence."""
    lines = [f"{as_toml(name)} = {as_toml(value)}" for name, value in fields.items()]
    answer = read(write(tmp_path_factory.mktemp("claims"), "\n".join(["[[claim]]", *lines])))
    if isinstance(answer, str):
        assert answer.startswith("mine.toml")
        assert "\n" not in answer
    else:
        assert answer.threshold
        assert all(reading.measured.words and reading.label for reading in answer.readings)


@given(st.binary(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("claims") / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ClaimsError, match=r"mine\.toml"):
        claims(path)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    assert "mine.toml" in message(tmp_path, "claim = " + "[" * 100_000)


def test_run_says_it(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('"momentum", at_l', '"momentun", at_l'))
    words = "mine.toml: claim 'momentum': primary: the statistic 'momentun' is unknown"
    code, _, error = command("run", "--store", str(tmp_path / "new"), "--claims", str(path))
    assert (code, words in error) == (2, True)
    assert not (tmp_path / "new").exists()  # it is found before anything is measured


def test_report_says_it(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("seaborn", reason="the report extra is not installed")
    path = write(tmp_path, GOOD.replace('"momentum", at_l', '"momentun", at_l'))
    words = "mine.toml: claim 'momentum': primary: the statistic 'momentun' is unknown"
    Store.create(tmp_path / "old")
    code, _, error = command("report", str(tmp_path / "old"), "--claims", str(path))
    assert (code, words in error) == (2, True)
