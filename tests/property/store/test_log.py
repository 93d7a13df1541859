"""The line format: what is written is read, and damage costs what it hit."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from f0make.store import log_lines
from tests.support.examples import examples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LINES = [log_lines.encode("record", {"n": n, "text": "line\n\udcff ü" * (n % 3)}) for n in range(6)]


@given(payload=JSON)
@example(payload={"\udc80": "\udcff\n\0"})
def test_any_payload_round_trips(payload: object) -> None:
    line = log_lines.encode("record", payload)
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    assert log_lines.decode(line) == ("record", payload) == log_lines.decode(line[:-1])


@given(payload=JSON, data=st.data())
def test_no_flipped_byte_passes(payload: object, data: st.DataObject) -> None:
    line = bytearray(log_lines.encode("record", payload))
    line[data.draw(st.integers(0, len(line) - 2))] ^= data.draw(st.integers(1, 255))
    assert log_lines.decode(bytes(line)) is None


@given(at=st.integers(0, sum(map(len, LINES)) - 1), mask=st.integers(1, 255))
@examples(400)
def test_a_flipped_byte_costs_its_line(at: int, mask: int) -> None:
    data = bytearray(b"".join(LINES))
    data[at] ^= mask
    starts = [sum(map(len, LINES[:n])) for n in range(len(LINES))]
    hit = max(n for n, start in enumerate(starts) if start <= at)
    found = [(o - 7, p["n"]) for o, kind, p in log_lines.scan(bytes(data), 7) if kind == "record"]
    assert found == [(starts[n], n) for n in range(len(LINES)) if n != hit]
    assert any(kind == log_lines.DAMAGED for _, kind, _ in log_lines.scan(bytes(data)))


def test_every_prefix_holds_its_whole_lines() -> None:
    data = b"".join(LINES)
    for cut in range(len(data)):
        whole, size = 0, 0
        for line in LINES:
            size += len(line)
            # A line that lacks only its newline is whole.
            whole += size - 1 <= cut
        assert [p["n"] for _, kind, p in log_lines.scan(data[:cut]) if kind] == list(range(whole))


@given(data=st.binary(max_size=300))
def test_garbage_is_damage(data: bytes) -> None:
    assert all(kind == log_lines.DAMAGED for _, kind, _ in log_lines.scan(data))


def test_only_the_exact_checksum_counts() -> None:
    line = log_lines.encode("record", {"checksum": "with letters"})
    assert line[:8].lower() != line[:8].upper()
    assert log_lines.decode(line[:8].upper() + line[8:]) is None
