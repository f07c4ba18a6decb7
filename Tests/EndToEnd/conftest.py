"""Fixtures for all tests here. Real servers, each on a free port in a scratch directory."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest

from support.providers import KINDS, Kind
from support.servers import Servers

ARTIFACTS = Path(__file__).parent / "artifacts"


def pytest_configure(config: pytest.Config) -> None:
    """Asked to end, pytest stops what it started first, as it does for Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes long first: at the end it would run alone, where modules run side by side."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def servers() -> Iterator[Servers]:
    """For servers of one test."""
    with Servers() as stack:
        yield stack


@pytest.fixture(scope="module")
def module_servers() -> Iterator[Servers]:
    """For servers that a module's tests share."""
    with Servers() as stack:
        yield stack


@pytest.fixture(scope="session")
def any_provider() -> Kind:
    """The first third-party OpenID provider that is installed."""
    for kind in KINDS:
        if kind.is_installed:
            return kind
    pytest.skip("this Python can install none of the OpenID providers (requirements-providers.txt)")


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots go."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Adds what the servers last said to the report of a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in Servers.running:
            report.sections.append((f"log of {server.name}", server.log_tail()))
