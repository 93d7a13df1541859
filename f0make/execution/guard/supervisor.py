"""Answers for one step: may this file be opened, made, changed? Runs in a thread beside the step.

The path is read from the caller's memory. A program that changes it between the look and the call gets around
that (seccomp_unotify(2), NOTES): this finds what recipes forgot, it locks nobody in.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
from dataclasses import dataclass

from f0make.execution.guard import seccomp
from f0make.execution.guard.resolving import real
from f0make.execution.guard.rules import Rules
from f0make.execution.guard.syscalls import (
    CHANGE,
    CREATE,
    MAKE_DIRECTORY,
    OPEN,
    OPEN_HOW,
    Machine,
    Named,
)

_PAGE = 4096
_AT_FDCWD = -100
_LONGEST = 4096
MOST = 1000
"""Files named of one step; a step that strays further is wrong enough."""
MOST_ABSENT = 1000
"""Names looked for in vain that are kept of one step."""


@dataclass(frozen=True, slots=True, order=True)
class Stray:
    """A file that the recipe does not declare for the step."""

    path: str
    """As the person would write it: relative to the workspace where it lies in it."""
    write: bool


class Supervisor:
    """Watches what asks at ``listener``; ``forbid``: what is not declared fails (EACCES), else it is only noted.

    ``late``: undeclared reads are noted but never fail (a depfile may yet declare them).
    """

    def __init__(self, listener: int, known: Machine, rules: Rules, forbid: bool, late: bool = False) -> None:
        self.strays: dict[Stray, None] = {}
        self.absent: dict[str, None] = {}
        """What it tried to open in the workspace and was not there: another result if it were."""
        self._listener = listener
        self._known = known
        self._rules = rules
        self._forbid = forbid
        self._late = late
        self._wake, self._end = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The step is over: watch no more."""
        os.close(self._end)
        self._thread.join(5)
        os.close(self._wake)

    def _serve(self) -> None:
        try:
            self._answer_all()
        finally:
            os.close(self._listener)  # whoever still asks gets an error instead of waiting for ever

    def _answer_all(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            for fd, event in poll.poll():
                if fd == self._wake:
                    return
                if event & select.POLLIN:
                    self._one()
                elif event & (select.POLLHUP | select.POLLERR):
                    poll.unregister(self._listener)

    def _one(self) -> None:
        try:
            question = seccomp.receive(self._listener)
            if question is not None:
                seccomp.answer(self._listener, question, self._judge(question))
        except OSError:
            pass  # a caller that was killed in the middle

    def _note_absent(self, full: str) -> None:
        rules = self._rules
        if len(self.absent) >= MOST_ABSENT or not full.startswith(rules.workspace) or rules.may_write(full):
            return
        name = full[len(rules.workspace) :]
        if not os.path.lexists(full) and name.partition("/")[0] != ".f0make":
            self.absent[name] = None

    def _judge(self, question: seccomp.Question) -> int:
        """The error that the call is to fail with, 0 for none."""
        error = 0
        with _Caller(question) as caller:
            for named in self._known.watched.get(question.number, ()):
                try:
                    stray = self._stray(caller, named)
                except (OSError, ValueError):
                    continue  # nothing that the call could get at, either
                if stray is None or not seccomp.waits(self._listener, question):
                    continue
                if len(self.strays) < MOST:
                    self.strays[stray] = None
                if self._forbid and (stray.write or not self._late):
                    error = errno.EACCES
        return error

    def _stray(self, caller: _Caller, named: Named) -> Stray | None:
        path = "" if named.path is None else caller.text(caller.args[named.path])
        flags = caller.flags(named)
        if flags & os.O_PATH:
            return None  # Nothing can be read or written by it; what may be done with it is watched.
        writes = named.does in (CHANGE, CREATE, MAKE_DIRECTORY) or bool(
            flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        )
        if not writes and path.startswith(("/usr/", "/lib", "/etc/")):
            return None
        full = caller.resolve(path, named, bool(flags & os.O_NOFOLLOW)) if path else caller.described(named)
        if full is None:
            return None
        rules = self._rules
        if not writes:
            self._note_absent(full)
            if rules.may_read(full) or not _is_file(full):
                return None
        elif named.does == MAKE_DIRECTORY:
            if rules.may_make(full) or os.path.lexists(full):
                return None
        elif rules.may_write(full) or not (os.path.lexists(full) or (_makes(named, flags) and _could(full))):
            return None
        shown = full.removeprefix(rules.workspace)
        return Stray(shown, writes)


def _is_file(path: str) -> bool:
    """Whether there is something to be read; a directory's list of names is nobody's input."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def _makes(named: Named, flags: int) -> bool:
    return named.does == CREATE or bool(flags & os.O_CREAT)


def _could(path: str) -> bool:
    """Whether ``path`` could be made: its directory is there."""
    return os.path.isdir(os.path.dirname(path))


class _Caller:
    """The thread that asks: its memory, its current directory, its descriptors."""

    def __init__(self, question: seccomp.Question) -> None:
        self.args = question.args
        self._thread = question.thread
        self._proc = f"/proc/{question.thread}"
        self._memory = -1

    def __enter__(self) -> _Caller:
        return self

    def __exit__(self, *_: object) -> None:
        if self._memory >= 0:
            os.close(self._memory)

    def flags(self, named: Named) -> int:
        """The flags that the path is opened with; 0 where nothing is opened."""
        if named.flags is None:
            return 0
        value: int = self.args[named.flags]
        if named.does == OPEN_HOW:
            return int.from_bytes(self._read(value, 8), "little")
        return value & 0xFFFFFFFF if named.does == OPEN else 0

    def text(self, address: int) -> str:
        """The path at ``address``."""
        found = b""
        while len(found) < _LONGEST:
            part = self._read(address, _PAGE - address % _PAGE)
            end = part.find(b"\0")
            if end >= 0:
                return os.fsdecode(found + part[:end])
            found += part
            address += len(part)
        raise ValueError("a path without an end")

    def resolve(self, path: str, named: Named, nofollow: bool) -> str:
        """``path`` as absolute path without symlinks."""
        if not path.startswith("/"):
            path = f"{self._base(named)}/{path}"
        return real(path, self._thread, named.follow and not nofollow)

    def described(self, named: Named) -> str | None:
        """The path of the file that the call names by its descriptor, None for what has none (a pipe)."""
        path = self._base(named)
        if not path.startswith("/") or path.endswith(" (deleted)"):
            return None
        return path

    def _base(self, named: Named) -> str:
        fd = _AT_FDCWD
        if named.base is not None:
            fd = self.args[named.base] & 0xFFFFFFFF
            fd = fd - (1 << 32) if fd >= 1 << 31 else fd
        return os.readlink(f"{self._proc}/cwd" if fd == _AT_FDCWD else f"{self._proc}/fd/{fd}")

    def _read(self, address: int, size: int) -> bytes:
        if self._memory < 0:
            self._memory = os.open(f"{self._proc}/mem", os.O_RDONLY | os.O_CLOEXEC)
        data = os.pread(self._memory, size, address)
        if not data:
            raise ValueError("no memory there")
        return data
