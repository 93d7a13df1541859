"""A storm of `kill -9`: at whatever moment a run or a part of it is killed, the next run is right."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tests.chaos.storm.rounds import storm

ROUNDS = 25
"""`python -m tests.chaos.storm 200` runs more of them."""


def test_storm(tmp_path: Path) -> None:
    seed = int(os.environ.get("STORM_SEED") or secrets.randbelow(10**9))
    done = storm(tmp_path / "storm", ROUNDS, seed)
    assert sum(n for what, n in done.killed.items() if what != "nothing") >= ROUNDS // 2, (seed, done.killed)
