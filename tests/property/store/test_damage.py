"""Any damage to the state costs at most the records that were hit, is told, and never raises."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.errors import StateError
from f0make.store import log_lines
from f0make.store.record_store import Store
from f0make.store.run_history import append_run, read_runs
from tests.support.digests import sha
from tests.support.examples import examples

COUNT = 30


def record(n: int, size: int) -> dict[str, Any]:
    return {"key": sha(f"key{n}"), "instance": f"i{n}", "outputs": {f"o{n}": f"{n:064x}"}, "pad": "x" * size}


class Model:
    """A workspace with ``COUNT`` records of about ``size`` bytes, and what each byte of its log belongs to."""

    def __init__(self, workspace: Path, size: int) -> None:
        self.workspace = workspace
        self.size = size
        with Store(str(workspace)) as store:
            for n in range(COUNT):
                store.append_record(record(n, size))
        self.log = workspace / ".f0make" / "records.log"
        self.idx = workspace / ".f0make" / "records.idx"
        self.data = self.log.read_bytes()
        self.index = self.idx.read_bytes() if self.idx.exists() else None
        starts = [o for o, kind, _ in log_lines.scan(self.data) if kind == "record"]
        self.ranges = [range(a, b) for a, b in zip(starts, [*starts[1:], len(self.data)], strict=True)]

    def put(self, data: bytes, index: bytes | None) -> None:
        self.log.write_bytes(data)
        self.idx.unlink(missing_ok=True)
        if index is not None:
            self.idx.write_bytes(index)

    def check(self, lost: set[int], readonly: bool) -> list[str]:
        """Open the store; only ``lost`` records may be missing. Returns what it says about damage."""
        with Store(str(self.workspace), readonly=readonly) as store:
            for n in range(COUNT):
                found = store.find(sha(f"key{n}"))
                latest = store.latest(f"i{n}")
                if n in lost:
                    assert found == []
                    assert latest is None
                else:
                    assert found == [record(n, self.size)] == [latest]
                    assert store.made[f"o{n}"] == f"{n:064x}"
                assert store.made.get(f"o{n}") in (None, f"{n:064x}")
            damage = store.damage
        with Store(str(self.workspace), readonly=readonly) as store:
            survivors = [n for n in range(COUNT) if store.find(sha(f"key{n}"))]
        assert survivors == [n for n in range(COUNT) if n not in lost]
        return damage


@pytest.fixture(scope="module", params=[20, 12_000], ids=["no index", "with index"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    found = Model(tmp_path_factory.mktemp("damage"), request.param)
    assert (found.index is not None) == (request.param > 20)
    return found


def places(model: Model, data: st.DataObject) -> int:
    """A byte of the log: any, or (where it hurts most) one beside the end of a line."""
    near = [r.stop - 1 - d for r in model.ranges for d in (-9, -1, 0, 1)]
    anywhere = st.integers(0, len(model.data) - 1)
    return min(data.draw(anywhere | st.sampled_from(near)), len(model.data) - 1)


@given(data=st.data(), readonly=st.booleans(), mask=st.integers(1, 255))
@examples(80)
def test_a_flipped_byte_of_the_log(model: Model, data: st.DataObject, readonly: bool, mask: int) -> None:
    at = places(model, data)
    broken = bytearray(model.data)
    broken[at] ^= mask
    model.put(bytes(broken), model.index)
    damage = model.check({n for n, r in enumerate(model.ranges) if at in r}, readonly)
    last = at == len(model.data) - 1
    if not (readonly and last):
        assert damage
    if not readonly:
        # Reported once: the writer has mended it.
        with Store(str(model.workspace)) as store:
            assert store.damage == []


@given(data=st.data(), readonly=st.booleans())
@examples(60)
def test_any_truncation_of_the_log(model: Model, data: st.DataObject, readonly: bool) -> None:
    size = places(model, data)
    model.put(model.data[:size], model.index)
    lost = {n for n, r in enumerate(model.ranges) if r.stop - 1 > size}
    damage = model.check(lost, readonly)
    whole = {0, len(model.data), *(r.start for r in model.ranges), *(r.stop - 1 for r in model.ranges)}
    if not readonly and size not in whole:
        assert damage
    # What is appended afterwards is not spoilt by what was there.
    with Store(str(model.workspace)) as store:
        store.append_record({"key": sha("later"), "instance": "later"})
    with Store(str(model.workspace), readonly=True) as store:
        assert store.find(sha("later")) == [{"key": sha("later"), "instance": "later"}]


@given(data=st.data(), readonly=st.booleans(), cut=st.booleans())
@examples(60)
def test_any_damage_of_the_index_costs_nothing(
    model: Model, data: st.DataObject, readonly: bool, cut: bool
) -> None:
    index = bytearray(model.index or b"f0make records.idx 4\n garbage that somebody left there")
    at = data.draw(st.integers(0, len(index) - 1))
    if cut:
        del index[at:]
    else:
        index[at] ^= data.draw(st.integers(1, 255))
    model.put(model.data, bytes(index))
    model.check(set(), readonly)


@given(noise=st.binary(min_size=1, max_size=2000), at=st.integers(0, COUNT - 1))
@examples(40)
def test_noise_between_lines(model: Model, noise: bytes, at: int) -> None:
    start = model.ranges[at].start
    model.put(model.data[:start] + noise + b"\n" + model.data[start:], model.index)
    assert model.check(set(), readonly=False)


def test_a_page_of_zeros(model: Model) -> None:
    first, last = model.ranges[3].start, model.ranges[5].stop
    model.put(model.data[:first] + b"\0" * (last - first) + model.data[last:], model.index)
    assert model.check({3, 4, 5}, readonly=False)


def test_lines_that_make_no_sense_are_damage_and_not_more(tmp_path: Path) -> None:
    with Store(str(tmp_path)) as store:
        store.append_record(record(1, 1))
    path = tmp_path / ".f0make" / "records.log"
    odd = [
        {},
        [],
        None,
        3,
        {"key": "k"},
        {"key": [], "instance": {}},
        {"instance": 3, "paths": 4},
        {"paths": {"a": []}},
    ]
    with open(path, "ab") as file:
        for kind in ("record", "begin", "made", "gone", "fail", "forget", "header"):
            for payload in odd:
                file.write(log_lines.encode(kind, payload))
    with Store(str(tmp_path)) as store:
        assert store.find(sha("key1")) == [record(1, 1)]
        assert store.damage
    with Store(str(tmp_path)) as store:
        assert store.find(sha("key1")) == [record(1, 1)]
        assert store.damage == []


def test_an_empty_log_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / ".f0make").mkdir()
    (tmp_path / ".f0make" / "records.log").touch()
    with Store(str(tmp_path)) as store:
        store.append_record(record(1, 1))
    with Store(str(tmp_path), readonly=True) as store:
        assert store.find(sha("key1")) == [record(1, 1)]


@given(data=st.data(), cut=st.booleans())
@examples(100)
def test_the_run_history(data: st.DataObject, cut: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace = tmp_path_factory.getbasetemp() / "runs"
    (workspace / ".f0make").mkdir(parents=True, exist_ok=True)
    path = workspace / ".f0make" / "runs.log"
    path.unlink(missing_ok=True)
    for n in range(5):
        append_run(str(workspace), {"n": n})
    assert read_runs(str(workspace)) == [{"n": n} for n in range(5)]
    broken = bytearray(path.read_bytes())
    starts = [o for o, kind, _ in log_lines.scan(bytes(broken)) if kind == "run"]
    ends = [*starts[1:], len(broken)]
    at = data.draw(st.integers(0, len(broken) - 1))
    if cut:
        del broken[at:]
        alive = [n for n in range(5) if ends[n] - 1 <= at]
    else:
        broken[at] ^= data.draw(st.integers(1, 255))
        hit = [n for n in range(5) if starts[n] <= at]
        alive = [n for n in range(5) if n != (hit[-1] if hit else None)]
    path.write_bytes(broken)
    damage: list[str] = []
    assert [r["n"] for r in read_runs(str(workspace), damage)] == alive
    assert cut or damage
    append_run(str(workspace), {"n": 9})
    assert [r["n"] for r in read_runs(str(workspace))] == [*alive, 9]


def test_a_newer_run_history_is_refused(tmp_path: Path) -> None:
    assert read_runs(str(tmp_path)) == []
    (tmp_path / ".f0make").mkdir()
    (tmp_path / ".f0make" / "runs.log").write_bytes(
        log_lines.encode("header", {"format": log_lines.FORMAT + 1})
    )
    with pytest.raises(StateError, match="newer f0make"):
        read_runs(str(tmp_path))
    assert os.listdir(tmp_path / ".f0make") == ["runs.log"]
