"""Chaos among hosts: whatever breaks in a run, the result is right."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.chaos.hosts.rounds import chaos
from tests.support.remote_tools import apart
from tests.support.sshd.host import unavailable

ROUNDS = 2
"""`python -m tests.chaos.hosts 100` runs more of them."""


@apart
def test_chaos(tmp_path: Path) -> None:
    if unavailable():
        pytest.skip(unavailable())
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**9))
    happened = chaos(tmp_path / "chaos", ROUNDS, seed)
    assert happened, (seed, happened)
