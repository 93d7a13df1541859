"""Many files against their signatures: whether all are as they were is known at once, which are not on request.

The stats of many files are shared with other processes. As soon as one of them has met a difference, the
answer is no, and the caller's share goes to another process, too: the caller has better things to do while it
is found out what else is different. Imports nothing but built-in modules.
"""

from __future__ import annotations

import marshal
import os
from _operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 512
"""Files whose signatures are compared at once, as one string of bytes: comparing and keeping a tuple for each
file would take as long as a quarter of the stats."""

WORTH_A_PROCESS = 4_000
"""Files; the stats of so many take about 10 ms, a fork one or two."""

WORTH_HANDING_OVER = 4
"""Chunks of one's own that are left when there is a difference: about as long as two forks."""

MOST_PROCESSES = 4
"""More do not help: they meet in the locks of the kernel's directory cache."""

PLAIN = 2
"""The newest version of marshal whose bytes depend on the value alone, not on which objects are shared."""

SAME, DIFFERENT = b"=", b"!"
"""What a child says: that all of its files are as they were, or, as soon as it knows, that some are not; then
the places of these follow as `marshal` writes them."""

signature_of = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_mode")
"""What `files.signature.of` takes of a stat result."""


def digest(paths: list[str]) -> bytes:
    """The signatures of ``paths`` now, as bytes that are compared at once. Raises OSError, ValueError."""
    return marshal.dumps(list(map(signature_of, map(os.lstat, paths))), PLAIN)


class Comparison:
    """``paths`` against ``signatures``, which are the digests of `CHUNK` of them each.

    Relative paths are looked for in the current directory, also by `places`.
    """

    __slots__ = ("_children", "_chunks", "_found", "_paths", "_signatures", "different")

    def __init__(self, paths: list[str], signatures: list[bytes]) -> None:
        self._paths = paths
        self._signatures = signatures
        self._children: list[_Child] = []
        self._chunks: list[int] = []
        """Those that are not as they were."""
        self._found: list[int] | None = None
        self.different = False
        """Whether any file is not as it was."""
        share = _processes(len(paths))
        try:
            for first in range(1, share):
                self._children.append(_Child(self, range(first, len(signatures), share)))
        except OSError:
            share = 1  # what the children that there are look at is looked at twice
        self._compare(range(0, len(signatures), share))
        for child in self._children:
            self.different = self.different or child.differs(wait=True)
        if not self.different:
            self.places()

    @property
    def waits(self) -> bool:
        """Whether other processes are still at it, so that `places` would have to wait for them."""
        return self._found is None and bool(self._children)

    def places(self) -> list[int]:
        """The places of the paths that are not as they were, sorted."""
        if self._found is None:
            found = self.singly(self._chunks)
            for child in self._children:
                places = child.places()
                found += self.singly(child.chunks) if places is None else places
            self._children = []
            self._found = sorted(set(found))
        return self._found

    def _compare(self, mine: range) -> None:
        for at, number in enumerate(mine):
            if self.differs(number):
                self._chunks.append(number)
                self.different = True
            rest = mine[at + 1 :]
            if not self._children or len(rest) < WORTH_HANDING_OVER:
                continue
            if self.different or any(child.differs() for child in self._children):
                self.different = True
                try:
                    self._children.append(_Child(self, rest))
                except OSError:
                    continue
                return

    def differs(self, number: int) -> bool:
        """Whether the chunk ``number`` is not as it was."""
        first = number * CHUNK
        try:
            return digest(self._paths[first : first + CHUNK]) != self._signatures[number]
        except (OSError, ValueError):
            return True

    def singly(self, chunks: list[int] | range) -> list[int]:
        """Places of the paths in ``chunks`` that are not as they were."""
        found = []
        for number in chunks:
            for place, old in enumerate(marshal.loads(self._signatures[number]), number * CHUNK):
                try:
                    if signature_of(os.lstat(self._paths[place])) == old:
                        continue
                except (OSError, ValueError):
                    pass
                found.append(place)
        return found


class _Child:
    """A process that looks at some ``chunks`` of a comparison."""

    __slots__ = ("_process", "chunks")

    def __init__(self, comparison: Comparison, chunks: range) -> None:
        from f0make.forked_task import Offshoot

        def look(say: Callable[[bytes], None]) -> None:
            found: list[int] = []
            different = False
            for number in chunks:
                if comparison.differs(number):
                    if not different:
                        say(DIFFERENT)
                    different = True
                    found += comparison.singly([number])
            say(marshal.dumps(found) if different else SAME)

        self.chunks = chunks
        self._process = Offshoot(look)

    def differs(self, wait: bool = False) -> bool:
        """Whether it has met a difference, or has ended without a word; with ``wait`` not before it knows."""
        said = self._process.first(wait)
        return said is not None and said != SAME

    def places(self) -> list[int] | None:
        """What it has found, when it has ended; None when it did not get to its end."""
        said = self._process.all()
        if said == SAME:
            return []
        try:
            found: list[int] = marshal.loads(said[1:])
        except (EOFError, ValueError, TypeError):
            return None
        return found


def _processes(files: int) -> int:
    """How many share the stats of so many ``files``."""
    share = min(files // WORTH_A_PROCESS, MOST_PROCESSES)
    if share < 2:
        return 1
    from f0make.forked_task import safe

    return min(share, len(os.sched_getaffinity(0))) if safe() else 1
