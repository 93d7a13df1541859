"""Many files put back from blobs at once, by several processes.

A free process takes the next piece of the work from a pipe that all share; the helpers say what they have done
through one of their own each. Every blob is verified before a file has its name.
"""

from __future__ import annotations

import marshal
import os
import select
import struct
from collections.abc import Callable, Iterator, Sequence

from f0make.cache.blobs import BlobCorrupt, BlobMissing, Blobs
from f0make.cache.reflink import write_all
from f0make.files import signature
from f0make.files.sealed_files import MARSHAL_VERSION
from f0make.files.signature import Signature
from f0make.files.times_and_modes import RIGHTS
from f0make.forked_task import safe
from f0make.workspace.restore import Restorer
from f0make.workspace.workspace_files import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

WORTH_A_PROCESS = 500
"""Files; putting so many small ones back takes about 30 ms."""
_MOST_PROCESSES = 4
"""More do not help: they meet in the locks of the file system's directories."""
_PIECE = 64
"""Groups of files in a piece of the work, at least."""
_MOST_PIECES = 8_000
"""So many numbers fit into a pipe that is not read yet."""
_NUMBER = struct.Struct("=I")
_HEAD = struct.Struct("=II")
"""Number of a piece, and how many bytes tell of it."""
_PATIENCE = 0.2
"""Seconds between two looks at whether to go on."""

Group: TypeAlias = "Sequence[tuple[str, str, int, int]]"
"""(path, token, mtime in ns, mode) of regular files that come back together."""
Done: TypeAlias = "list[tuple[Signature, bool]] | None"
"""Signature of each file of a group, and whether it is racy; None when one of them could not be put back."""


def refill(
    workspace: Workspace, groups: Sequence[Group], blobs: Blobs, go_on: Callable[[], bool]
) -> list[Done]:
    """Put back ``groups`` of files at paths of ``workspace`` where nothing lies; what came of each.

    Stops when ``go_on`` says no. What could not be put back is as it was, or partly there; a damaged blob stays, for
    who asks for it alone to find and to tell of.
    """
    size = max(_PIECE, len(groups) // _MOST_PIECES + 1)
    pieces = [groups[n : n + size] for n in range(0, len(groups), size)]
    found: list[list[Done]] = [[None] * len(piece) for piece in pieces]
    work, more = os.pipe()
    helpers: list[_Helper] = []
    try:
        try:
            os.write(more, b"".join(map(_NUMBER.pack, range(len(pieces)))))
        finally:
            os.close(more)
        for _ in range(_how_many(sum(map(len, groups)))):
            helpers.append(_Helper(workspace, pieces, blobs, work))
        with _Hand(workspace, blobs) as hand:
            while go_on() and (number := _take(work)) is not None:
                found[number] = [hand.put(group) for group in pieces[number]]
                for helper in helpers:
                    found_by(helper, found, wait=False)
        for helper in helpers:
            while go_on() and found_by(helper, found, wait=True):
                pass
    finally:
        os.close(work)
        for helper in helpers:
            helper.end()
    return [done for piece in found for done in piece]


def found_by(helper: _Helper, found: list[list[Done]], wait: bool) -> bool:
    """Take in what ``helper`` has done; False when nothing more will come."""
    for number, done in helper.said(_PATIENCE if wait else 0.0):
        found[number] = done
    return not helper.over


def _how_many(files: int) -> int:
    """Helpers that are worth starting for so many ``files``."""
    if files < WORTH_A_PROCESS or not safe():
        return 0
    return min(len(os.sched_getaffinity(0)), _MOST_PROCESSES) - 1


def _take(work: int) -> int | None:
    """The next piece to be done, None when there is none."""
    data = os.read(work, _NUMBER.size)
    return int(_NUMBER.unpack(data)[0]) if data else None


class _Helper:
    """A process that does pieces, too; it shares the workspace's lock, so no other run begins before it has ended."""

    def __init__(
        self, workspace: Workspace, pieces: Sequence[Sequence[Group]], blobs: Blobs, work: int
    ) -> None:
        self._reader, writer = os.pipe()
        self._rest = b""
        self.over = False
        """It will say nothing more."""
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            try:
                os.close(self._reader)
                with _Hand(workspace, blobs, parent) as hand:
                    while (number := _take(work)) is not None:
                        done = marshal.dumps([hand.put(group) for group in pieces[number]], MARSHAL_VERSION)
                        write_all(writer, _HEAD.pack(number, len(done)) + done)
            except BaseException:  # whatever it is, what it has not said is not done
                pass
            finally:
                os._exit(0)
        os.close(writer)

    def said(self, patience: float) -> Iterator[tuple[int, list[Done]]]:
        """(number, what came of it) of each piece that it has done by now, or within ``patience`` seconds."""
        while not self.over and select.select([self._reader], [], [], patience)[0]:
            data = os.read(self._reader, 1 << 16)
            self.over = not data
            self._rest += data
            patience = 0.0
        at = 0
        while len(self._rest) - at >= _HEAD.size:
            number, size = _HEAD.unpack_from(self._rest, at)
            if len(self._rest) - at - _HEAD.size < size:
                break
            at += _HEAD.size + size
            yield number, marshal.loads(self._rest[at - size : at])
        self._rest = self._rest[at:]

    def end(self) -> None:
        """End the process, if it has not ended."""
        os.close(self._reader)
        try:
            if not self.over:
                os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
        except (ChildProcessError, ProcessLookupError):
            pass


class _Hand:
    """One process at work, as long as its ``parent`` lives (None: as long as it likes)."""

    def __init__(self, workspace: Workspace, blobs: Blobs, parent: int | None = None) -> None:
        self._workspace = workspace
        self._restorer = Restorer(workspace.below, workspace.state, blobs, blobs.copy_into)
        self._parent = parent
        self._at: str | None = None
        self._fd = -1

    def __enter__(self) -> _Hand:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        self._restorer.close()

    def put(self, group: Group) -> Done:
        """Put the files of ``group`` back."""
        done = []
        try:
            for path, token, time, mode in group:
                if self._parent is not None and os.getppid() != self._parent:
                    os._exit(1)
                clock = signature.clock_ns()
                above, _, name = path.rpartition("/")
                seen = self._restorer.file(self._directory(above), name, token, time, mode & RIGHTS)
                if seen is None:
                    return None
                done.append((seen[0], not seen[1] and signature.is_racy(seen[0], clock)))
        except (OSError, ValueError, BlobMissing, BlobCorrupt):
            return None
        return done

    def _directory(self, path: str) -> int:
        """A descriptor of the directory ``path``, which is made where it is missing. Raises OSError."""
        if self._at != path:
            self._leave()
            self._fd = self._workspace.below.directory(path, make=True)
            self._at = path
        return self._fd

    def _leave(self) -> None:
        fd, self._fd, self._at = self._fd, -1, None
        if fd >= 0:
            os.close(fd)
