"""Hash large files side by side and say so, before they are asked for one after the other.

`Contents` calls a `Prehash` when it first comes upon a large file that must be read. A run whose large files are all known
pays nothing for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread

from f0make.files import content_digest
from f0make.files.content_digest import LARGE
from f0make.files.signature import Signature
from f0make.size_text import size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.files.content_cache import Contents

TOLD = 200_000_000
"""Bytes from which a person is told what is being waited for: about a fifth of a second."""
_LOOK = 0.1
"""Seconds between two looks whether the run was interrupted."""

Hashed = tuple[str, "tuple[Signature, str, int] | OSError"]


class Interrupted(content_digest.FileError):
    """The run was interrupted while files were hashed; their contents are not known."""


class Prehash:
    """Hashes the large ones of ``paths`` that ``contents`` does not know, by ``jobs`` threads.

    ``tell`` takes a line for a person; ``stopped`` says whether to give up.
    """

    def __init__(
        self,
        contents: Contents,
        paths: Callable[[], Iterable[str]],
        jobs: int,
        tell: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._contents = contents
        self._paths = paths
        self._jobs = max(1, min(jobs, os.cpu_count() or 1))
        self._tell = tell
        self._stopped = stopped

    def __call__(self, first: str) -> None:
        """Hash ``first`` and every other large file. Raises Interrupted."""
        known = self._contents
        sizes = {first: _size(known.full(first))}
        for path, size in self._large():
            if path not in sizes and not known.knows(path):
                sizes[path] = size
        total = sum(sizes.values())
        if total >= TOLD:
            names = first if len(sizes) == 1 else f"{len(sizes)} files"
            self._tell(f"hashing {names} ({size_text(total)})")
        todo: SimpleQueue[str | None] = SimpleQueue()
        done: SimpleQueue[Hashed] = SimpleQueue()
        # The largest first: none is left to one thread at the end.
        for path in sorted(sizes, key=lambda path: -sizes[path]):
            todo.put(path)
        threads = min(self._jobs, len(sizes))
        for _ in range(threads):
            todo.put(None)
        started = [Thread(target=_hash, args=(known.full, todo, done), daemon=True) for _ in range(threads)]
        for thread in started:
            thread.start()
        for _ in sizes:
            path, found = self._next(done)
            if not isinstance(found, OSError):  # What cannot be read is told when it is asked for.
                known.learn(path, found[0], found[1], found[2])
        for thread in started:
            thread.join()

    def _next(self, done: SimpleQueue[Hashed]) -> Hashed:
        while True:
            try:
                return done.get(timeout=_LOOK)
            except Empty:
                if self._stopped():
                    raise Interrupted("interrupted while files were hashed") from None

    def _large(self) -> Iterator[tuple[str, int]]:
        """(path, size) of each large regular file among the paths, or in a directory among them."""
        for path in dict.fromkeys(self._paths()):
            try:
                st = os.lstat(self._contents.full(path))
            except (OSError, ValueError):
                continue
            if stat.S_ISREG(st.st_mode):
                if st.st_size >= LARGE:
                    yield path, st.st_size
            elif stat.S_ISDIR(st.st_mode):
                for base, _, names in os.walk(self._contents.full(path)):
                    inside = path + base[len(self._contents.full(path)) :]
                    for name in names:
                        size = _size(os.path.join(base, name))
                        if size >= LARGE:
                            yield os.path.join(inside, name), size


def _size(full: str) -> int:
    try:
        st = os.lstat(full)
    except (OSError, ValueError):
        return 0
    return st.st_size if stat.S_ISREG(st.st_mode) else 0


def _hash(full: Callable[[str], str], todo: SimpleQueue[str | None], done: SimpleQueue[Hashed]) -> None:
    while (path := todo.get()) is not None:
        try:
            found, token, clock, _ = content_digest.read_stable(full(path))
            done.put((path, (found, token, clock)))
        except OSError as error:
            done.put((path, error))
