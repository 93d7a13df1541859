"""``python -m tests.property.edits [COUNT [SEED]]``: so many edits, in worlds of 50 edits each, and how many there were of each kind.

An interrupt ends it with what was done until then.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from . import WORLDS
from .storm import Tally, storm

EACH = 50


def main(count: int, seed: int) -> int:
    """Exit code: 1 with the first fault."""
    whole: dict[str, Tally] = {kind.__name__: Tally() for kind in WORLDS}
    try:
        for world in range(-(-count // EACH)):
            kind = WORLDS[world % len(WORLDS)]
            with tempfile.TemporaryDirectory() as directory:
                tally = storm(kind, Path(directory), min(EACH, count - world * EACH), seed + world)
            whole[kind.__name__].add(tally)
            if tally.stale or tally.needless:
                print("stale:", tally.stale, "needless:", tally.needless)
                return 1
    except KeyboardInterrupt:
        pass
    for name, tally in whole.items():
        print(f"{name}: {tally}")
        for reason, times in tally.reasons.most_common(8):
            print(f"  {times:6}  no result: {reason}")
    return 0


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(words + [1000, 0][len(words) :])))
