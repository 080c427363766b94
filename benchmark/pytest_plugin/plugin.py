"""The pytest plugin: which implementations the suite tests, what the header says, and the report.

It is loaded in every pytest session of an environment that has loptbench, so it imports nothing of
the harness until a test of `loptbench.tests` asks for an implementation or the user for a report.
"""

import os
from importlib.metadata import version
from typing import Any

import pytest

from loptbench.pytest_plugin.selection import PROFILE, SELECTED, selected

SUITE = "loptbench.tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--implementation` and `--loptbench-report`."""
    group = parser.getgroup("loptbench")
    group.addoption(
        "--implementation",
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


def _is_ours(config: pytest.Config) -> bool:
    return any(SUITE in argument for argument in config.invocation_params.args)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a wrong option or an unmet requirement before anything is collected."""
    config.addinivalue_line(
        "markers", "harness: loptbench's own harness on the reference; no framework takes part"
    )
    config.addinivalue_line("markers", "slow: takes long; in tox it has an environment of its own")
    config.addinivalue_line("markers", "conformance: one implementation held to the protocol")
    if _is_ours(config):
        selected(config)
    report: str | None = config.getoption("--loptbench-report")
    if report is not None:
        from loptbench.pytest_plugin.session import start

        start(config, report)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of ours that share what takes long to make run in one of pytest-xdist's workers."""
    if not _is_ours(config) or config.getoption("dist") != "load":
        return None  # other tests, or the user has said how
    from xdist.scheduler import LoadScopeScheduling

    class Shared(LoadScopeScheduling):  # type: ignore[misc]  # xdist's classes have no types
        def _split_scope(self, nodeid: str) -> str:
            return _shared(nodeid)

    return Shared(config, log)


def _shared(nodeid: str) -> str:
    """What a test takes from others: the full store, or what was compiled for the same subject."""
    module, _, test = nodeid.partition("::")
    if module.endswith(("test_report.py", "test_report_damage.py", "test_browser.py")):
        return "full_store"
    return nodeid.rpartition("/")[0] if test.startswith("test_implementation[") else nodeid


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which loptbench this is; for the suite itself, also what it is about to test."""
    lines = [f"loptbench: {version('loptbench')}"]
    if SELECTED in config.stash:
        from loptbench.results.provenance import versions_of

        lines.append(f"hypothesis profile: {os.environ.get(PROFILE, 'ci')}")
        for entry in config.stash[SELECTED]:
            if entry.implementation is None:
                lines.append(f"implementation {entry.name}: {entry.availability}: {entry.reason}")
                continue
            one = entry.implementation
            said = ", ".join(f"{name} {version}" for name, version in versions_of(one).items())
            where = f"{', '.join(one.devices)}; {', '.join(one.dtypes)}"
            lines.append(f"implementation {entry.name}: {said}; {where}")
    return lines
