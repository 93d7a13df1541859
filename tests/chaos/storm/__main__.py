"""`python -m tests.chaos.storm [ROUNDS] [--seed N] [--keep]`."""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from tests.chaos.storm.rounds import Storm


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.storm", description="kill -9 at random moments"
    )
    parser.add_argument("rounds", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--keep", action="store_true", help="keep the workspace")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="storm-"))
    print(f"{given.rounds} rounds with seed {given.seed} in {place}", flush=True)
    began = time.monotonic()
    one = Storm(place, given.seed)
    try:
        for number in range(1, given.rounds + 1):
            one.one()
            if number % 20 == 0:
                print(
                    f"{number} rounds, {time.monotonic() - began:.0f} s, killed: {dict(one.killed)}",
                    flush=True,
                )
    except AssertionError as error:
        print(f"FAILED, the workspace is kept in {place}\n{error}")
        return 1
    print(f"all right after {time.monotonic() - began:.0f} s, killed: {dict(one.killed)}")
    if not given.keep:
        shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
