"""A full disk: the error says so, and what was there before stays whole."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from f0make.cache.blobs import Blobs
from f0make.cache.shared_records import ActionCache
from f0make.errors import StateError
from f0make.store.record_store import Store
from f0make.store.run_history import append_run, read_runs
from f0make.workspace.workspace_files import Workspace


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(mount).returncode:
        pytest.skip("cannot mount a small tmpfs")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def fill(directory: Path) -> Path:
    """Use up all space that is left."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return ballast


def record(n: int, size: int = 3000) -> dict[str, object]:
    return {"key": f"{n:064x}", "instance": f"i{n}", "outputs": {}, "pad": "x" * size}


def test_an_append_that_does_not_fit(small: Path) -> None:
    store = Store(str(small))
    store.append_record(record(0))
    store.flush()
    size = os.path.getsize(small / ".f0make" / "records.log")
    ballast = fill(small)
    for n in range(1, 4):
        store.append_record(record(n))
    for _ in range(2):
        with pytest.raises(OSError) as caught:
            store.flush()
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename.endswith("records.log")
        assert os.path.getsize(small / ".f0make" / "records.log") == size
    ballast.unlink()
    store.flush()
    store.close()
    with Store(str(small)) as store:
        assert [len(store.find(f"{n:064x}")) for n in range(5)] == [1, 1, 1, 1, 0]
        assert store.damage == []


def test_closing_on_a_full_disk(small: Path) -> None:
    store = Store(str(small))
    store.append_record(record(0, 1000))
    store.flush()
    fill(small)
    store.append_record(record(1, 20_000))
    with pytest.raises(OSError, match="No space left"):
        store.flush()
    store.close()
    with Store(str(small)) as store:
        assert store.find(64 * "0") == [record(0, 1000)]
        assert store.find(f"{1:064x}") == []
        store.append_record(record(2, 20_000))
        with pytest.raises(OSError, match="No space left"):
            store.close()


def test_a_rewrite_or_an_index_that_does_not_fit(small: Path) -> None:
    store = Store(str(small))
    for n in range(12):
        store.append_record(record(n))
    store.flush()
    store.close()
    path = small / ".f0make" / "records.log"
    index = path.with_suffix(".idx").read_bytes()
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    fill(small)
    with Store(str(small)) as store:
        assert store.damage
    assert path.read_bytes() == data
    assert path.with_suffix(".idx").read_bytes() == index
    assert sorted(p.name for p in (small / ".f0make").iterdir()) == [
        ".gitignore",
        "records.idx",
        "records.log",
    ]


def test_no_space_for_any_state(small: Path) -> None:
    fill(small)
    with pytest.raises(StateError, match=r"\.f0make cannot be used: No space left"):
        Store(str(small))


def test_a_run_that_cannot_be_noted(small: Path) -> None:
    (small / ".f0make").mkdir()
    append_run(str(small), {"n": 1})
    ballast = fill(small)
    with pytest.raises(OSError) as caught:
        append_run(str(small), {"pad": "x" * 20_000})
    assert caught.value.errno == errno.ENOSPC
    ballast.unlink()
    append_run(str(small), {"n": 2})
    assert read_runs(str(small)) == [{"n": 1}, {"n": 2}]


def test_blobs_that_do_not_fit(small: Path, tmp_path: Path) -> None:
    cache = Blobs(str(small / "cache"))
    digest = cache.add_bytes(b"y" * 20_000)
    source = tmp_path / "big"
    source.write_bytes(b"z" * 100_000)
    fill(small)
    for attempt in (
        lambda: cache.add(str(source), hashlib.sha256(b"z" * 100_000).hexdigest()),
        lambda: cache.add_bytes(b"other" * 1000),
        lambda: cache.fetch(digest, str(small / "out"), False),
        lambda: ActionCache(str(small / "cache")).put("k", record(1, 50_000)),
        lambda: Workspace(str(small)).restore("d", "0/", {"a": digest}, cache),
    ):
        with pytest.raises(OSError) as caught:
            attempt()
        assert caught.value.errno == errno.ENOSPC
    assert cache.read(digest) == b"y" * 20_000
    assert not (small / "out").exists()
    assert not (small / "d").exists()
    assert os.listdir(small / "cache" / "tmp") == []


def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    """The same without a mount: the kernel refuses a write in the middle of a line."""
    code = """
import errno, resource, sys
from f0make.store.record_store import Store
store = Store(sys.argv[1])
store.append_record({"key": 64 * "a", "instance": "a"})
store.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
for n in range(5):
    store.append_record({"key": 64 * "b", "instance": "b", "pad": "x" * 1000})
try:
    store.flush()
except OSError as error:
    print(errno.errorcode[error.errno])
store.close()
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == "EFBIG\n", done.stderr
    with Store(str(tmp_path)) as store:
        assert len(store.find(64 * "a")) == 1
        assert store.find(64 * "b") == []
        assert store.damage == []
