"""The page that a pytest session writes with `--loptbench-report`."""

import re
from pathlib import Path
from unittest.mock import ANY

import pytest

from loptbench.discovery import Availability, DiscoveredImplementation
from loptbench.pytest_plugin.session import require_writable
from loptbench.tests.conformance.planted_faults import Faultless
from loptbench.tests.pytest_plugin.test_pytest_plugin import CONFORMANCE, FAULTS, pytest_in
from loptbench.tests.reports.pages import Page

pytestmark = pytest.mark.harness
pytest_plugins = ["pytester"]


def read(path: Path) -> Page:
    return Page(path.read_text())


def run_with_report(
    pytester: pytest.Pytester, source: str, *arguments: str
) -> tuple[pytest.RunResult, Page]:
    """Run pytest with a report on a file with this source; returns its result and the page."""
    pytester.makepyfile(test_made=source)
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", *REPORT, *arguments)
    return ran, read(pytester.path / "page.html")


def counts(path: Path, module: str) -> list[int]:
    """The row of a module: passed, failed, error, skipped, xfailed, xpassed, not run."""
    table = path.read_text().partition('id="by-module"')[2]
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("</table>")[0], re.DOTALL)
    (row,) = (row for row in rows if f">{module}</th>" in row)
    return [int(n) for n in re.findall(r">(\d+)</td>", row)]


REPORT = ("--loptbench-report", "page.html")
MIXED = """
    import pytest
    def test_good(): pass
    def test_bad(): assert 1 == 2, "the <b>first</b> message"
    def test_worse(): assert False, "the second message"
    @pytest.mark.parametrize("n", range(3))
    def test_left(n): pytest.skip("no <i>licence</i>")
    @pytest.mark.xfail(reason="known since long")
    def test_known(): assert False
    @pytest.fixture
    def broken(): raise RuntimeError("no fixture")
    def test_set_up(broken): pass
"""


def test_every_outcome_is_counted_with_its_reason(pytester: pytest.Pytester) -> None:
    ran, page = run_with_report(pytester, MIXED)
    assert ran.ret == pytest.ExitCode.TESTS_FAILED
    ran.stdout.fnmatch_lines([f"loptbench report: {pytester.path / 'page.html'}"])
    lead = "of 8 tests, 2 failed, 1 ended in an error, 1 passed, 3 skipped, 1 xfailed."
    assert lead in page.text
    first = page.text.index("the <b>first</b> message")
    assert first < page.text.index("the second message") < page.text.index("no fixture")
    assert page.text.index("test_made.py::test_bad") < page.text.index("test_made.py::test_worse")
    assert counts(pytester.path / "page.html", "test_made.py") == [1, 2, 1, 3, 1, 0, 0]
    assert "no <i>licence</i>" in page.text
    assert "known since long" in page.text


def test_workers_leave_the_same_page_as_one_process(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    for more in ([], ["-n", "2"]):
        _, page = run_with_report(pytester, MIXED, "-k", "not worse", *more)
        assert "of 7 tests, 1 failed, 1 ended in an error" in page.text
        assert "1 was not selected" in page.text
        assert counts(pytester.path / "page.html", "test_made.py") == [1, 1, 1, 3, 1, 0, 0]
        assert "test_made.py::test_bad" in page.text


def test_stopping_at_the_first_failure_leaves_the_rest_unrun(pytester: pytest.Pytester) -> None:
    _, page = run_with_report(pytester, MIXED, "-x")
    cut_short = (
        "The session was cut short (stopping after 1 failures), and 6 selected tests not run;"
    )
    assert cut_short in page.text
    assert counts(pytester.path / "page.html", "test_made.py") == [1, 1, 0, 0, 0, 0, 6]


def test_stopping_at_the_last_test_cuts_nothing_short(pytester: pytest.Pytester) -> None:
    _, page = run_with_report(pytester, "def test_a(): pass\ndef test_b(): assert False", "-x")
    assert "of 2 tests, 1 failed, 1 passed." in page.text
    assert "cut short" not in page.text


INTERRUPTED = """
    import pytest
    def test_a(): pass
    def test_b(): {does}
    def test_c(): pass
"""


def test_an_exit_leaves_what_is_there(pytester: pytest.Pytester) -> None:
    ran, page = run_with_report(pytester, INTERRUPTED.format(does="pytest.exit('Bye')"))
    assert ran.ret == pytest.ExitCode.INTERRUPTED
    assert "The session was cut short (Bye), and 2 selected tests not run;" in page.text
    assert counts(pytester.path / "page.html", "test_made.py") == [1, 0, 0, 0, 0, 0, 2]


def test_an_interruption_leaves_what_is_there(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_made=INTERRUPTED.format(does="raise KeyboardInterrupt"))
    # A process of its own: pytester hands an interruption on to this one.
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider", *REPORT)
    assert ran.ret == pytest.ExitCode.INTERRUPTED
    cut_short = "cut short (interrupted from the keyboard), and 2 selected tests not run;"
    assert cut_short in read(pytester.path / "page.html").text
    assert counts(pytester.path / "page.html", "test_made.py") == [1, 0, 0, 0, 0, 0, 2]


def test_a_module_that_cannot_be_imported_is_what_failed_first(pytester: pytest.Pytester) -> None:
    ran, page = run_with_report(pytester, "import nothing_of_that_name")
    assert ran.ret == pytest.ExitCode.INTERRUPTED
    assert "cut short (1 error during collection)" in page.text
    first = page.text.index("ModuleNotFoundError: No module named 'nothing_of_that_name'")
    assert page.text.index("What failed First") < first < page.text.index("test_made.py")
    assert counts(pytester.path / "page.html", "test_made.py") == [0, 0, 1, 0, 0, 0, 0]


def test_a_module_that_skips_itself_is_skipped(pytester: pytest.Pytester) -> None:
    _, page = run_with_report(
        pytester, "import pytest\npytest.importorskip('nothing_of_that_name')"
    )
    assert "could not import 'nothing_of_that_name'" in page.text
    assert counts(pytester.path / "page.html", "test_made.py") == [0, 0, 0, 1, 0, 0, 0]


def test_a_session_without_tests_has_a_page(pytester: pytest.Pytester) -> None:
    ran, page = run_with_report(pytester, "")
    assert ran.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "No conformance check was run; no test was run." in page.text
    ran, page = run_with_report(pytester, "def test_a(): pass", "-k", "nothing")
    assert "no test was run: 1 was not selected." in page.text


def test_an_error_after_a_test_has_passed_is_not_hidden(pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        @pytest.fixture
        def left():
            yield
            raise RuntimeError("not tidied up")
        def test_a(left): pass
    """
    _, page = run_with_report(pytester, source)
    assert "not tidied up" in page.text
    assert counts(pytester.path / "page.html", "test_made.py") == [0, 0, 1, 0, 0, 0, 0]


def test_a_part_of_a_test_that_failed_is_not_hidden(pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        def test_a(request):  # as pytest-subtests does
            node = request.node
            part = pytest.TestReport(node.nodeid, node.location, {}, "failed", "its half", "call")
            request.config.hook.pytest_runtest_logreport(report=part)
    """
    _, page = run_with_report(pytester, source)
    assert "its half" in page.text
    assert counts(pytester.path / "page.html", "test_made.py") == [0, 1, 0, 0, 0, 0, 0]


def test_text_that_is_no_unicode_is_written(pytester: pytest.Pytester) -> None:
    _, page = run_with_report(pytester, "def test_a(): raise ValueError('half \\ud800 a pair')")
    assert "half \\ud800 a pair" in page.text


def test_the_command_that_makes_the_page_again(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOPTBENCH_HYPOTHESIS", "ci")
    monkeypatch.delenv("LOPTBENCH_REQUIRE", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    _, page = run_with_report(pytester, "def test_a(): pass", "-k", "a or b")
    again = r"LOPTBENCH_HYPOTHESIS=ci pytest .*--loptbench-report page.html -k 'a or b'"
    assert re.search(again, page.text)
    assert str(pytester.path) in page.text


@pytest.mark.parametrize(
    ("path", "why"),
    [("none/page.html", "No such file or directory"), (".", "is a folder"), ("file/p", "Not a")],
)
def test_a_path_that_cannot_be_written_is_refused_at_the_start(
    pytester: pytest.Pytester, path: str, why: str
) -> None:
    (pytester.path / "file").touch()
    pytester.makepyfile("from pathlib import Path\nPath('imported').touch()")
    ran = pytester.runpytest_inprocess("--loptbench-report", path)
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines([f"ERROR: --loptbench-report: *{why}*; name a file in a folder that*"])
    assert not (pytester.path / "imported").exists()


def test_a_folder_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    require_writable(tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    with pytest.raises(pytest.UsageError, match=r"page\.html: Permission denied; name a file"):
        require_writable(tmp_path / "page.html")


def test_a_page_that_cannot_be_written_at_the_end_fails_the_session(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("import shutil\ndef test_a(): shutil.rmtree('pages')")
    pytester.mkdir("pages")
    ran = pytester.runpytest_inprocess("--loptbench-report", "pages/page.html")
    assert ran.ret == pytest.ExitCode.INTERNAL_ERROR
    ran.stdout.fnmatch_lines(["loptbench report: cannot write *No such file*", "*1 passed*"])


def test_without_jinja_the_error_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "no_jinja.py").write_text("import sys\nsys.modules['jinja2'] = None")
    (tmp_path / "test_a.py").write_text("def test_a(): print('it ran')")
    code, out = pytest_in(tmp_path, "-p", "no_jinja", *REPORT, PYTHONPATH=str(tmp_path))
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "needs 'jinja2', not installed: pip install 'loptbench[report]'" in out
    code, out = pytest_in(tmp_path, "-p", "no_jinja", PYTHONPATH=str(tmp_path))
    assert code == pytest.ExitCode.OK, out


LOADED = """
    import sys
    def test_loaded():
        names = ["jinja2", "numpy", "loptbench.pytest_plugin.session", "matplotlib"]
        names += ["pandas", "seaborn"]
        assert [n for n in names if n in sys.modules] == {expected}
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((), []), (REPORT, ["jinja2", "numpy", "loptbench.pytest_plugin.session"])],
)
def test_what_is_imported(
    pytester: pytest.Pytester, arguments: tuple[str, ...], expected: list[str]
) -> None:
    pytester.makepyfile(LOADED.format(expected=expected))
    pytester.makeconftest(
        """
        import sys
        def pytest_unconfigure():
            heavy = {"matplotlib", "seaborn"} & sys.modules.keys()
            print("heavy:", sorted(heavy))
        """
    )
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-s", *arguments)
    ran.assert_outcomes(passed=1)
    ran.stdout.fnmatch_lines(["heavy: []"])
    assert (pytester.path / "page.html").exists() == bool(arguments)


NAME = f"{FAULTS}:TransposedMatrix"
ON_SMALL = (*CONFORMANCE, "--loptbench-implementation", NAME)


def test_a_third_party_sees_where_its_implementation_fails(tmp_path: Path) -> None:
    again = (*ON_SMALL, "-k", "one-step or initial-state", *REPORT)
    code, out = pytest_in(tmp_path, *again)
    assert code == pytest.ExitCode.TESTS_FAILED, out
    first = (tmp_path / "page.html").read_bytes()
    page = read(tmp_path / "page.html")
    assert f"implementation-{NAME}" in page.identifiers
    assert re.search(rf"conformance checks of {NAME}: \d failed, \d+ passed", page.text)
    assert "loptbench/tests/test_conformance.py::test_implementation[" in page.text
    assert f"loptbench check {NAME} --only one-step" in page.text
    assert re.search(r"what failed.*: .*state = .* but should be", page.text, re.IGNORECASE)
    assert re.search(r"Versions: numpy [\d.]+.*devices: cpu; dtypes: float64", page.text)
    pytest_in(tmp_path, *again)
    assert (tmp_path / "page.html").read_bytes() == first


def on_small(pytester: pytest.Pytester, *arguments: str) -> tuple[pytest.RunResult, Page]:
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", *ON_SMALL, *REPORT, *arguments)
    return ran, read(pytester.path / "page.html")


def test_checks_that_pass_tell_their_ratio(pytester: pytest.Pytester) -> None:
    ran, page = on_small(pytester, "-k", "linearize-differences and sgd")
    assert ran.ret == pytest.ExitCode.OK
    (ratio,) = re.findall(r"the largest error is (\S+) of its bound", page.text)
    assert 0 < float(ratio) < 1


def test_a_selection_of_nothing_names_the_implementations(pytester: pytest.Pytester) -> None:
    ran, page = on_small(pytester, "-k", "nothing-of-that-name")
    assert ran.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "No conformance check was run, so there is nothing to compare." in page.text
    assert f"implementation-{NAME}" in page.identifiers


def test_checks_that_were_not_reached_are_not_run(pytester: pytest.Pytester) -> None:
    _, page = on_small(pytester, "-x", "-k", "one-step")
    assert "The session was cut short (stopping after 1 failures), and" in page.text
    assert "not-run" in page.classes
    assert "Other tests" not in page.text  # the tests that were not run are checks


def test_an_implementation_that_is_not_installed_is_no_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = DiscoveredImplementation(
        "small", "here", Availability.INSTALLED, implementation=Faultless()
    )
    absent = DiscoveredImplementation("torch", "there", Availability.MISSING, "needs 'torch'")
    monkeypatch.setattr("loptbench.discovery.discover", lambda: [small, absent])
    monkeypatch.delenv("LOPTBENCH_REQUIRE", raising=False)
    chosen = ("-k", "torch or (small and initial-state and sgd)")
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", *CONFORMANCE, *REPORT, *chosen)
    ran.assert_outcomes(passed=1, skipped=1, deselected=ANY)
    page = read(pytester.path / "page.html")
    assert "1 conformance check of small: none failed, 1 passed;" in page.text
    assert "; torch is not installed." in page.text  # and other tests are not mentioned
    assert "not-installed" in page.classes
