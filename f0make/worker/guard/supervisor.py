"""Answers for one step: may this file be opened, made, changed? Runs in a thread beside the step.

The path is read from the caller's memory. A program that changes it between the look and the call gets around
that (seccomp_unotify(2), NOTES): this finds what recipes forgot, it locks nobody in.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import struct
import threading
from typing import NamedTuple

from f0make import STATE
from f0make.worker.guard import seccomp
from f0make.worker.guard.access_rules import Rules
from f0make.worker.guard.resolve_path import real
from f0make.worker.guard.syscalls import (
    BIND,
    CHANGE,
    CONNECT,
    CREATE,
    MAKE_DIRECTORY,
    OPEN,
    OPEN_HOW,
    Machine,
    Named,
)

_PAGE = 4096
_AT_FDCWD = -100
_AT_NOFOLLOW, _AT_FOLLOW = 0x100, 0x400
_LONGEST_ADDRESS = 110
"""Bytes of a sockaddr_un."""
_LONGEST = 4096
MOST = 1000
"""Files named of one step; a step that strays further is wrong enough."""
MOST_ABSENT = 1000
"""Names looked for in vain that are kept of one step."""


class Stray(NamedTuple):
    """A file that the recipe does not declare for the step."""

    path: str
    """As the person would write it: relative to the workspace where it lies in it."""
    write: bool


class Supervisor:
    """Watches what asks at ``listener``; ``forbid``: what is not declared fails (EACCES), else it is only noted.

    ``late``: undeclared reads are noted but never fail (a depfile may yet declare them). ``walled``: Landlock stands
    below, which lets no file be linked to where more may be done with it; what is permitted of that is done here.
    """

    def __init__(
        self,
        listener: int,
        known: Machine,
        rules: Rules,
        forbid: bool,
        late: bool = False,
        walled: bool = False,
    ) -> None:
        self.strays: dict[Stray, None] = {}
        self.absent: dict[str, None] = {}
        """What it tried to open in the workspace and was not there: another result if it were."""
        self._listener = listener
        self._known = known
        self._rules = rules
        self._forbid = forbid
        self._late = late
        self._walled = walled
        self._open = {_name(path) for path in rules.open_files}
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
                error = self._judge(question)
                done = None if error else self._link(question)
                seccomp.answer(self._listener, question, error or done or 0, done is not None)
        except OSError:
            pass  # a caller that was killed in the middle

    def _link(self, question: seccomp.Question) -> int | None:
        """Link what may only be read: 0 or the error when that is done, None when the kernel is to go on."""
        if not self._walled or question.number not in self._known.links:
            return None
        with _Caller(question) as caller:
            try:
                old, new = (
                    caller.named(caller.path(named), named) for named in self._known.watched[question.number]
                )
                if old is None or new is None or self._rules.may_write(old):
                    return None
                if not seccomp.waits(self._listener, question):
                    return None
                os.link(old, new, follow_symlinks=False)
            except OSError as error:
                return error.errno or errno.EACCES
            except ValueError:
                return None
        return 0

    def _note_absent(self, full: str) -> None:
        rules = self._rules
        if len(self.absent) >= MOST_ABSENT or not full.startswith(rules.workspace) or rules.may_write(full):
            return
        name = full[len(rules.workspace) :]
        if not os.path.lexists(full) and name.partition("/")[0] != STATE:
            self.absent[name] = None

    def _judge(self, question: seccomp.Question) -> int:
        """The error that the call is to fail with, 0 for none."""
        error = 0
        with _Caller(question) as caller:
            for named in self._known.watched.get(question.number, ()):
                try:
                    stray = self._stray(caller, named)
                except PermissionError:
                    stray = Stray(f"what {caller.program()} opens, whose memory may not be read", True)
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
        if named.does in (BIND, CONNECT):
            path = caller.socket()
            if not path:
                return None
        else:
            path = caller.path(named)
        flags = caller.flags(named)
        if flags & os.O_PATH:
            return None  # Nothing can be read or written by it; what may be done with it is watched.
        writes = named.does in (CHANGE, CREATE, MAKE_DIRECTORY, BIND, CONNECT) or bool(
            flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        )
        full = caller.named(path, named, bool(flags & os.O_NOFOLLOW))
        if full is None:
            return None
        rules = self._rules
        if not writes:
            self._note_absent(full)
            if rules.may_read(full) or not _is_file(full):
                return None
        elif named.does == CONNECT:
            if rules.may_connect(full) or not is_socket(full):
                return None
        elif named.does == MAKE_DIRECTORY:
            if rules.may_make(full) or os.path.lexists(full):
                return None
        elif rules.may_write(full) or not (os.path.lexists(full) or (_makes(named, flags) and _could(full))):
            return None
        if full in self._open or full in map(_name, rules.open_files):
            return None
        shown = full.removeprefix(rules.workspace)
        return Stray(shown, writes)


def _is_file(path: str) -> bool:
    """Whether there is something to be read; a directory's list of names is nobody's input."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def _name(path: str) -> str:
    """What ``path``, perhaps a descriptor in `/proc`, is called now."""
    try:
        return os.readlink(path)
    except OSError:
        return path


def is_socket(path: str) -> bool:
    """Whether somebody may listen at ``path``."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _makes(named: Named, flags: int) -> bool:
    return named.does in (CREATE, BIND) or bool(flags & os.O_CREAT)


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

    def program(self) -> str:
        """The name of the program, for messages."""
        try:
            with open(f"{self._proc}/comm", encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return "a program"

    def flags(self, named: Named) -> int:
        """The flags that the path is opened with; 0 where nothing is opened."""
        if named.flags is None:
            return 0
        value: int = self.args[named.flags]
        if named.does == OPEN_HOW:
            return int.from_bytes(self._read(value, 8), "little")
        return value & 0xFFFFFFFF if named.does == OPEN else 0

    def path(self, named: Named) -> str:
        """The path as the call has it; empty where it names the file by its descriptor alone."""
        address = 0 if named.path is None else self.args[named.path]
        return self._text(address) if address else ""

    def socket(self) -> str:
        """The path in the address of a Unix socket; empty for addresses of other kinds, and abstract ones."""
        length = min(self.args[2] & 0xFFFFFFFF, _LONGEST_ADDRESS)
        data = self._read(self.args[1], length) if length > 2 else b""
        if len(data) <= 2 or struct.unpack_from("=H", data)[0] != socket.AF_UNIX:
            return ""
        return os.fsdecode(data[2:].partition(b"\0")[0])

    def _text(self, address: int) -> str:
        found = b""
        while len(found) < _LONGEST:
            part = self._read(address, _PAGE - address % _PAGE)
            end = part.find(b"\0")
            if end >= 0:
                return os.fsdecode(found + part[:end])
            found += part
            address += len(part)
        raise ValueError("a path without an end")

    def named(self, path: str, named: Named, nofollow: bool = False) -> str | None:
        """The absolute path without symlinks of what the call names; None for what has none (a pipe)."""
        if not path:
            return self._described(named)
        if not path.startswith("/"):
            path = f"{self._base(named)}/{path}"
        at = self.args[named.at] if named.at is not None else 0
        follow = (named.follow or bool(at & _AT_FOLLOW)) and not nofollow and not at & _AT_NOFOLLOW
        return real(path, self._thread, follow)

    def _described(self, named: Named) -> str | None:
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
