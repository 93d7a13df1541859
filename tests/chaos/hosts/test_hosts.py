"""Chaos among hosts: whatever breaks in a run, the result is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.hosts.rounds import chaos
from tests.chaos.plan import planned
from tests.support.remote_tools import apart
from tests.support.sshd.host import unavailable

ROUNDS = 2
"""`make storm` runs more of them."""


@apart
@pytest.mark.storm
def test_chaos(tmp_path: Path) -> None:
    if unavailable():
        pytest.skip(unavailable())
    rounds, seed = planned(ROUNDS)
    happened = chaos(tmp_path / "chaos", rounds, seed)
    assert happened, (seed, happened)
