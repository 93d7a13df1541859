"""The simulation of docs/scale.md works: a small one, with the real loop and store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scale import SHAPES, simulate


@pytest.mark.parametrize("shape", SHAPES)
def test_every_instance_is_completed_once(tmp_path: Path, shape: str) -> None:
    found = simulate(shape, 300, tmp_path)
    assert found["instances"] == 300 and found["log MB"] > 0.1
    log = (tmp_path / ".f0make" / "records.log").read_bytes()
    assert log.count(b" record {") == 300 and log.count(b" begin {") == 300
