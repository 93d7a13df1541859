"""`python -m tests.chaos.hosts [ROUNDS] [--seed N] [--keep]`."""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from tests.chaos.hosts.rounds import Chaos


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.hosts", description="trouble among three hosts"
    )
    parser.add_argument("rounds", type=int, nargs="?", default=100)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--keep", action="store_true", help="keep the workspace")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"{given.rounds} rounds with seed {given.seed} in {place}", flush=True)
    began = time.monotonic()
    one = Chaos(place, given.seed)
    try:
        for number in range(1, given.rounds + 1):
            one.one()
            if number % 10 == 0:
                print(f"{number} rounds, {time.monotonic() - began:.0f} s: {dict(one.happened)}", flush=True)
    except AssertionError as error:
        print(f"FAILED, the workspace is kept in {place}\n{error}")
        return 1
    finally:
        one.close()
    print(f"all right after {time.monotonic() - began:.0f} s: {dict(one.happened)}")
    if not given.keep:
        shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
