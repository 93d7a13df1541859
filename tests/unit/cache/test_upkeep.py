"""Size, trimming and checking of a cache, also beside a run that uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from f0make.cache import maintenance, usage_log
from f0make.cache.blobs import Blobs
from f0make.cache.shared_records import ActionCache
from f0make.files.content_digest import tree_token


def fill(directory: Path, count: int = 5, size: int = 1000) -> list[str]:
    """Blobs, the first one used longest ago (hours)."""
    blobs = Blobs(str(directory))
    digests = []
    for n in range(count):
        digests.append(blobs.add_bytes(bytes([n]) * size))
        used = time.time() - 3600 * (100 - n)
        os.utime(blobs.path(digests[-1]), (used, used))
    blobs.close()
    return digests


def present(directory: Path, digests: list[str]) -> list[bool]:
    return [os.path.exists(Blobs(str(directory)).path(d)) for d in digests]


def test_nothing_there(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    found = maintenance.stats(absent)
    assert (found["blobs"], found["bytes"], found["records"], found["hit_rate"]) == (0, 0, 0, None)
    assert maintenance.gc(absent, 0) == {"removed": 0, "freed": 0, "kept": 0, "bytes": 0, "busy": 0}
    assert maintenance.verify(absent) == []
    usage_log.note_use(absent, 1, 1)
    assert list(tmp_path.iterdir()) == []


def test_stats(tmp_path: Path) -> None:
    fill(tmp_path)
    ActionCache(str(tmp_path)).put("b" * 64, {"key": "b" * 64, "instance": "i"})
    usage_log.note_use(str(tmp_path), 3, 1)
    usage_log.note_use(str(tmp_path), 0, 0)
    for _ in range(3000):
        usage_log.note_use(str(tmp_path), 1, 1)
    found = maintenance.stats(str(tmp_path))
    assert found["blobs"] == 5
    assert found["bytes"] == 5000
    assert found["records"] == 1
    assert (found["hits"], found["misses"]) == (3003, 3001)
    assert 0.5 < found["hit_rate"] < 0.51
    assert os.path.getsize(tmp_path / "usage.log") < 100_000


def test_the_oldest_use_goes_first(tmp_path: Path) -> None:
    digests = fill(tmp_path)
    assert Blobs(str(tmp_path)).has(digests[0])
    assert maintenance.gc(str(tmp_path), 2500) == {
        "removed": 3,
        "freed": 3000,
        "kept": 2,
        "bytes": 2000,
        "busy": 0,
    }
    assert present(tmp_path, digests) == [True, False, False, False, True]
    assert maintenance.gc(str(tmp_path), 2500)["removed"] == 0
    assert maintenance.gc(str(tmp_path), 0)["kept"] == 0


def test_records_go_with_their_blobs(tmp_path: Path) -> None:
    digests = fill(tmp_path, 3)
    records = ActionCache(str(tmp_path))
    for n, digest in enumerate(digests):
        tree = {"x": digest, "none": "/", "l": "@" + digests[2]}
        outputs = {"d": tree_token(tree)}
        record = {"key": f"{n:064x}", "instance": "i", "outputs": outputs, "trees": {"d": tree}}
        records.put(f"{n:064x}", record)
    maintenance.gc(str(tmp_path), 2000)
    assert [len(records.find(f"{n:064x}")) for n in range(3)] == [0, 1, 1]


def test_what_a_run_uses_stays(tmp_path: Path) -> None:
    digests = fill(tmp_path)
    code = (
        "import sys\nfrom f0make.cache.blobs import Blobs\n"
        "b = Blobs(sys.argv[1]); b.has(sys.argv[2]); b.add_bytes(b'new')\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), digests[0]]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    unfinished = tmp_path / "tmp" / "1-1-aa"
    unfinished.write_bytes(b"half")
    found = maintenance.gc(str(tmp_path), 0)
    assert (found["busy"], found["removed"], found["kept"]) == (1, 4, 2)
    assert present(tmp_path, digests) == [True, False, False, False, False]
    assert unfinished.exists()
    run.communicate("")
    found = maintenance.gc(str(tmp_path), 0)
    assert (found["busy"], found["removed"], found["kept"]) == (0, 2, 0)
    assert not unfinished.exists()


def test_a_run_waits_for_no_longer_than_the_trimming(tmp_path: Path) -> None:
    fill(tmp_path)
    maintenance.gc(str(tmp_path), 0)
    blobs = Blobs(str(tmp_path))
    assert blobs.read(blobs.add_bytes(b"again")) == b"again"


def test_verify_drops_what_is_damaged(tmp_path: Path) -> None:
    digests = fill(tmp_path)
    blobs = Blobs(str(tmp_path))
    records = ActionCache(str(tmp_path))
    records.put("a" * 64, {"key": "a" * 64, "instance": "i"})
    assert maintenance.verify(str(tmp_path)) == []
    for n in (1, 3):
        place = Path(blobs.path(digests[n]))
        place.chmod(0o644)
        place.write_bytes(b"rotten")
    (record,) = (tmp_path / "ac" / "aa" / ("a" * 64)).iterdir()
    record.write_bytes(record.read_bytes()[:-3])
    damaged = [os.path.relpath(blobs.path(digests[n]), tmp_path) for n in (1, 3)]
    assert maintenance.verify(str(tmp_path)) == sorted([*damaged, os.path.relpath(record, tmp_path)])
    assert present(tmp_path, digests) == [True, False, True, False, True]
    assert maintenance.verify(str(tmp_path)) == []
    assert maintenance.stats(str(tmp_path))["records"] == 0
