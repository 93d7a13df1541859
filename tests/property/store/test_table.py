"""Tables that are read in pieces: they say what a plain dict would, whatever is opened when, and heal."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.store.piece_table import Table
from f0make.store.record_store import Store
from tests.support.digests import sha

NAMES = [f"n{n}\udcff" for n in range(60)]


def reopened(content: dict[str, Any], pieces: list[int]) -> Table:
    """A table of ``content`` that is read in pieces; ``pieces`` notes which are."""
    first = Table()
    for name, value in content.items():
        first.put(name, value)
    count, data = first.packed()
    places = [(n, len(piece), crc32(piece)) for n, piece in enumerate(data)]

    def source(place: tuple[int, int, int]) -> bytes:
        pieces.append(place[0])
        return data[place[0]]

    return Table(count, places, source)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f0make.store.piece_table.PIECE", 2)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers()),
    st.lists(
        st.tuples(
            st.sampled_from(["put", "take", "add", "get", "in", "pack"]),
            st.sampled_from(NAMES),
            st.integers(),
        )
    ),
)
def test_it_is_a_dict(content: dict[str, int], actions: list[tuple[str, str, int]]) -> None:
    table, model = reopened(content, []), dict(content)
    for action, name, value in actions:
        if action == "put":
            table.put(name, value)
            model[name] = value
        elif action == "take":
            table.take(name)
            model.pop(name, None)
        elif action == "add":
            table.change(name, lambda old, value=value: (old or 0) + value)
            model[name] = model.get(name, 0) + value
        elif action == "get":
            assert table.get(name) == model.get(name)
        elif action == "in":
            assert (name in table) == (name in model)
        else:
            count, data = table.packed()
            assert count == len(model) and data
            table = reopened(dict(table), [])
    assert dict(table) == model and len(table) == len(model) == table.about


def test_only_what_is_asked_for_is_read() -> None:
    read: list[int] = []
    table = reopened(dict.fromkeys(NAMES, 1), read)
    table.put(NAMES[0], 2)
    table.take(NAMES[1])
    assert read == [] and table.about == len(NAMES)
    assert table[NAMES[0]] == 2
    assert len(read) == 1
    assert NAMES[1] not in table
    assert len(read) <= 2
    assert len(table) == len(NAMES) - 1
    assert sorted(read) == sorted(set(read))


def full(workspace: Path) -> dict[str, Any]:
    """A workspace with so many records that its index lies in pieces; what it made."""
    with Store(str(workspace)) as store:
        for n in range(2_000):
            store.append_record(
                {"key": sha(f"k{n}"), "instance": f"i[n={n}]", "outputs": {f"out/{n}": f"{n:064x}"}}
            )
    return {f"out/{n}": f"{n:064x}" for n in range(2_000)}


def test_any_damaged_piece_is_made_again_from_the_log(tmp_path: Path) -> None:
    made = full(tmp_path)
    idx = tmp_path / ".f0make" / "records.idx"
    whole = idx.read_bytes()
    chance = random.Random(5)
    for _ in range(25):
        broken = bytearray(whole)
        for at in chance.sample(range(len(whole) // 8, len(whole)), 3):
            broken[at] ^= 1 << chance.randrange(8)
        idx.write_bytes(bytes(broken))
        with Store(str(tmp_path)) as store:
            new = chance.randrange(2_000)
            store.append_gone([f"out/{new}"])
            store.append_record(
                {"key": sha(f"new{new}"), "instance": f"i[n={new}]", "outputs": {f"out/{new}": f"{7:064x}"}}
            )
            made[f"out/{new}"] = f"{7:064x}"
            for n in chance.sample(range(2_000), 30):
                assert store.made.get(f"out/{n}") == made[f"out/{n}"]
                assert store.maker(f"out/{n}") == ("", f"i[n={n}]")
                assert store.find(sha(f"k{n}"))[0]["instance"] == f"i[n={n}]"
            assert dict(store.made) == made
            assert set(store.instances()) == {("", f"i[n={n}]") for n in range(2_000)}
            assert len(store._index.keys) and len(store._index.makers), "every piece is read"
            assert len(store.damage) == 1 and "made again from the log" in store.damage[0]
        whole = idx.read_bytes()  # Written anew, and whole: it says so itself.
        with Store(str(tmp_path), readonly=True) as store:
            assert dict(store.made) == made and not store.damage
