"""``python -m tests.property.edits [COUNT [SEED]]``: so many edits, in worlds of 50 edits each."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .base import storm
from .links import Links

WORLDS = (Links,)
EACH = 50


def main(count: int, seed: int) -> int:
    """Exit code: 1 with the first fault."""
    done = ran = refused = 0
    while done < count:
        for kind in WORLDS:
            with tempfile.TemporaryDirectory() as directory:
                tally = storm(kind, Path(directory), min(EACH, count - done), seed)
            done, ran, refused = done + tally.edits, ran + tally.ran, refused + tally.refused
            if tally.stale or tally.needless:
                print("stale:", tally.stale, "needless:", tally.needless)
                return 1
        seed += 1
    print(f"{done} edits, {ran} instances ran, {refused} states refused; stale 0, needless 0")
    return 0


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(words + [1000, 0][len(words) :])))
