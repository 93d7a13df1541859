"""Random edits of worlds: a run leaves what a run from scratch leaves, and nothing needless runs.

``python -m tests.property.edits 10000`` makes more of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.property.edits.base import storm
from tests.property.edits.links import Links
from tests.support.examples import scaled


@pytest.mark.parametrize("seed", range(4))
def test_links(tmp_path: Path, seed: int) -> None:
    edits = scaled(40)
    tally = storm(Links, tmp_path, edits, seed)
    assert not tally.stale and not tally.needless, (tally.stale, tally.needless)
    assert tally.edits == edits
