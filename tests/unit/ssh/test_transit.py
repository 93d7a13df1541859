"""Results on their way home: moved where nobody else waits for them, copied where somebody does."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from f0make.backends.ssh.deliver_results import bring_home
from f0make.backends.ssh.staging_store import Transit
from f0make.cache.blobs import BlobMissing
from f0make.worker.bundle import Bundle, Outcome


def came(
    transit: Transit, workspace: Path, contents: dict[str, bytes], log: bytes = b""
) -> tuple[Bundle, Outcome]:
    """A result whose outputs have arrived."""
    bundle = Bundle("token", "s", "s", 1, "shell", str(workspace))
    bundle.log = str(workspace / "log")
    outcome = Outcome("token", True)
    for path, data in contents.items():
        outcome.outputs[path] = transit.add_bytes(data)
    if log:
        outcome.log = transit.add_bytes(log)
    transit.expect({t[:64]: None for t in (*outcome.outputs.values(), outcome.log) if t})
    return bundle, outcome


@pytest.fixture
def transit(tmp_path: Path) -> Transit:
    (tmp_path / "work").mkdir()
    return Transit(str(tmp_path / "transit"))


def left(transit: Transit, data: bytes) -> bool:
    return transit.has(hashlib.sha256(data).hexdigest())


def test_what_nobody_else_has_is_moved(transit: Transit, tmp_path: Path) -> None:
    work = tmp_path / "work"
    bundle, outcome = came(transit, work, {"a": b"one", "sub/b": b"two"}, log=b"said")
    inode = os.stat(transit.path(hashlib.sha256(b"one").hexdigest())).st_ino
    bring_home(bundle, outcome, transit)
    assert [(work / p).read_bytes() for p in ("a", "sub/b", "log")] == [b"one", b"two", b"said"]
    assert (work / "a").stat().st_ino == inode and (work / "a").stat().st_mode & 0o600 == 0o600
    assert not any(left(transit, data) for data in (b"one", b"two", b"said"))


def test_equal_contents_of_one_result_are_two_files(transit: Transit, tmp_path: Path) -> None:
    work = tmp_path / "work"
    bundle, outcome = came(transit, work, {"a": b"same", "b": b"same"}, log=b"same")
    bring_home(bundle, outcome, transit)
    assert len({(work / p).stat().st_ino for p in ("a", "b", "log")}) == 3
    assert {(work / p).read_bytes() for p in ("a", "b", "log")} == {b"same"}


def test_another_result_that_waits_keeps_it_there(transit: Transit, tmp_path: Path) -> None:
    work = tmp_path / "work"
    first = came(transit, work, {"a": b"same"})
    second = came(transit, work, {"b": b"same"})
    bring_home(*first, transit)
    assert left(transit, b"same")
    bring_home(*second, transit)
    assert not left(transit, b"same")
    assert (work / "a").read_bytes() == (work / "b").read_bytes() == b"same"
    third = came(transit, work, {"c": b"same"})
    transit.expect_no_more([third[1].outputs["c"]])
    fourth = came(transit, work, {"d": b"same"})
    bring_home(*fourth, transit)
    assert not left(transit, b"same")


def test_with_a_cache_it_is_in_both(transit: Transit, tmp_path: Path) -> None:
    work = tmp_path / "work"
    bundle, outcome = came(transit, work, {"a": b"one" * 100_000}, log=b"said")
    bundle.store = str(tmp_path / "cache")
    bring_home(bundle, outcome, transit)
    from f0make.cache.blobs import Blobs

    assert Blobs(bundle.store).read(outcome.outputs["a"]) == (work / "a").read_bytes() == b"one" * 100_000
    (work / "a").write_bytes(b"edited in place")
    assert Blobs(bundle.store).read(outcome.outputs["a"]) == b"one" * 100_000


def test_what_has_not_arrived_is_named(transit: Transit, tmp_path: Path) -> None:
    bundle, outcome = came(transit, tmp_path / "work", {"a": b"one"})
    transit.drop(outcome.outputs["a"])
    with pytest.raises(BlobMissing) as found:
        bring_home(bundle, outcome, transit)
    assert found.value.digest == outcome.outputs["a"]


def test_what_is_written_in_pieces_lies_where_it_is_looked_for(transit: Transit) -> None:
    digest = hashlib.sha256(b"large").hexdigest()
    path, fd = transit.begin()
    os.write(fd, b"large")
    os.close(fd)
    transit.adopt(path, digest)
    assert transit.has(digest)
    assert transit.read(digest) == b"large"
