"""Fixtures of all tests."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.examples import profiles
from tests.support.f0 import F0

pytest_plugins = ["tests.support.remote_tools"]
profiles()


def pytest_configure() -> None:
    """A shell script's `make test &` hands down an ignored interrupt, which every f0make started here would keep."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def f0(tmp_path: Path) -> F0:
    """The command line in an empty workspace."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return F0(workspace)
