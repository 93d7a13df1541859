"""The expanded graph beside a snapshot: written whole by a full run, read piece by piece by a partial one."""

from __future__ import annotations

import marshal
import os
import sys
from bisect import bisect_left
from io import FileIO

from f0make.files import sealed_files
from f0make.incremental import eligibility
from f0make.incremental.eligibility import NeedsFullRun
from f0make.incremental.pack_instance import Unpacker
from f0make.incremental.packed_lists import Lists
from f0make.incremental.string_table import Texts
from f0make.store import snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.files.signature import Signature
    from f0make.files.stat_cache import Row
    from f0make.model import Instance

INDEX_MAGIC = b"f0make compiled 7 " + sys.byteorder.encode() + b"\n"
_WORTH_A_TABLE = 500
"""Searches among the paths, each some microseconds, that cost as much as a table of 10,000 paths."""


class Compiled:
    """Instances by number, and the files that they and the graph rest on.

    ``index`` is what `save_snapshot` writes: tables over all instances, small enough to be read whole. Rows of
    instances are read one by one.
    """

    def __init__(self, kept: dict[str, Any], paths: list[str], index: dict[str, Any], workspace: str) -> None:
        self.kept = kept
        self.index = index
        self.workspace = workspace
        self.patch: dict[str, Any] = kept["patch"]
        self.paths = paths
        self.tokens = Texts(index["tokens"], self._read_row)
        self._names: list[str] | None = None
        self.absent = frozenset(kept["absent"])
        self.owners = Lists(index["owners"])
        self.needed_by = Lists(index["needed_by"])
        self.plain = bytearray(index["plain"])
        """1 for each instance whose outputs may be put back without deciding anything, 0 for the others (see `lost`)."""
        self._offsets = memoryview(index["rows"]).cast("Q")
        self._marks = memoryview(index["marks"]).cast("Q")
        self._unpacker = Unpacker(index["steps"])
        self._places: dict[str, int] | None = None
        self._searched = 0
        self._chunks: dict[int, list[Any]] = {}
        for place, token in self.patch["tokens"].items():
            self.tokens[place] = token

    @classmethod
    def read(cls, kept: dict[str, Any], paths: list[str], workspace: str) -> Compiled:
        """What was written with the snapshot ``kept`` of ``paths``.

        Raises NeedsFullRun when nothing was, or not whole, and OSError, as does everything here that reads.
        """
        if kept["index"] is None:
            raise NeedsFullRun(eligibility.NO_GRAPH, kept["no_graph"])
        offset, size = kept["index"]
        index = sealed_files.unseal(INDEX_MAGIC, snapshot.read_part(kept, offset, size, workspace))
        if index is None:
            raise NeedsFullRun(eligibility.DAMAGED_SNAPSHOT)
        return cls(kept, paths, index, workspace)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def names(self) -> list[str]:
        """The names of all instances."""
        if self._names is None:
            names: str = self.index["names"]
            self._names = names.split("\0") if names else []
        return self._names

    def place(self, path: str) -> int | None:
        """Where ``path`` stands among the paths of the snapshot."""
        if self._places is None:
            if self._searched < _WORTH_A_TABLE:
                self._searched += 1
                at = bisect_left(self.paths, path)
                return at if at < len(self.paths) and self.paths[at] == path else None
            self._places = {path: place for place, path in enumerate(self.paths)}
        return self._places.get(path)

    def chunk(self, number: int) -> list[Any]:
        """The signatures of a chunk of paths, to be changed only by who writes the next snapshot."""
        found = self._chunks.get(number)
        if found is None:
            found = self._chunks[number] = marshal.loads(self.kept["signatures"][number])
        return found

    def signature(self, place: int) -> Signature:
        """The signature of the path at ``place``."""
        number, at = divmod(place, snapshot.CHUNK)
        found: Signature = self.chunk(number)[at]
        return found

    def row(self, path: str) -> Row | None:
        """What the snapshot knows of ``path``, as a row of `Contents`."""
        place = self.place(path)
        if place is None:
            return None
        return self.signature(place), self.tokens[place] or None, False

    def instances(self, numbers: list[int]) -> list[Instance] | None:
        """The instances with these ``numbers``; None when a row is not as it was written. Raises OSError."""
        start = self.kept["body"] + self.kept["rows"]
        found = []
        name = self.workspace + snapshot.name_of(self.kept["request"])
        with FileIO(sealed_files.open_regular(name), "rb") as file:
            fd = file.fileno()
            if 4 * len(numbers) > len(self):
                first, end = self._offsets[0], self._offsets[len(self)]
                data = memoryview(os.pread(fd, end - first, start + first))
                rows = [data[self._offsets[n] - first : self._offsets[n + 1] - first] for n in numbers]
            else:
                rows = [
                    memoryview(
                        os.pread(fd, self._offsets[n + 1] - self._offsets[n], start + self._offsets[n])
                    )
                    for n in numbers
                ]
        for number, row in zip(numbers, rows, strict=True):
            if sealed_files.mark(row) != self._marks[number]:
                return None
            found.append(self._unpacker.unpack(row))
        return found

    def rows(self) -> bytes:
        """The rows of all instances, as they were written. Raises OSError."""
        return self._read_row(0, self._offsets[len(self)])

    def _read_row(self, offset: int, size: int) -> bytes:
        return snapshot.read_part(self.kept, self.kept["rows"] + offset, size, self.workspace)

    def spared(self, number: int) -> tuple[float, float]:
        """(seconds, kWh) that the last run of an instance took."""
        seconds, energy = (
            memoryview(self.index["seconds"]).cast("d"),
            memoryview(self.index["energy"]).cast("d"),
        )
        known: tuple[float, float] | None = self.patch["saved"].get(number)
        return known if known is not None else (seconds[number], energy[number])
