"""The pool of tokens itself: a pipe of f0make's own, or that of a make above."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable

from f0make.backends.local.jobserver.makeflags import Fifo, Pipe, for_steps, offered
from f0make.backends.local.jobserver.token_io import Purse

MOST = 4096
"""Slots in one pool; a pipe may hold as little as one page, and writing to a full one would wait for ever."""
_TOKEN = b"+"
_OUT_OF_THE_WAY = 100
"""Steps inherit descriptors from here on; scripts use small numbers themselves."""


class Jobserver:
    """Slots for steps, shared with every make and ninja inside them. Raises OSError where /proc is not Linux's.

    ``reading`` and ``writing`` are the pool's pipe. Others use the same, so that they cannot be told not to wait: for
    that f0make opens it once more. ``jobs`` is the number of slots where the pool is f0make's own. ``shown``: steps
    find the pool by what ``makeflags`` says already.

    Every step takes a token: the one that stands for the slot which f0make was started on, or one of the pool's.
    """

    def __init__(self, reading: int, writing: int, jobs: int | None, makeflags: str, shown: bool) -> None:
        self._jobs = jobs
        self._open: list[int] = []
        try:
            copies = (self._copy(reading), self._copy(writing))
            own, end = os.pipe()
            try:
                os.write(end, _TOKEN)
                self.watched = (self._again(own), self._again(reading))
                """Where a token can be waited for: f0make's own, and the pool."""
            finally:
                os.close(own)
                os.close(end)
        except OSError:
            self.close()
            raise
        self.purse = Purse(*self.watched)
        self.inherited: tuple[int, ...] = () if shown else copies
        """Descriptors that steps inherit, under these numbers."""
        path = f"/proc/{os.getpid()}/fd/{copies[0]}"
        self.makeflags = makeflags if shown else for_steps(makeflags, jobs, *copies, path)
        """For the environment of steps."""

    def _copy(self, fd: int) -> int:
        self._open.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY))
        return self._open[-1]

    def _again(self, fd: int) -> int:
        self._open.append(os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        return self._open[-1]

    def settle(self) -> None:
        """To be called while no step runs: a make that was killed gave none of its tokens back."""
        if self._jobs is None:
            return
        pool = self.watched[1]
        try:
            there = os.read(pool, 2 * MOST)
        except BlockingIOError:
            there = b""
        os.write(pool, there if len(there) == self._jobs - 1 else _TOKEN * (self._jobs - 1))

    def close(self) -> None:
        """Let go of the pipes; all tokens were given back before."""
        while self._open:
            os.close(self._open.pop())


def open_jobserver(makeflags: str, jobs: int, note: Callable[[str], None]) -> Jobserver | None:
    """The jobserver of a make above, by ``makeflags``, else a new one of ``jobs`` slots. None where there can be none.

    ``note`` hears of one above that cannot be used.
    """
    offers = offered(makeflags)
    for offer in offers:
        try:
            return _join(offer, makeflags, first=offer is offers[0])
        except OSError:
            continue
    if offers:
        note(
            "the jobserver of the make above is closed to f0make, which runs "
            f"{jobs} steps at a time beside it: put a + before the command in the Makefile"
        )
    return _new(makeflags, min(jobs, MOST))


def _new(makeflags: str, jobs: int) -> Jobserver | None:
    reading, writing = os.pipe()
    try:
        os.write(writing, _TOKEN * (jobs - 1))
        return Jobserver(reading, writing, jobs, makeflags, shown=False)
    except OSError:
        return None
    finally:
        os.close(reading)
        os.close(writing)


def _join(offer: Pipe | Fifo, makeflags: str, first: bool) -> Jobserver:
    """Raises OSError when it cannot be used."""
    if isinstance(offer, Pipe):
        _check(offer.reading, os.O_RDONLY)
        _check(offer.writing, os.O_WRONLY)
        return Jobserver(offer.reading, offer.writing, None, makeflags, shown=False)
    # For reading and writing: opening it waits for nobody then.
    both = os.open(offer.path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _check(both, os.O_RDONLY)
        return Jobserver(both, both, None, makeflags, shown=first)
    finally:
        os.close(both)


def _check(fd: int, mode: int) -> None:
    """Raises OSError when ``fd`` is no pipe, or not one that is open for ``mode``."""
    if fd < 0 or not stat.S_ISFIFO(os.fstat(fd).st_mode):
        raise OSError(f"{fd} is no pipe")
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE not in (mode, os.O_RDWR):
        raise OSError(f"{fd} is open the other way round")
