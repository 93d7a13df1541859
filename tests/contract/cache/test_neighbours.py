"""Whoever may write to a shared cache puts links there, at any moment: nothing outside is written, changed or removed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from f0make.cache import maintenance
from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import Blobs
from f0make.cache.group_rights import Rights
from f0make.cache.shared_records import ActionCache
from tests.support.contract_tools import Traced
from tests.support.f0 import F0

KEY = "ab" + "0" * 62
RECORD = {"key": KEY, "instance": "i", "outputs": {"o": "1" * 64}}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that is nobody else's business."""
    place = tmp_path / "outside"
    place.mkdir(mode=0o700)
    (place / "secret").write_text("private\n")
    (place / "secret").chmod(0o600)
    return place


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of a group."""
    place = tmp_path / "cache"
    place.mkdir()
    place.chmod(0o2775)
    return place


def listing(place: Path) -> dict[str, tuple[int, int]]:
    """(mode, mtime) of everything in ``place`` and of itself."""
    found = {path.name: path.lstat() for path in (place, *place.iterdir())}
    return {name: (st.st_mode, st.st_mtime_ns) for name, st in found.items()}


def swap(place: Path, outside: Path) -> None:
    """Put a link to ``outside`` where the directory ``place`` is."""
    place.rename(place.with_name(place.name + ".was"))
    place.symlink_to(outside)


@pytest.mark.parametrize("content", ["private\n", "x\n"])
def test_a_link_in_the_place_of_a_blob(f0: F0, cache: Path, outside: Path, content: str) -> None:
    """Also one to a file of the same size: it was opened to others as a blob of theirs would be."""
    traced = Traced(f0.workspace)
    traced.recipe(f"steps:\n  - name: s\n    outputs: out\n    run: printf {content.strip()}'\\n' > out\n")
    digest = hashlib.sha256(content.encode()).hexdigest()
    shelf = cache / "cas" / digest[:2]
    shelf.mkdir(parents=True)
    (shelf / digest).symlink_to(outside / "secret")
    before = listing(outside)
    assert traced.run("--cache", str(cache)).states == {"s": "ran"}
    assert listing(outside) == before and (shelf / digest).is_file() and not (shelf / digest).is_symlink()
    traced.remove("out")
    assert traced.run("--cache", str(cache)).states == {"s": "restored"}


@pytest.mark.parametrize("name", ["cas", "cas/ab", "tmp", "ac", "ac/ab", f"ac/ab/{KEY}"])
def test_a_directory_that_becomes_a_link_while_the_cache_is_used(
    cache: Path, outside: Path, name: str
) -> None:
    blobs, records = Blobs(str(cache)), ActionCache(str(cache))
    contents = (str(n).encode() for n in range(100_000))
    first, second = (
        data for data, _ in zip((c for c in contents if hashed(c).startswith("ab")), "12", strict=False)
    )
    blobs.add_bytes(first)
    records.put(KEY, RECORD)
    swap(cache / name, outside)
    before = listing(outside)
    with pytest.raises(CacheUnusable, match="link"):
        blobs.add_bytes(second) if name in ("cas", "cas/ab", "tmp") else records.put(KEY, RECORD)
    blobs.drop(hashed(first))
    assert listing(outside) == before


def hashed(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("how", ["gc", "verify", "records"])
def test_a_directory_that_becomes_a_link_while_the_cache_is_looked_after(
    cache: Path, outside: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing a large cache takes minutes; what was found damaged is removed then, where it was and nowhere else."""
    digest = Blobs(str(cache)).add_bytes(b"content")
    ActionCache(str(cache)).put(KEY, RECORD)
    shelf, shelf_of_records = cache / "cas" / digest[:2], cache / "ac/ab" / KEY
    (outside / digest).write_bytes(b"one of my own")
    (shelf_of_records / "secret").write_bytes(b"no record")
    place = shelf_of_records if how == "records" else shelf
    done = []

    def then(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            found = real(*args)
            if not done:
                done.append(swap(place, outside))
            return found

        return call

    if how == "gc":
        monkeypatch.setattr(maintenance.time, "time", then(time.time))
        maintenance.gc(str(cache), 0)
    else:
        hashing = then(maintenance.file_digest)
        name = "read_record" if how == "records" else "file_digest"
        real = (
            then(maintenance.read_record) if how == "records" else lambda *args: hashing(*args) and "damaged"
        )
        monkeypatch.setattr(maintenance, name, real)
        maintenance.verify(str(cache))
    assert done and {path.name for path in outside.iterdir()} == {"secret", digest}
    assert (outside / "secret").read_text() == "private\n"


def test_a_new_directory_that_becomes_a_link_gets_no_rights(
    cache: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.mkdir

    def mkdir(path: Any, *args: Any, **how: Any) -> None:
        real(path, *args, **how)
        if path == "cas":
            swap(cache / "cas", outside)

    before = listing(outside)
    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(NotADirectoryError):
        os.close(Rights(str(cache)).directory("cas"))
    assert listing(outside) == before
