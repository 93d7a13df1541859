"""A storm of `kill -9`: at whatever moment a run or a part of it is killed, the next run is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.plan import planned
from tests.chaos.storm.rounds import storm

ROUNDS = 15
"""`make storm` runs more of them."""


@pytest.mark.storm
def test_storm(tmp_path: Path) -> None:
    rounds, seed = planned(ROUNDS)
    done = storm(tmp_path / "storm", rounds, seed)
    assert sum(n for what, n in done.killed.items() if what != "nothing") >= rounds // 2, (seed, done.killed)
