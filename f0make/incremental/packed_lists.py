"""Lists of small numbers, one for each of many things, packed so that any one can be read alone. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from itertools import accumulate, chain


def pack(lists: Sequence[Collection[int]]) -> tuple[bytes, bytes]:
    """``lists`` as (offsets, numbers), 32 bits each."""
    offsets = array("I", accumulate(map(len, lists), initial=0))
    return offsets.tobytes(), array("I", chain.from_iterable(lists)).tobytes()


class Lists:
    """What `pack` made."""

    def __init__(self, packed: tuple[bytes, bytes]) -> None:
        self._offsets = memoryview(packed[0]).cast("I")
        self._flat = memoryview(packed[1]).cast("I")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, at: int) -> Sequence[int]:
        return self._flat[self._offsets[at] : self._offsets[at + 1]].tolist()


def inverse(lists: Lists) -> dict[int, list[int]]:
    """For each number the lists that hold it, in ascending order."""
    found: dict[int, list[int]] = {}
    for at in range(len(lists)):
        for number in lists[at]:
            found.setdefault(number, []).append(at)
    return found
