"""What the README and the documentation say is so: links, commands, code, names, pictures."""

import doctest
import importlib
import inspect
import re
import shlex
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import loptbench
import loptbench.errors
from loptbench.cli.main import COMMANDS, cli
from loptbench.reference_results.claims_table import with_claims_table
from loptbench.tests.architecture_picture import description
from loptbench.tests.docs.pages import blocks, is_notebook, pages, source_tree

pytestmark = pytest.mark.harness


@pytest.fixture
def root(pytestconfig: pytest.Config) -> Path:
    return source_tree(pytestconfig)


def test_the_readme_is_short(root: Path) -> None:
    assert len((root / "README.md").read_text().split()) <= 700


def test_the_table_of_the_readme_is_that_of_the_reference_results(root: Path) -> None:
    text = (root / "README.md").read_text()
    assert with_claims_table(text) == text, (
        "run: python -m loptbench.reference_results.claims_table README.md"
    )


def test_the_picture_of_the_architecture_is_that_of_the_import_graph(root: Path) -> None:
    assert description() in (root / "docs" / "architecture.svg").read_text(), (
        "run: python -m loptbench.tests.architecture_picture docs/architecture.svg"
    )


LINK = re.compile(r"\]\(\s*([^)\s]+)\s*\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(root: Path) -> None:
    broken = []
    for page in pages(root):
        for target in LINK.findall(page.read_text()):
            if re.match(r"\w+://", target):
                continue
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(root)}: {target}")
    assert not broken


def commands(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Every call of `loptbench` in the pages, in blocks and in text, with its place."""
    for page in pages(root):
        text = page.read_text()
        lines = [line for block in blocks(text) for line in block.code.splitlines()]
        lines += re.findall(
            r"`(loptbench [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        )
        for line in lines:
            if line.startswith("loptbench "):
                yield f"{page.relative_to(root)}: {line}", shlex.split(line)[1:]


def parse(arguments: list[str]) -> None:
    """Parse a call of the command without running it."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and arguments and arguments[0][0] != "-":
        name, arguments = arguments[0], arguments[1:]
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command, context = found, click.Context(found, parent=context)
    if arguments:
        command.make_parser(context).parse_args(list(arguments))


def test_commands_have_the_options_that_pages_give_them(root: Path) -> None:
    called = list(commands(root))
    assert {arguments[0] for _, arguments in called} >= {*COMMANDS} - {"statistics"}
    for place, arguments in called:
        try:
            parse(arguments)
        except click.UsageError as error:
            pytest.fail(f"{place}: {error.message}")


def test_a_wrong_option_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse(["run", "--stroe", "results"])
    with pytest.raises(click.UsageError):
        parse(["zoo", "lits"])
    with pytest.raises(click.UsageError):
        parse(["zoo", "--verify"])


def test_environments_of_tox_exist(root: Path) -> None:
    known = set(re.findall(r"\[testenv:(\w+)\]", (root / "tox.ini").read_text()))
    for page in pages(root):
        named = set(re.findall(r"tox run -e (\w+)", page.read_text()))
        assert named <= known, page


def run_blocks(page: Path, languages: tuple[str, ...]) -> int:
    """Run the blocks of a page in these languages, one after the other; returns their number."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    chosen = [block for block in blocks(page.read_text()) if block.language in languages]
    for block in chosen:
        if block.code.startswith(">>> "):
            example = doctest.DocTestParser().get_doctest(
                block.code, namespace, page.name, str(page), block.line
            )
            assert not doctest.DocTestRunner().run(example, clear_globs=False).failed
        else:
            code = "\n" * block.line + block.code  # a failure names the line of the page
            exec(compile(code, page, "exec"), namespace)
    return len(chosen)


TAKES_LONG = "docs/get_started.md"
"""The page whose code runs a whole study."""


def test_the_python_of_pages_runs(root: Path, folder: Path) -> None:
    assert folder.exists()
    n_run = sum(
        run_blocks(page, ("python",))
        for page in pages(root)
        if page != root / TAKES_LONG and not is_notebook(page.read_text())
    )
    assert n_run >= 6


@pytest.mark.slow
def test_the_python_of_the_first_page_runs(root: Path, folder: Path) -> None:
    assert run_blocks(root / TAKES_LONG, ("python",)) == 2
    assert (folder / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        "tutorials/figure_1",
        "tutorials/look_inside",
        "tutorials/adapt_an_optimizer",
        "tutorials/use_in_your_training",
        "tutorials/meta_train",
        "how_it_works/probes",
    ],
)
def test_notebooks_run(root: Path, folder: Path, page: str) -> None:
    for library in ("seaborn", "jax", "torch"):
        pytest.importorskip(library)
    assert folder.exists()
    path = root / "docs" / f"{page}.md"
    n_cells = path.read_text().count("```{code-cell} python")
    assert n_cells
    assert run_blocks(path, ("{code-cell} python",)) == n_cells


def test_docstrings_are_converted_for_sphinx(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(root / "docs")
    docstrings = importlib.import_module("docstrings")
    assert docstrings.__file__ == str(root / "docs" / "docstrings.py")
    results = doctest.testmod(docstrings)
    assert results.attempted
    assert not results.failed
    examples = doctest.testmod(importlib.import_module("loptbench.tests.docs.pages"))
    assert examples.attempted
    assert not examples.failed


def documented(root: Path) -> set[Any]:
    """The objects that the pages of the reference describe, by their directives."""
    objects: set[Any] = set()
    for page in sorted((root / "docs" / "api").glob("*.md")):
        for kind, name in re.findall(r"\.\. auto(\w+):: ([\w.]+)", page.read_text()):
            found = resolve(name)
            if kind == "module":
                public = getattr(found, "__all__", [n for n in vars(found) if n[0] != "_"])
                objects |= {id(getattr(found, public_name)) for public_name in public}
            else:
                objects.add(id(found))
    return objects


def resolve(name: str) -> Any:
    """The object with a dotted name; one without a module is in `loptbench` itself."""
    if "." not in name:
        return getattr(loptbench, name)
    module, _, attribute = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), attribute)


def named_types(hint: Any) -> Iterator[type]:
    """The types of loptbench in an annotation."""
    if inspect.isclass(hint) and hint.__module__.startswith("loptbench."):
        yield hint
    for argument in typing.get_args(hint):
        yield from named_types(argument)


def public_objects() -> dict[str, Any]:
    """The public names, and every type that they take, return or hold, by its full name."""
    reached: dict[str, Any] = {}
    waiting: list[Any] = [getattr(loptbench, name) for name in loptbench.__all__]
    while waiting:
        found = waiting.pop()
        if reached.setdefault(f"{found.__module__}.{found.__qualname__}", found) is not found:
            continue
        members = [found]
        if inspect.isclass(found):
            own = [
                member.fget if isinstance(member, property) else member
                for name, member in inspect.getmembers(found)
                if name[0] != "_" and (inspect.isfunction(member) or isinstance(member, property))
            ]
            members += [m for m in own if m.__module__.startswith("loptbench.")]
        for member in members:
            for hint in hints_of(member).values():
                waiting += [t for t in named_types(hint) if full_name(t) not in reached]
    return reached


def full_name(of: Any) -> str:
    return f"{of.__module__}.{of.__qualname__}"


def hints_of(of: Any) -> dict[str, Any]:
    """The annotations of a function or class; pandas is imported for type checkers alone."""
    return typing.get_type_hints(of, localns={"DataFrame": object})


def test_the_reference_has_every_public_name(root: Path) -> None:
    described = documented(root)
    reached = public_objects()
    assert len(reached) > 50
    missing = sorted(name for name, found in reached.items() if id(found) not in described)
    assert not missing, "describe them in a page of docs/api"


def test_the_reference_has_the_whole_protocol_and_every_error(root: Path) -> None:
    described = documented(root)
    for module in ("loptbench.protocol", "loptbench.optimizers", "loptbench.tasks"):
        found = importlib.import_module(module)
        assert {id(getattr(found, name)) for name in found.__all__} <= described
    assert {id(e) for e in vars(loptbench.errors).values() if inspect.isclass(e)} <= described
