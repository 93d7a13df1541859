"""A host's workdir does not grow for ever: what was not used for long goes, once a day."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from f0make.cache.blobs import Blobs
from f0make.worker.agent.agent_gc import KEPT, trim
from tests.support.remote_tools import Remote
from tests.support.sshd.host import unavailable

NOW = 2_000_000_000.0


def put(path: Path, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (NOW - age, NOW - age))
    return path


def test_what_was_not_used_for_long_goes(tmp_path: Path) -> None:
    hour = 3600.0
    kept = [put(tmp_path / "cache/cas/aa/used", KEPT - hour), put(tmp_path / "agent/this.zip", 0)]
    kept += [put(tmp_path / "cache/tmp/now", hour), put(tmp_path / "run/of-another/file", KEPT * 2)]
    gone = [put(tmp_path / "cache/cas/bb/old", KEPT + hour), put(tmp_path / "agent/old.zip", KEPT + hour)]
    gone += [put(tmp_path / "cache/tmp/left", 30 * hour)]
    assert trim(str(tmp_path), NOW) == 3
    assert all(path.exists() for path in kept) and not any(path.exists() for path in gone)


def test_once_a_day_is_enough(tmp_path: Path) -> None:
    assert trim(str(tmp_path), NOW) == 0
    old = put(tmp_path / "cache/cas/aa/old", KEPT * 2)
    assert trim(str(tmp_path), NOW + 3600) == 0 and old.exists()
    assert trim(str(tmp_path), NOW + 90_000) == 1 and not old.exists()


def test_a_workdir_that_is_not_there_or_not_ours_is_no_fault(tmp_path: Path) -> None:
    assert trim(str(tmp_path / "none"), NOW) == 0


@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_a_host_forgets_what_it_no_longer_needs_and_gets_it_again(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.hosts(host)
    remote.recipe(
        "steps:\n  - name: s\n    inputs:\n      - a\n      - b\n    outputs: out\n    run: cat a b > out\n"
    )
    remote.write("a", "first\n")
    remote.write("b", "second\n")
    remote.there()
    work = remote.workdir(host)
    store = Blobs(str(work / "cache"))
    wanted = Path(store.path(hashlib.sha256(b"second\n").hexdigest()))
    other = wanted.with_name("0" * 64)  # beside it: in a directory that belongs to the user there
    other.write_text("of another time")
    for path in (wanted, other, work / "trimmed"):
        age = path.stat().st_mtime - KEPT - 7200
        os.utime(path, (age, age))
    remote.write("a", "changed\n")
    remote.there()
    assert remote.read("out") == "changed\nsecond\n"
    assert wanted.exists() and not other.exists()
