"""Random edits of worlds: a run leaves what a run from scratch leaves, and nothing needless runs.

``python -m tests.property.edits 10000`` makes more of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.property.edits.base import World
from tests.property.edits.code import Code
from tests.property.edits.links import Links
from tests.property.edits.recipes import Recipes
from tests.property.edits.storm import storm
from tests.support.examples import scaled


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "edits"), [(Links, 50), (Recipes, 40), (Code, 20)])
def test_edits(tmp_path: Path, kind: type[World], edits: int, seed: int) -> None:
    edits = scaled(edits)
    tally = storm(kind, tmp_path, edits, seed)
    assert not tally.stale and not tally.needless, (tally.stale, tally.needless)
    assert tally.edits == edits
    assert tally.edits - tally.refused >= edits // 2, tally.reasons
