"""How many rounds of trouble, and from which seed: the same in every run, more and others on demand."""

from __future__ import annotations

import os
import secrets

ROUNDS = "F0MAKE_STORM_ROUNDS"
"""Rounds of each kind of trouble; `make storm` sets it."""
SEED = "F0MAKE_STORM_SEED"
"""The seed; default: 1, the same in every run of `make test`, a random one in `make storm`."""


def planned(usual: int) -> tuple[int, int]:
    """(rounds, seed) for a test that goes through ``usual`` rounds."""
    rounds, seed = os.environ.get(ROUNDS), os.environ.get(SEED)
    chosen = int(seed) if seed else secrets.randbelow(10**9) if rounds else 1
    print(f"{SEED}={chosen} repeats this")
    return int(rounds or usual), chosen
