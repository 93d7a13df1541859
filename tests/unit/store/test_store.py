"""The record store: what is asked for is what was appended, by this process or an earlier one."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from f0make.errors import StateError
from f0make.store import log_lines
from f0make.store.journal import Journal
from f0make.store.record_store import Store
from f0make.store.rewrite_log import rewrite
from tests.support.digests import sha


def record(n: int, key: str = "", **more: Any) -> dict[str, Any]:
    return {
        "key": sha(key or f"key{n}"),
        "instance": f"count[n={n}]",
        "step": "count",
        "outputs": {f"out/{n}\udcff": f"{n:064x}"},
        "seconds": n / 8,
        "cpu_seconds": 0.5,
        "peak_mem": 1000 + n,
        **more,
    }


def files(workspace: Path) -> dict[str, bytes]:
    return {str(p.relative_to(workspace)): p.read_bytes() for p in workspace.rglob("*") if p.is_file()}


def state(store: Store) -> dict[str, Any]:
    """Everything that can be asked, apart from places in the log."""
    index = store._index
    return {
        "records": {key: store.find(key) for key in index.keys},
        "latest": {i: store.latest(i) for i in store.instances()},
        "stats": {i: store.stats(i) for i in store.instances()},
        "made": dict(store.made),
        "makers": {p: store.maker(p) for p in store.made},
        "trees": {t: store.tree(t) for t in index.trees},
        "begins": store.open_begins(),
        "fails": {i: store.last_fail(i) for i in index.fails},
    }


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    with Store(str(tmp_path), readonly=True) as store:
        assert store.find("k") == [] == store.open_begins() == store.damage == store.step_stats("s")
        assert store.latest("i") is None is store.tree("t")
        assert store.made == {}
        with pytest.raises(ValueError, match="opened for reading"):
            store.append_record(record(1))
    assert list(tmp_path.iterdir()) == []
    with Store(str(tmp_path)) as store:
        store.append_record(record(1))
    torn = tmp_path / ".f0make" / "records.log"
    torn.write_bytes(torn.read_bytes() + b"0000")
    before = files(tmp_path)
    with Store(str(tmp_path), readonly=True) as store:
        assert store.find(sha("key1")) == [record(1)]
        assert store.damage == []
    assert files(tmp_path) == before


def test_what_was_appended_is_there_at_once_and_later(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.append_begin({"instance": "count[n=1]", "outputs": ["out/1"]})
    assert [b["instance"] for b in store.open_begins()] == ["count[n=1]"]
    store.append_record(record(1))
    store.append_record(record(1, outputs={"d": sha("ab") + "/"}, trees={"d": {"x": sha("1"), "y": "/"}}))
    store.append_record(record(2))
    store.append_begin({"instance": "count[n=3]"})
    store.append_fail({"instance": "count[n=4]", "message": "exit code 1"})
    for again in (False, True):
        if again:
            before = state(store)
            store.close()
            store = Store(str(tmp_path))
            assert state(store) == before
        assert [r["outputs"] for r in store.find(sha("key1"))] == [
            {"d": sha("ab") + "/"},
            record(1)["outputs"],
        ]
        assert store.latest("count[n=2]") == record(2)
        assert store.seconds("count[n=2]") == 0.25
        assert store.seconds("nobody") is None is store.stats("nobody")
        assert [s.peak_mem for s in store.step_stats("count")] == [1001, 1002]
        assert store.made["out/2\udcff"] == f"{2:064x}"
        assert store.maker("out/2\udcff") == ("", "count[n=2]")
        assert store.maker("nothing") is None
        assert store.tree(sha("ab") + "/") == {"x": sha("1"), "y": "/"}
        assert store.open_begins() == [{"instance": "count[n=3]"}]
        assert store.last_fail("count[n=4]") == {"instance": "count[n=4]", "message": "exit code 1"}
        assert store.last_fail("count[n=2]") is None
        assert store.damage == []
    store.append_record(record(4))
    store.append_fail({"instance": "count[n=3]"})
    assert store.last_fail("count[n=4]") is None
    assert store.open_begins() == []
    store.close()


def test_made_gone_and_forget(tmp_path: Path) -> None:
    with Store(str(tmp_path)) as store:
        store.append_record(record(1, key="old"))
        store.append_record(record(1, key="new", outputs={"a": sha("2"), "b": sha("3")}))
        store.append_made({"a": sha("1")}, "count[n=1]", key=sha("old"))
        store.append_gone(["b", "never"])
        store.append_made({}, "nobody")
        store.append_gone([])
        store.forget(sha("absent"))
    with Store(str(tmp_path)) as store:
        assert store.made == {"a": sha("1"), "out/1\udcff": f"{1:064x}"}
        latest = store.latest("count[n=1]")
        assert latest is not None
        assert latest["key"] == sha("old")
        store.forget(sha("old"), variant="another")
        assert len(store.find(sha("old"))) == 1
        store.forget(sha("old"))
        assert store.find(sha("old")) == []
        assert store.latest("count[n=1]") is None
        assert len(store.find(sha("new"))) == 1
    with Store(str(tmp_path), readonly=True) as store:
        assert store.find(sha("old")) == []
        assert store.latest("count[n=1]") is None


def test_the_same_result_again_supersedes_the_older_record(tmp_path: Path) -> None:
    with Store(str(tmp_path)) as store:
        for seconds in range(5):
            store.append_record(
                record(1, seconds=seconds, writes=[{"key": "a", "value": 1, "when": seconds}])
            )
        store.append_record(record(1, reads={"x": 1}))
        store.append_record(record(1, discovered={"a.h": sha("1")}))
        store.append_record(record(1, outputs={"out/1": sha("other")}))
        assert [r["seconds"] for r in store.find(sha("key1"))] == [0.125, 0.125, 0.125, 4]


def test_bad_payloads_are_refused(tmp_path: Path) -> None:
    with Store(str(tmp_path)) as store:
        for bad in (
            {"key": "k"},
            {"key": 1, "instance": "i"},
            {"key": "k", "instance": "i", "outputs": {"a": 1}},
        ):
            with pytest.raises(ValueError, match="not the payload"):
                store.append_record(bad)
        assert store.made == {}
    assert len((tmp_path / ".f0make" / "records.log").read_bytes().splitlines()) == 1


def test_readers_see_what_was_flushed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.append_record(record(1))
    with Store(str(tmp_path), readonly=True) as reader:
        assert reader.find(sha("key1")) == []
    store.flush()
    with Store(str(tmp_path), readonly=True) as reader:
        assert reader.find(sha("key1")) == [record(1)]
    store.append_record(record(2))
    store.sync()
    with Store(str(tmp_path), readonly=True) as reader:
        assert reader.find(sha("key2")) == [record(2)]
    store.close()


def large(tmp_path: Path, count: int = 40) -> None:
    with Store(str(tmp_path)) as store:
        for n in range(count):
            store.append_record(record(n, parts={"command": "x" * 10_000}))


def test_the_index_file_is_used_and_kept_up(tmp_path: Path) -> None:
    large(tmp_path)
    idx = tmp_path / ".f0make" / "records.idx"
    assert idx.exists()
    journal = Journal(str(tmp_path), readonly=True)
    assert journal._covered == os.path.getsize(journal.path)
    journal.close()
    with Store(str(tmp_path)) as store:
        store.append_record(record(100))
        store.append_record(record(3, seconds=99))
    with Store(str(tmp_path), readonly=True) as store:
        assert store.find(sha("key100")) == [record(100)]
        assert store.seconds("count[n=3]") == 99
        with_index = state(store)
    idx.unlink()
    with Store(str(tmp_path), readonly=True) as store:
        assert state(store) == with_index
    assert not idx.exists()


def test_an_index_of_another_log_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    large(tmp_path / "a")
    large(tmp_path / "b", 50)
    (tmp_path / "a" / ".f0make" / "records.idx").replace(tmp_path / "b" / ".f0make" / "records.idx")
    with Store(str(tmp_path / "b"), readonly=True) as store:
        assert len(store.instances()) == 50
        assert store.find(sha("key49")) == [record(49, parts={"command": "x" * 10_000})]
        assert store.damage == []


def test_a_log_that_lost_its_end_is_reported(tmp_path: Path) -> None:
    large(tmp_path)
    path = tmp_path / ".f0make" / "records.log"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    with Store(str(tmp_path), readonly=True) as store:
        assert "has lost its last" in store.damage[0]
        assert len(store.instances()) == 38


def test_rewriting_says_the_same_in_fewer_lines(tmp_path: Path) -> None:
    chance = random.Random(7)
    store = Store(str(tmp_path))
    for n in range(400):
        i = chance.randrange(12)
        kind = chance.choice(["begin", "record", "record", "tree", "made", "gone", "fail", "forget", "key"])
        if kind == "begin":
            store.append_begin({"instance": f"count[n={i}]", "n": n})
        elif kind == "record":
            store.append_record(record(i, key=f"k{chance.randrange(5)}", seconds=n))
        elif kind == "tree":
            store.append_record(
                record(i, outputs={f"d{i}": sha(f"{n % 3}") + "/"}, trees={f"d{i}": {"f": sha(str(n % 3))}})
            )
        elif kind == "made":
            store.append_made({f"out/{i}": sha(str(n))}, f"count[n={chance.randrange(12)}]")
        elif kind == "gone":
            store.append_gone([f"out/{i}\udcff", f"d{i}"])
        elif kind == "fail":
            store.append_fail({"instance": f"count[n={i}]", "n": n})
        elif kind == "forget":
            store.forget(sha(f"k{i}"))
        elif store.find(sha(f"k{i}")):
            store.append_made({}, f"count[n={i}]", key=sha(f"k{i}"))
    store._journal.append("from-the-future", {"kept": True})
    store.flush()
    before, size = state(store), os.path.getsize(store._journal.path)
    rewrite(store._journal)
    after = state(store)
    for name, value in before.items():
        assert after[name] == value, name
    assert os.path.getsize(store._journal.path) < size / 2
    store.append_record(record(77))
    store.close()
    assert b" from-the-future " in (tmp_path / ".f0make" / "records.log").read_bytes()
    with Store(str(tmp_path), readonly=True) as store:
        assert store.find(sha("key77")) == [record(77)]
        assert store.damage == []


def test_a_log_that_is_mostly_superseded_is_rewritten(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for n in range(12_000):
        store.append_made({"out": sha(str(n))}, "i")
    assert store._index.mostly_superseded
    store.close()
    assert len((tmp_path / ".f0make" / "records.log").read_bytes().splitlines()) == 2
    with Store(str(tmp_path)) as store:
        assert store.made == {"out": sha("11999")}
        assert not store._index.mostly_superseded


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    with Store(str(tmp_path)) as store:
        store.append_record(record(1))
    path = tmp_path / ".f0make" / "records.log"
    path.write_bytes(log_lines.encode("header", {"format": log_lines.FORMAT + 1}) + b"whatever\n")
    for readonly in (True, False):
        with pytest.raises(
            StateError, match=rf"records\.log was written by a newer f0make \(format {log_lines.FORMAT + 1}"
        ):
            Store(str(tmp_path), readonly=readonly)
    assert path.read_bytes().endswith(b"whatever\n")


def test_a_state_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / ".f0make").write_text("a file")
    for readonly in (True, False):
        with pytest.raises(StateError, match=r"/\.f0make cannot be used"):
            Store(str(tmp_path), readonly=readonly)
    (tmp_path / ".f0make").unlink()
    (tmp_path / ".f0make" / "records.log").mkdir(parents=True)
    with pytest.raises(StateError, match=r"/\.f0make cannot be used.*records\.log"):
        Store(str(tmp_path), readonly=True)
    Store(str(tmp_path)).close()
    aside = [name for name in os.listdir(tmp_path / ".f0make") if name.startswith("records.log.odd-")]
    assert len(aside) == 1, "who may write sets it aside and goes on"


def test_begins_survive_a_kill(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from f0make.store.record_store import Store\n"
        "s = Store(sys.argv[1])\n"
        "s.append_begin({'instance': 'a'})\n"
        "s.append_record({'key': 64 * 'a', 'instance': 'b', 'outputs': {'o': 64 * '1'}})\n"
        "s.flush()\n"
        "s.append_record({'key': 64 * 'b', 'instance': 'c'})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with Store(str(tmp_path)) as store:
        assert store.open_begins() == [{"instance": "a"}]
        assert store.made == {"o": 64 * "1"}
        assert store.find(64 * "b") == []
        assert store.damage == []


def test_lines_are_plain_text(tmp_path: Path) -> None:
    """The format is documented: other tools may read it."""
    with Store(str(tmp_path)) as store:
        store.append_record(record(1))
    lines = (tmp_path / ".f0make" / "records.log").read_text("ascii").splitlines()
    assert [line.split(" ", 2)[1] for line in lines] == ["header", "record"]
    assert json.loads(lines[1].split(" ", 2)[2]) == record(1)
