"""The blob store and the shared records: what comes out is what went in, or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobCorrupt, BlobMissing, Blobs, ContentChanged
from f0make.cache.shared_records import ActionCache
from f0make.store.variant import variant_of
from tests.support.examples import examples


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(str(tmp_path / "cache"))


@pytest.mark.parametrize("data", [b"", b"a", b"xyz" * 700_000], ids=["empty", "small", "large"])
def test_round_trip(tmp_path: Path, blobs: Blobs, data: bytes) -> None:
    source = tmp_path / "s\udcff"
    source.write_bytes(data)
    digest = sha(data)
    assert not blobs.has(digest)
    assert not (tmp_path / "cache").exists()
    blobs.add(str(source), digest)
    blobs.add(str(source), digest)
    assert blobs.has(digest)
    place = tmp_path / "cache" / "cas" / digest[:2] / digest
    assert str(place) == blobs.path(digest)
    assert stat.S_IMODE(place.stat().st_mode) == 0o444
    assert blobs.read(digest) == data
    for executable in (False, True):
        target = tmp_path / "target"
        blobs.fetch(digest, str(target), executable)
        assert target.read_bytes() == data
        assert bool(target.stat().st_mode & 0o100) is executable
        assert target.stat().st_mode & 0o200
    assert blobs.add_bytes(data) == digest
    assert os.listdir(tmp_path / "cache" / "tmp") == []
    blobs.drop(digest)
    blobs.drop(digest)
    assert not blobs.has(digest)
    with pytest.raises(BlobMissing):
        blobs.fetch(digest, str(target), False)
    with pytest.raises(BlobMissing):
        blobs.read(digest)


def test_a_changed_file_is_not_stored(tmp_path: Path, blobs: Blobs) -> None:
    source = tmp_path / "s"
    source.write_bytes(b"after")
    with pytest.raises(ContentChanged, match="changed while it was stored"):
        blobs.add(str(source), sha(b"befor"))
    assert not blobs.has(sha(b"befor"))
    assert not blobs.has(sha(b"after"))
    assert os.listdir(tmp_path / "cache" / "tmp") == []


@given(at=st.integers(0, 49), mask=st.integers(0, 255))
@examples(30)
def test_a_corrupt_blob_is_noticed_and_dropped(
    at: int, mask: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("corrupt")
    blobs = Blobs(str(root / "cache"))
    data = bytes(range(50))
    for use in ("fetch", "read"):
        digest = blobs.add_bytes(data)
        broken = bytearray(data)
        if mask:
            broken[at] ^= mask
        else:
            del broken[at:]
        place = Path(blobs.path(digest))
        place.chmod(0o644)
        place.write_bytes(broken)
        target = root / "target"
        target.write_bytes(b"as it was")
        with pytest.raises(BlobCorrupt if broken or use else BlobMissing):
            blobs.fetch(digest, str(target), False) if use == "fetch" else blobs.read(digest)
        assert not place.exists()
        assert target.read_bytes() == b"as it was"
        assert sorted(os.listdir(root)) == ["cache", "target"]
        target.unlink()


def test_a_blob_that_a_power_cut_emptied_is_written_again(blobs: Blobs) -> None:
    digest = blobs.add_bytes(b"data")
    place = Path(blobs.path(digest))
    place.chmod(0o644)
    place.write_bytes(b"")
    assert not blobs.has(digest)
    assert blobs.add_bytes(b"data") == digest
    assert blobs.read(digest) == b"data"


def test_uses_are_noted_to_the_hour(tmp_path: Path, blobs: Blobs) -> None:
    digest = blobs.add_bytes(b"data")
    place = blobs.path(digest)
    now = time.time()
    os.utime(place, (now - 100, now - 100))
    assert blobs.has(digest)
    assert os.stat(place).st_mtime < now - 50
    os.utime(place, (now - 9000, now - 9000))
    assert Blobs(str(tmp_path / "cache"), readonly=True).has(digest)
    assert os.stat(place).st_mtime < now - 8000
    blobs.read(digest)
    assert os.stat(place).st_mtime > now - 50


def test_a_cache_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "source").write_bytes(b"1")
    for directory in ("file", "file/below"):
        blobs = Blobs(str(tmp_path / directory))
        assert not blobs.has(sha(b"1"))
        with pytest.raises(CacheUnusable, match=f"{directory}' cannot be used"):
            blobs.add(str(tmp_path / "source"), sha(b"1"))
        with pytest.raises(CacheUnusable):
            blobs.prepare()
        with pytest.raises(BlobMissing):
            blobs.read(sha(b"1"))
        with pytest.raises(CacheUnusable):
            ActionCache(str(tmp_path / directory)).put("k", {"key": "k"})
        assert ActionCache(str(tmp_path / directory)).find("k") == []
    with pytest.raises(CacheUnusable):
        Blobs(str(tmp_path / "new"), readonly=True).add_bytes(b"1")
    assert not (tmp_path / "new").exists()


def test_a_cache_that_vanishes_is_made_again(tmp_path: Path, blobs: Blobs) -> None:
    blobs.add_bytes(b"1")
    shutil.rmtree(tmp_path / "cache")
    assert blobs.read(blobs.add_bytes(b"2")) == b"2"


WORKER = """
import hashlib, os, random, sys
from f0make.cache.blobs import BlobMissing, Blobs
from f0make.cache.shared_records import ActionCache
directory, seed = sys.argv[1], int(sys.argv[2])
blobs, records, chance = Blobs(directory), ActionCache(directory), random.Random(seed)
for round in range(400):
    n = chance.randrange(12)
    data = bytes([n]) * (n * 3000)
    digest = hashlib.sha256(data).hexdigest()
    action = chance.randrange(5)
    if action == 0:
        blobs.drop(digest)
    elif action == 1:
        try:
            assert blobs.read(digest) == data
        except BlobMissing:
            pass
    elif action == 2:
        records.put(f"{n:064x}", {"key": f"{n:064x}", "instance": "i", "outputs": {"o": digest}, "seconds": round})
    elif action == 3:
        found = records.find(f"{n:064x}")
        assert len(found) <= 1 and all(r["outputs"] == {"o": digest} for r in found)
    else:
        assert blobs.add_bytes(data) == digest
print("fine")
"""


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path / "cache")]
    running = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(3)]
    assert [process.communicate()[0] for process in running] == ["fine\n"] * 3
    assert os.listdir(tmp_path / "cache" / "tmp") == []


def test_records_by_key(tmp_path: Path) -> None:
    cache = ActionCache(str(tmp_path))
    key = "ab" * 32
    assert cache.find(key) == []
    one = {"key": key, "instance": "i", "outputs": {"o\udcff": "1" * 64}, "seconds": 1}
    two = {"key": key, "instance": "i", "outputs": {"o\udcff": "2" * 64}, "seconds": 2}
    cache.put(key, one)
    place = tmp_path / "ac" / "ab" / key
    os.utime(place / variant_of(one), (1, 1))
    cache.put(key, two)
    assert cache.find(key) == [two, one]
    cache.put(key, {**two, "seconds": 3})
    assert [r["seconds"] for r in cache.find(key)] == [3, 1]
    for data in (b"", b"torn", (place / variant_of(two)).read_bytes()[:-5]):
        (place / variant_of(one)).write_bytes(data)
        assert [r["seconds"] for r in cache.find(key)] == [3]


def test_what_tells_records_apart() -> None:
    one = {"key": "k", "outputs": {"a": "1"}, "writes": [{"key": "x", "value": 1, "who": "s", "when": 1}]}
    later = {**one, "seconds": 9, "writes": [{"key": "x", "value": 1, "who": "s", "when": 2}], "reads": {}}
    assert variant_of(one) == variant_of(later)
    assert len(variant_of(one)) == 16
    others = [
        {**one, "outputs": {"a": "2"}},
        {**one, "discovered": {"h": "1"}},
        {**one, "reads": {"x": None}},
        {**one, "missing_reads": ["x"]},
        {**one, "writes": [{"key": "x", "value": 2, "who": "s", "when": 1}]},
    ]
    assert len({variant_of(r) for r in [one, *others]}) == 6
    assert variant_of({"variant": "0123456789abcdef"}) == "0123456789abcdef"
    assert len(variant_of({"variant": "../../../x"})) == 16
