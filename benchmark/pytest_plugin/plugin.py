"""The pytest plugin: it chooses the implementations, and adds a header and a report.

pytest loads it in every session of an environment that has loptbench. So it imports the harness
only for the tests of `loptbench.tests`, or when the user asks for a report.
"""

import os
from collections import Counter
from importlib.metadata import version
from typing import Any

import pytest

from loptbench.pytest_plugin.selection import PROFILE, SELECTED, selected

SUITE = "loptbench.tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--loptbench-implementation` and `--loptbench-report`."""
    group = parser.getgroup("loptbench")
    group.addoption(
        "--loptbench-implementation",
        action="append",
        default=[],
        metavar="NAME",
        help="test only this implementation: a name or package.module:Object; repeatable",
    )
    group.addoption(
        "--loptbench-report",
        default=None,
        metavar="PATH",
        help="write the results of this session as one HTML page to PATH",
    )


def _runs_own_suite(config: pytest.Config) -> bool:
    return any(SUITE in argument for argument in config.invocation_params.args)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a wrong option or an unmet requirement before anything is collected."""
    config.addinivalue_line(
        "markers", "harness: loptbench's own harness on the reference; no framework takes part"
    )
    config.addinivalue_line("markers", "slow: takes long; in tox it has an environment of its own")
    config.addinivalue_line(
        "markers", "conformance: one implementation alone, held to the protocol"
    )
    if _runs_own_suite(config):
        selected(config)
    report: str | None = config.getoption("--loptbench-report")
    if report is not None:
        from loptbench.pytest_plugin.session import start

        start(config, report)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run tests of loptbench that share an expensive fixture in the same pytest-xdist worker."""
    if not _runs_own_suite(config) or config.getoption("dist") != "load":
        return None  # other tests, or the user chose a scheduler
    from xdist.scheduler import LoadScopeScheduling

    class Shared(LoadScopeScheduling):  # type: ignore[misc]  # xdist's classes have no types
        def _split_scope(self, nodeid: str) -> str:
            return _worker_group(nodeid)

    return Shared(config, log)


def _worker_group(nodeid: str) -> str:
    """The group of tests that share a browser, or functions compiled for the same subject."""
    module, _, test = nodeid.partition("::")
    if module.endswith("test_browser.py"):
        return module
    return nodeid.rpartition("/")[0] if test.startswith("test_implementation[") else nodeid


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """For its own suite: each reason why tests were skipped, once, and how many they are."""
    if not _runs_own_suite(config):
        return
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    )
    for reason, n_tests in reasons.most_common():
        terminalreporter.write_line(f"skipped {n_tests}: {reason}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The version of loptbench; for its own suite, also the implementations under test."""
    lines = [f"loptbench: {version('loptbench')}"]
    if SELECTED in config.stash:
        from loptbench.results.provenance import versions_of

        lines.append(f"hypothesis profile: {os.environ.get(PROFILE, 'ci')}")
        for entry in config.stash[SELECTED]:
            if entry.implementation is None:
                lines.append(f"implementation {entry.name}: {entry.availability}: {entry.reason}")
                continue
            tested = entry.implementation
            versions = ", ".join(f"{name} {text}" for name, text in versions_of(tested).items())
            offered = f"{', '.join(tested.devices)}; {', '.join(tested.dtypes)}"
            lines.append(f"implementation {entry.name}: {versions}; {offered}")
    return lines
